"""`vidpred export`, as a user would type it, and what other programs make of its files."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors import safe_open
from torch import Tensor

import vidpred
from vidpred.cli.main import main
from vidpred.errors import ExportError
from vidpred.export import export
from vidpred.export.graph import record
from vidpred.export.hub_folder import export_hub_folder
from vidpred.export.onnx_file import write_onnx
from vidpred.export.parity import require_parity
from vidpred.files import file_sha256
from vidpred.models import (
    DMVFN,
    DYAN,
    SVG,
    Autoencoder,
    ConvLSTM,
    CopyLastFrame,
    DCGANGenerator,
    EDMPredictor,
    GeneratorScale,
    MultiScaleGenerator,
    OpticalFlowExtrapolation,
    PhyDNet,
    PredRNN,
    VideoPixelNetwork,
)
from vidpred.storage import SavedPredictor
from vidpred.storage.description import describe_frames, describe_predictor
from vidpred.storage.saved import write_saved


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with a name for what is odd in ours: two scales, kernels of 5, tanh."""
    torch.manual_seed(0)
    scales = (GeneratorScale((4,), (3, 3)), GeneratorScale((4, 8), (5, 3, 3)))
    network = MultiScaleGenerator(scales, context_frames=3, upsampling="bilinear")
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    saved = SavedPredictor(
        path=path,
        description=describe_predictor(network),
        weights=network.state_dict(),
        batches_seen=12,
        training={"seed": 3, "commit": "0123abc", "data": "MovingShapesDataModule"},
        frames=describe_frames(network),
    )
    write_saved(path, saved)
    return path


@pytest.fixture(scope="module")
def exported(weights: Path) -> Path:
    """Two frames ahead in ONNX."""
    path = weights.with_suffix(".onnx")
    assert main(["export", str(weights), "--output", str(path), "--horizon=2"]) == 0
    return path


FRESH = """
import sys
sys.modules["vidpred"] = sys.modules["torch"] = None  # importing them fails
import json
import numpy as np
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
said = json.loads(session.get_modelmeta().custom_metadata_map["vidpred"])
assert said["graph"]["horizon"] == 2 and said["batches_seen"] == 12
for number in range(3):
    (frames,) = session.run(["frames"], {"context": np.load(f"context{number}.npy")})
    np.save(f"frames{number}.npy", frames)
present = [name.partition(".")[0] for name, found in sys.modules.items() if found]
assert not {"torch", "vidpred"} & set(present)
"""


@pytest.mark.slow
def test_onnx_runs_where_vidpred_is_not(exported: Path, weights: Path, tmp_path: Path) -> None:
    sizes = ((1, 40, 60), (2, 33, 47), (3, 19, 128))
    contexts = [torch.rand(batch, 3, 3, height, width) for batch, height, width in sizes]
    for number, context in enumerate(contexts):
        np.save(tmp_path / f"context{number}.npy", context.numpy())
    run = [sys.executable, "-I", "-c", FRESH, str(exported)]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    predictor = vidpred.load(weights)
    for number, context in enumerate(contexts):
        frames = torch.from_numpy(np.load(tmp_path / f"frames{number}.npy"))
        with torch.inference_mode():
            torch.testing.assert_close(frames, predictor(context, 2), atol=1e-4, rtol=0)


@pytest.mark.slow
def test_onnx_says_what_it_takes(exported: Path) -> None:
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.shape) == ("context", ["batch", 3, 3, "height", "width"])
    assert (given.name, given.shape) == ("frames", ["batch", 2, 3, "height", "width"])
    model = onnx.load(exported)
    assert model.producer_name == "vidpred"
    (entry,) = model.metadata_props
    said = json.loads(entry.value)
    assert said["predictor"]["class"] == "MultiScaleGenerator"
    assert said["frames"]["network_range"] == [-1, 1]
    assert said["training"]["seed"] == 3
    assert "| commit | `0123abc` |" in exported.with_suffix(".md").read_text()


def test_torch_export_runs_and_says_what_it_is(weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.pt2"
    written = export(weights, path)
    assert max(written.parity.values()) <= 1e-4
    extra = {"vidpred.json": ""}
    program = torch.export.load(path, extra_files=extra).module()
    context = torch.rand(4, 3, 3, 21, 50)
    with torch.inference_mode():
        torch.testing.assert_close(program(context), vidpred.load(weights)(context, 1))
    assert json.loads(extra["vidpred.json"])["graph"]["output"] == {
        "frames": ["batch", 1, 3, "height", "width"]
    }


def test_the_format_may_be_said_and_has_to_fit(weights: Path, tmp_path: Path) -> None:
    assert export(weights, tmp_path / "a.safetensors", format="safetensors").file.is_file()
    for name, format in (("a.onnx", "safetensors"), ("a.bin", None), ("a", "onnx"), ("a", None)):
        with pytest.raises(ExportError, match="says the format"):
            export(weights, tmp_path / name, format=format)  # type: ignore[arg-type]  # a table


def test_a_name_that_is_no_utf_8_is_refused_at_once(weights: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    for ending in (".onnx", ".pt2", ".safetensors"):
        with pytest.raises(ExportError, match="not UTF-8; choose a name of text"):
            export(weights, odd.with_suffix(ending))
    with pytest.raises(ExportError, match=r"^.*/caf\udce9: this name is not UTF-8"):
        export_hub_folder(weights, odd)


def test_safetensors_hold_the_weights_and_what_they_are(weights: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("Trained for **a test**.")
    path = tmp_path / "copy.safetensors"
    assert main(["export", str(weights), f"--output={path}", f"--notes={notes}"]) == 0
    with safe_open(path, framework="np") as file:
        header = json.loads(file.metadata()["vidpred"])
    assert header["predictor"]["arguments"]["upsampling"] == "bilinear"
    card = path.with_suffix(".md").read_text()
    assert "Trained for **a test**." in card
    assert "nothing is known of its quality" in card
    again = tmp_path / "again.safetensors"
    export(path, again)
    assert "Trained for **a test**." in again.with_suffix(".md").read_text()


def test_each_file_of_a_name_has_its_card(weights: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "mine.safetensors", tmp_path / "mine.pt2"
    assert export(weights, first).card == tmp_path / "mine.md"
    assert export(weights, second).card == tmp_path / "mine.pt2.md"
    for file, card in ((first, "mine.md"), (second, "mine.pt2.md")):
        assert f"`{file.name}`:" in (tmp_path / card).read_text()
        assert f"`{file_sha256(file)}`" in (tmp_path / card).read_text()
    with pytest.raises(ExportError, match=r"mine\.safetensors: this file is there already"):
        export(weights, first)
    assert export(weights, first, overwrite=True).card == tmp_path / "mine.md"


@pytest.mark.parametrize("name", ["there.onnx", "there.md"])
def test_what_is_there_is_kept(weights: Path, tmp_path: Path, name: str) -> None:
    there = tmp_path / name
    there.write_text("mine")
    with pytest.raises(ExportError, match="is there already"):
        export(weights, tmp_path / "there.onnx")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert there.read_text() == "mine"
    export(weights, tmp_path / "there.safetensors", overwrite=True)
    assert (tmp_path / "there.md").read_text().startswith("# there\n")


def test_wrong_places_and_options_are_refused(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.onnx").mkdir()
    for options, reason in (
        ([f"--output={tmp_path}/no/such.onnx"], "no such folder"),
        ([f"--output={tmp_path}/folder.onnx"], "this is a folder"),
        ([f"--output={tmp_path}/a.safetensors", "--horizon=3"], "any number of frames"),
        ([f"--output={tmp_path}/a.onnx", "--notes=none.md"], "cannot be read"),
        ([f"--output={tmp_path}/a.onnx", "--results=none.json"], "no such file"),
    ):
        assert main(["export", str(weights), *options]) == 2
        assert reason in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:  # the parser itself refuses
        main(["export", str(weights), f"--output={tmp_path}/a.onnx", "--horizon=0"])
    assert ended.value.code == 2
    assert "'0'; expected a whole number that is at least 1" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["folder.onnx"]


@contextmanager
def without(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make importing a package fail, as where it is not installed."""
    absent: dict[str, ModuleType | None] = {name: None}
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, *next(iter(absent.items())))
        yield


def test_absent_packages_are_named(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        without("onnxscript", monkeypatch),
        pytest.raises(ExportError, match=r"onnxscript.*pip install \"vidpred\[export\]\""),
    ):
        export(weights, tmp_path / "tiny.onnx")
    assert not list(tmp_path.iterdir())


class Branching(CopyLastFrame):
    """Decides by what it sees, which no graph can hold."""

    def step(self, context: Tensor) -> Tensor:
        return context[:, -1:] if context.mean() > 0.5 else context[:, :1]


class Flickering(CopyLastFrame):
    """Never predicts the same again."""

    def step(self, context: Tensor) -> Tensor:
        return context[:, -1:] + torch.rand_like(context[:, -1:]) / 100


@pytest.mark.parametrize(
    ("cls", "ending", "reason"),
    [
        (Branching, ".onnx", "cannot be recorded"),
        (Flickering, ".pt2", "differs .* 1 x 48 x 64: "),
        pytest.param(*(Flickering, ".onnx", "differs .* 1 x 48 x 64: "), marks=pytest.mark.slow),
    ],
)
def test_what_would_differ_is_refused(
    cls: type[CopyLastFrame], ending: str, reason: str, tmp_path: Path
) -> None:
    network = cls()
    path = tmp_path / "own.safetensors"
    frames = describe_frames(network)
    write_saved(path, SavedPredictor(path, describe_predictor(network), {}, frames=frames))
    with pytest.raises(ExportError, match=reason):
        export(path, path.with_suffix(ending), modules=[sys.modules[__name__]])
    assert [entry.name for entry in tmp_path.iterdir()] == ["own.safetensors"]


def test_differences_that_are_no_numbers_are_refused() -> None:
    predictor = CopyLastFrame()
    for wrong in (lambda x: x * float("nan"), lambda x: x[..., :1], lambda x: x + 2e-4):
        with pytest.raises(ExportError, match="more than"):
            require_parity(predictor, wrong, 1)
    assert set(require_parity(predictor, lambda x: x + 5e-5, 1)) == {
        *("1 x 48 x 64", "3 x 45 x 31", "2 x 23 x 86")
    }


def test_fewer_frames_than_asked_for_are_refused_where_their_values_agree() -> None:
    with pytest.raises(ExportError, match="more than"):
        require_parity(CopyLastFrame(), lambda x: x[:, -1:], 2)


def test_a_predictor_of_one_size_is_compared_at_this_size() -> None:
    class Square(CopyLastFrame):
        image_size = 32

    found = require_parity(Square(), lambda x: x[:, -1:], 1)
    assert set(found) == {"1 x 32 x 32", "3 x 32 x 32"}


def test_a_program_that_fails_is_refused_in_a_sentence() -> None:
    def fails(context: Tensor) -> Tensor:
        raise RuntimeError("Runtime assertion failed\nand more")

    with pytest.raises(ExportError, match=r"on frames of 48 x 64 \(Runtime assertion failed\)"):
        require_parity(CopyLastFrame(), fails, 1)


def test_a_conditioned_network_is_kept_and_is_no_program(tmp_path: Path) -> None:
    network = Autoencoder.from_preset("cpu", image_size=16)
    path = tmp_path / "network.safetensors"
    write_saved(
        path,
        SavedPredictor(
            path=path,
            description=describe_predictor(network),
            weights=network.state_dict(),
            frames=describe_frames(network),
        ),
    )
    again = export(path, tmp_path / "again.safetensors")
    assert again.parity == {}
    found = vidpred.load(tmp_path / "again.safetensors").network.state_dict()
    assert all(torch.equal(found[name], value) for name, value in network.state_dict().items())
    for ending in ("onnx", "pt2"):
        with pytest.raises(ExportError, match="is no graph: it is conditioned on true_frames"):
            export(path, tmp_path / f"a.{ending}")


@pytest.mark.parametrize(
    "make",
    [
        lambda: ConvLSTM((2,), input_kernel=3, state_kernel=3, context_frames=1),
        lambda: PredRNN(2, layers=1, kernel=3, context_frames=1),
        lambda: PhyDNet(32, lstm_hidden=(), kernel=3, context_frames=1),
        lambda: DMVFN((4,), (2,)),
    ],
)
def test_recurrent_and_routed_networks_are_graphs_of_any_batch_and_size(make: Any) -> None:
    network = make().eval()
    program = record(network, 2).module()
    for shape in ((1, 3, 33, 42), (2, 3, 40, 35)):
        context = torch.rand(shape[0], network.context_frames, *shape[1:])
        with torch.no_grad():
            torch.testing.assert_close(program(context), network(context, 2))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (DYAN.from_preset, "its optical flow is estimated outside of PyTorch"),
        (
            lambda _: OpticalFlowExtrapolation(),
            "its optical flow is estimated outside of PyTorch",
        ),
        (VideoPixelNetwork.from_preset, "its prediction is the mean of futures"),
        (EDMPredictor.from_preset, "its prediction starts from seeded noise"),
        (DCGANGenerator.from_preset, "it takes frames of 64 x 64 alone"),
        (SVG.from_preset, "it takes frames of 64 x 64 alone"),
    ],
)
def test_what_no_graph_can_hold_is_said_at_once(make: Any, reason: str) -> None:
    with pytest.raises(ExportError, match=f"is no graph: {reason}.*--format safetensors"):
        record(make("cpu"), 1)


@pytest.mark.slow
def test_a_graph_with_an_operation_that_onnx_lacks_is_written_for_torch(tmp_path: Path) -> None:
    """DMVFN computes a block for the clips that it is chosen for, as many as they are."""
    program = record(DMVFN((4,), (2,)).eval(), 1)
    with pytest.raises(ExportError, match=r"that ONNX lacks; --format torch-export or safetensors"):
        write_onnx(tmp_path / "a.onnx", program, {})
    assert not list(tmp_path.iterdir())
