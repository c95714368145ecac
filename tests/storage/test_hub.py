"""The Hub: a folder to upload, and loading from a server that answers as the Hub does."""

import errno
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
import yaml

import vidpred
import vidpred.export.exporting
from vidpred.errors import CheckpointError, ExportError
from vidpred.export.hub_folder import export_hub_folder
from vidpred.storage import load_predictor
from vidpred.storage.hub import split_address

pytest.importorskip("huggingface_hub")

COMMIT = "a" * 40


@contextmanager
def hub(folder: Path) -> Iterator[str]:
    """Serve the files of `owner/name` at the revisions main, v1 and COMMIT, by the Hub's rules."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def _answer(self, *, body: bool) -> None:
            parts = self.path.split("?")[0].strip("/").split("/")
            if parts[:2] != ["owner", "name"] or parts[2] != "resolve":
                return self._refuse("RepoNotFound")
            if parts[3] not in ("main", "v1", COMMIT):
                return self._refuse("RevisionNotFound")
            file = folder.joinpath(*parts[4:])
            if not file.is_file():
                return self._refuse("EntryNotFound")
            content = file.read_bytes()
            self.send_response(200)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content)
            return None

        def _refuse(self, code: str) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "name"
    return export_hub_folder("small", folder).folder


@pytest.fixture
def endpoint(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with hub(exported) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield address


def test_the_folder_holds_weights_configuration_and_card(exported: Path) -> None:
    names = sorted(path.name for path in exported.iterdir())
    assert names == ["README.md", "config.json", "model.safetensors"]
    config = json.loads((exported / "config.json").read_text())
    assert config["library"] == "vidpred"
    assert config["predictor"]["class"] == "MultiScaleGenerator"
    head, body = (exported / "README.md").read_text().split("---\n")[1:3]
    facts = yaml.safe_load(head)
    assert facts["library_name"] == "vidpred"
    (model,) = facts["model-index"]
    values = [metric["value"] for result in model["results"] for metric in result["metrics"]]
    assert values
    assert all(isinstance(value, float) for value in values)
    assert body.strip().startswith("# model")
    context = torch.rand(1, 4, 3, 24, 24)
    weights = exported / "model.safetensors"
    assert torch.equal(load_predictor(weights)(context, 1), load_predictor("small")(context, 1))


def test_a_folder_that_is_there_is_replaced_only_when_asked(exported: Path) -> None:
    with pytest.raises(ExportError, match="give --overwrite to replace it"):
        export_hub_folder("small", exported)
    with pytest.raises(ExportError, match="there is no such folder"):
        export_hub_folder("small", exported / "no" / "where")


def test_a_full_disk_is_said_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(vidpred.export.exporting, "write_text", full)
    folder = tmp_path / "folder"
    problem = f"{folder}: cannot be written (No space left on device)"
    with pytest.raises(ExportError, match=f"^{re.escape(problem)}"):
        export_hub_folder("small", folder)
    assert not list(tmp_path.iterdir())


def test_a_folder_with_other_files_is_never_replaced(exported: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(exported, tmp_path / "mine")
    weights = folder / "model.safetensors"
    before = weights.stat().st_ino
    assert export_hub_folder("small", folder, overwrite=True).folder == folder
    assert weights.stat().st_ino != before
    thesis = folder / "thesis.tex"
    thesis.write_text("Chapter 1")
    with pytest.raises(ExportError, match=r"holds more than .* \('thesis.tex'\), so it is not"):
        export_hub_folder("small", folder, overwrite=True)
    with pytest.raises(ExportError, match="is a file; expected the name of a folder"):
        export_hub_folder("small", thesis, overwrite=True)
    assert thesis.read_text() == "Chapter 1"


@pytest.mark.parametrize("revision", ["", "@v1", f"@{COMMIT}"])
def test_an_address_is_loaded(endpoint: str, revision: str) -> None:
    predictor = vidpred.load(f"hf://owner/name{revision}")
    context = torch.rand(1, 4, 3, 24, 24)
    assert torch.equal(predictor(context, 2), vidpred.load("small")(context, 2))


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("hf://owner/other", "there is no such repository, or it is private"),
        ("hf://owner/name@v9", "it has no revision 'v9'"),
        ("hf://owner", "expected hf://OWNER/NAME"),
        ("hf://owner/name@", "expected hf://OWNER/NAME"),
    ],
)
def test_what_is_not_there_is_named(endpoint: str, address: str, problem: str) -> None:
    with pytest.raises(CheckpointError, match=problem):
        vidpred.load(address)


def test_a_repository_of_something_else(endpoint: str, exported: Path) -> None:
    weights = exported / "model.safetensors"
    weights.rename(exported / "hidden")
    try:
        with pytest.raises(CheckpointError, match=r"holds no model\.safetensors; expected what"):
            vidpred.load("hf://owner/name@v1")
    finally:
        (exported / "hidden").rename(weights)


@pytest.mark.slow  # huggingface_hub tries again for a while
def test_without_a_network_the_cache_serves(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    vidpred.load("hf://owner/name")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    vidpred.load("hf://owner/name")
    with pytest.raises(CheckpointError, match="cannot be reached and is not in the cache"):
        vidpred.load("hf://owner/unknown")


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CheckpointError, match=r"pip install 'vidpred\[hub\]'"):
        vidpred.load("hf://owner/name")


def test_addresses_are_taken_apart() -> None:
    assert split_address("hf://a/b") == ("a/b", None)
    assert split_address("hf://a/b@refs/pr/3") == ("a/b", "refs/pr/3")
