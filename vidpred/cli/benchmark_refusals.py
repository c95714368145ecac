"""What a benchmark is refused for before anything is trained, or even imported."""

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from vidpred.errors import BenchmarkError, VidpredError
from vidpred.files import expand_home
from vidpred.resources import BENCHMARKS

ROOT = "data/ucf101"
"""Folder of the data set where neither the benchmark nor the command line names one."""


def require_data(name: str | Path, *, root: str | None, protocol: str | None) -> None:
    """Refuse folders that are not there, but for that of data that a training renders.

    Values of a wrong type are left to `load_benchmark`, which names them.

    Args:
        name: Of the benchmark, or the path of its file.
        root: What the command line says in place of the file's folders.
        protocol: What it says in place of the file's protocols and their folders.

    Raises:
        BenchmarkError: When there is no such benchmark, or it has no data.
        DataError: When the user of a folder below ~ has none.
    """
    content = BENCHMARKS.read(BENCHMARKS.path(name))
    if protocol is not None:
        content["protocols"] = [protocol]
    for reader, folder in _folders(content, root):
        if not expand_home(folder).is_dir():
            raise BenchmarkError(
                f"{folder}: no such folder, which protocol {reader} reads; expected the "
                "folder of the data set: --root DIR"
            )


def check_configuration(
    command: Sequence[str], modules: Sequence[str] | None = None
) -> dict[str, Any]:
    """Give the configuration of a training, or refuse unknown keys and wrong values.

    Args:
        command: Arguments of `vidpred fit`.
        modules: Names of the modules of `--module`, one of which has to have the network where it
            is not of vidpred; None does not look, since nothing is scored.

    Raises:
        VidpredError: For what is wrong.
    """
    from vidpred.cli.trainer import run_cli

    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        run_cli([*command, "--print_config"])
    configuration: dict[str, Any] = yaml.safe_load(shown.getvalue())
    if modules is None:
        return configuration
    task = configuration["model"].get("init_args", {})
    known = {"vidpred", *(name.partition(".")[0] for name in modules)}
    for key in ("predictor", "generator"):
        path = (task.get(key) or {}).get("class_path", "vidpred")
        if path.partition(".")[0] not in known:
            raise VidpredError(
                f"its network is {path}, which is not of vidpred, and scoring needs its module; "
                f"expected --module {path.rpartition('.')[0]}"
            )
    return configuration


def _folders(content: Mapping[str, Any], root: str | None) -> Iterator[tuple[str, str]]:
    data, protocols = content.get("data") or {}, content.get("protocols")
    if not isinstance(data, dict) or not isinstance(protocols, list):
        return
    for scored in protocols:
        scored = scored if isinstance(scored, dict) else {"protocol": scored}
        own = None if root is not None else scored.get("root")
        rendered = own is None and data.get("file") is not None
        if not rendered:
            yield str(scored.get("protocol")), str(own or root or data.get("root") or ROOT)
