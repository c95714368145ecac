import errno
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from vidpred.errors import CheckpointError
from vidpred.models import CopyLastFrame, GeneratorScale, MultiScaleGenerator
from vidpred.storage import build_predictor, load_predictor
from vidpred.storage.checkpoint import read_checkpoint, read_resumable
from vidpred.storage.description import describe_predictor


class Hostile:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return (Path.touch, (self.target,))


def test_a_hostile_pickle_does_not_run(tmp_path: Path) -> None:
    path, target = tmp_path / "hostile.ckpt", tmp_path / "ran"
    torch.save({"vidpred": Hostile(target)}, path)
    with pytest.raises(CheckpointError, match="would run code") as refusal:
        load_predictor(path)
    assert "weights_only" not in str(refusal.value)  # torch's text advises to load it anyway
    path.write_bytes(pickle.dumps(Hostile(target), protocol=2))
    with pytest.raises(CheckpointError, match=r"hostile\.ckpt"):
        load_predictor(path)
    assert not target.exists()


def test_damaged_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "saved.ckpt"
    torch.save({"vidpred": {}, "state_dict": {"w": torch.rand(1000)}}, path)
    whole = path.read_bytes()
    for content in (b"", whole[:100], whole[: len(whole) // 2], b"not a checkpoint at all"):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"saved\.ckpt"):
            read_checkpoint(path)


def test_one_changed_bit_is_found(tmp_path: Path) -> None:
    path, weight = tmp_path / "saved.ckpt", torch.rand(1000)
    said = {"predictor": {}, "batches_seen": 0}
    content = {"vidpred": said, "state_dict": {"w": weight}, "pytorch-lightning_version": "2"}
    torch.save(content, path)
    read_checkpoint(path)
    whole = bytearray(path.read_bytes())
    whole[whole.index(weight.numpy().tobytes()) + 17] ^= 1
    path.write_bytes(whole)
    with pytest.raises(
        CheckpointError, match=r"damaged .*data/0 is not what was written\); use an"
    ):
        read_checkpoint(path)


def test_checkpoints_without_checksums_are_read(tmp_path: Path) -> None:
    path = tmp_path / "saved.ckpt"
    said = {"predictor": {}, "batches_seen": 0}
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"vidpred": said, "state_dict": {}, "pytorch-lightning_version": "2"}, path)
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_checkpoint(path)["vidpred"] == said


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", ["pipe.ckpt", "pipe.safetensors"])
def test_a_pipe_is_refused_and_not_waited_for(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(CheckpointError, match="is a pipe or a device"):
        load_predictor(tmp_path / name)


def test_advice_of_pytorch_to_run_code_is_not_passed_on(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "program.ckpt", "w") as archive:
        for name in ("constants.pkl", "version"):
            archive.writestr(f"program/{name}", b"3\n")
    with (
        pytest.warns(UserWarning, match="TorchScript"),
        pytest.raises(CheckpointError, match=r"not a checkpoint \(TorchScript\)"),
    ):
        read_checkpoint(tmp_path / "program.ckpt")


def test_a_system_that_gives_no_weights_is_not_called_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"weights")

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(CheckpointError, match=r"cannot be read \(Permission denied\)"):
        load_predictor(path)


def test_missing_foreign_and_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        read_checkpoint(tmp_path / "none.ckpt")
    with pytest.raises(CheckpointError, match="is a folder"):
        read_checkpoint(tmp_path)
    whole = {"predictor": {}, "batches_seen": 0}
    for content in (
        {"weights": torch.rand(3)},
        {"vidpred": 3},
        {"vidpred": {}, "state_dict": {}, "pytorch-lightning_version": "2"},
        {"vidpred": whole, "state_dict": {}},
    ):
        torch.save(content, tmp_path / "foreign.ckpt")
        with pytest.raises(CheckpointError, match="no description of a predictor"):
            read_checkpoint(tmp_path / "foreign.ckpt")


def test_a_config_that_does_not_fit_is_told() -> None:
    with pytest.raises(
        CheckpointError, match=r"CopyLastFrame .*TypeError.* config\(\) has to give"
    ):
        build_predictor({"class": "CopyLastFrame", "arguments": {"scales": 3}})


def test_only_our_predictors_are_built() -> None:
    description = describe_predictor(CopyLastFrame(context_frames=2))
    assert build_predictor(description).context_frames == 2
    for name in ("os", "Predictor.__subclasses__", "MultiScaleDiscriminator", "load_predictor"):
        with pytest.raises(CheckpointError, match=r"none of this version's.*vidpred validate -c"):
            build_predictor({"class": name, "arguments": {}})


@pytest.mark.parametrize(
    "spoilt",
    [
        {"vidpred_resume": 5},
        {"loops": {}},
        {"loops": {"fit_loop": 3}},
        {"optimizer_states": [5]},
        {"vidpred_configuration": [1]},
    ],
)
def test_a_spoilt_state_of_a_training_is_refused(spoilt: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    content = {
        "vidpred": {"predictor": {}, "batches_seen": 0},
        "state_dict": {},
        "pytorch-lightning_version": "2",
        "optimizer_states": [{}],
        "loops": {"fit_loop": {}},
    }
    torch.save(content, path)
    read_resumable(path)
    torch.save({**content, **spoilt}, path)
    with pytest.raises(CheckpointError, match=r"x\.ckpt: damaged, the state of its training"):
        read_resumable(path)


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
def test_sparse_weights_are_refused(tmp_path: Path) -> None:
    network = MultiScaleGenerator([GeneratorScale((4,), (3, 3))])
    path = tmp_path / "x.ckpt"
    weights = {f"generator.{name}": w.to_sparse() for name, w in network.state_dict().items()}
    said = {"predictor": describe_predictor(network), "batches_seen": 1}
    content = {"vidpred": said, "state_dict": weights, "pytorch-lightning_version": "2"}
    torch.save(content, path)
    with pytest.raises(CheckpointError, match="is sparse floating point"):
        load_predictor(path)
    torch.save({**content, "vidpred": {**said, "batches_seen": "many"}}, path)
    with pytest.raises(CheckpointError, match="its description is not as"):
        load_predictor(path)
