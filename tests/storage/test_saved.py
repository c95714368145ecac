import json
import os
import pickle
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging
from safetensors.torch import load_file, save_file
from worlds import loader, moving_squares, trainer

import vidpred
from vidpred.errors import CheckpointError
from vidpred.models import GeneratorScale, MultiScaleGenerator, Predictor
from vidpred.storage import load_predictor
from vidpred.storage.checkpoint import read_checkpoint
from vidpred.storage.description import describe_frames, describe_predictor
from vidpred.storage.safetensors import FORMAT, METADATA_KEY
from vidpred.storage.saved import (
    SavedPredictor,
    find_saved,
    header_of,
    packaged_weights,
    read_saved,
    write_saved,
)
from vidpred.tasks import ReconstructionTask


def tiny() -> MultiScaleGenerator:
    torch.manual_seed(0)
    scales = (GeneratorScale((4,), (3, 3)), GeneratorScale((4, 4), (5, 3, 3)))
    return MultiScaleGenerator(scales, context_frames=2)


def saved(predictor: Predictor) -> SavedPredictor:
    return SavedPredictor(
        path=Path("somewhere"),
        description=describe_predictor(predictor),
        weights=predictor.state_dict(),
        batches_seen=7,
        averaged=True,
        training={"seed": 1, "commit": "abc", "data": "moving shapes, größer"},
        scores=[{"protocol": "quick", "psnr": 20.5}],
        frames=describe_frames(predictor),
    )


def write_raw(path: Path, weights: dict[str, torch.Tensor], header: Any) -> Path:
    save_file(weights, path, metadata={METADATA_KEY: json.dumps(header)})
    return path


def header(**changes: Any) -> dict[str, Any]:
    return {"format": FORMAT, **header_of(saved(tiny())), **changes}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    network = tiny()
    path = tmp_path / "tiny.safetensors"
    write_saved(path, saved(network))
    again = read_saved(path)
    assert header_of(again) == header_of(saved(network))
    context = torch.rand(2, 2, 3, 11, 13)
    with torch.inference_mode():
        loaded = vidpred.load(path)(context, 3)
        # Rounded otherwise, with the channels innermost.
        torch.testing.assert_close(loaded, network.eval()(context, 3), rtol=0, atol=1e-6)
    assert [entry.name for entry in tmp_path.iterdir()] == ["tiny.safetensors"]
    write_saved(tmp_path / "twice.safetensors", saved(network))
    assert (tmp_path / "twice.safetensors").read_bytes() == path.read_bytes()


def test_other_programs_read_the_weights(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    write_saved(path, saved(tiny()))
    plain = load_file(path)
    assert plain.keys() == tiny().state_dict().keys()
    assert all(torch.equal(plain[name], value) for name, value in tiny().state_dict().items())


def test_half_precision_fits(tmp_path: Path) -> None:
    half = replace(saved(tiny()), weights={k: v.half() for k, v in tiny().state_dict().items()})
    write_saved(tmp_path / "half.safetensors", half)
    loaded = load_predictor(tmp_path / "half.safetensors")
    assert all(parameter.dtype == torch.float32 for parameter in loaded.parameters())


def test_a_pickle_under_our_ending_is_refused(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / "weights.safetensors"
    torch.save(Hostile(), path)
    for content in (path.read_bytes(), pickle.dumps(Hostile(), protocol=4)):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="could run code"):
            load_predictor(path)
    assert not (tmp_path / "ran").exists()


def test_damaged_and_hostile_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    write_saved(path, saved(tiny()))
    whole = path.read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    contents = {
        "nothing": b"",
        "text": b"not a network at all",
        "cut in the header": whole[:50],
        "cut in the weights": whole[:-5],
        "longer than its header says": whole + b"\0",
        "a header of an exabyte": struct.pack("<Q", 1 << 60) + whole[8:],
        "a header of 50 MB": struct.pack("<Q", 50 << 20) + b"{" + b" " * (50 << 20),
        "a header that is no JSON": whole[:9] + b"]" * (length - 1) + whole[8 + length :],
        "deep JSON": struct.pack("<Q", 400_000) + b'{"a":' * 80_000,
    }
    for content in contents.values():
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"tiny\.safetensors: damaged"):
            load_predictor(path)


def test_one_changed_bit_is_found(tmp_path: Path) -> None:
    path, network = tmp_path / "tiny.safetensors", tiny()
    write_saved(path, saved(network))
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"tiny\.safetensors: damaged, its weights are not"):
        load_predictor(path)
    write_raw(path, network.state_dict(), header())  # as in files without a digest
    assert load_predictor(path).state_dict().keys() == network.state_dict().keys()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": "vidpred predictor 99"}, "predictor 99"),
        ({"predictor": {"class": "os.system", "arguments": {}}}, "none of this version"),
        ({"predictor": {"class": "Predictor", "arguments": {}}}, "cannot be built"),
        ({"predictor": {"class": "MultiScaleGenerator", "arguments": [1]}}, "no mapping"),
        ({"predictor": 3}, "not as `vidpred export` writes it"),
        ({"training": 3}, "not as `vidpred export` writes it"),
        ({"batches_seen": "many"}, "not as `vidpred export` writes it"),
        ({"frames": {"range": [0, 255]}}, "use the version that wrote it"),
    ],
)
def test_headers_that_are_not_ours_are_refused(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    path = write_raw(tmp_path / "changed.safetensors", tiny().state_dict(), header(**changes))
    with pytest.raises(CheckpointError, match=reason) as refusal:
        load_predictor(path)
    assert "changed.safetensors" in str(refusal.value)


def test_foreign_safetensors_are_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.rand(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match="no description of a predictor"):
        load_predictor(tmp_path / "foreign.safetensors")


def test_a_file_cannot_ask_for_a_gigantic_network(tmp_path: Path) -> None:
    arguments = tiny().config()
    for hidden in (10**6, 10**9, 10**30):  # 2 GB of weights a layer, 4 EB, more than 64 bits count
        arguments["scales"][0] = {"hidden": [hidden, hidden], "kernels": [3, 3, 3]}
        described = {"class": "MultiScaleGenerator", "arguments": arguments}
        path = write_raw(
            tmp_path / "giant.safetensors", tiny().state_dict(), header(predictor=described)
        )
        with pytest.raises(CheckpointError, match=r"giant\.safetensors"):
            load_predictor(path)


def test_weights_of_another_network_are_named(tmp_path: Path) -> None:
    weights = tiny().state_dict()
    wrong_shape = {**weights, "networks.0.0.bias": torch.zeros(5)}
    missing = {name: value for name, value in weights.items() if name != "networks.0.0.bias"}
    integers = {**weights, "networks.0.0.bias": torch.zeros(4, dtype=torch.int64)}
    for changed, reason in (
        (wrong_shape, r"networks\.0\.0\.bias is floating point \(5,\), expected .*\(4,\)"),
        (missing, r"networks\.0\.0\.bias is missing"),
        (integers, r"networks\.0\.0\.bias is torch\.int64"),
        ({**weights, "more": torch.zeros(1)}, "more is floating point .* expected missing"),
    ):
        path = write_raw(tmp_path / "wrong.safetensors", changed, header())
        with pytest.raises(CheckpointError, match=reason):
            load_predictor(path)


def test_names_are_found_and_files_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        find_saved("nobody-trained-this")
    for name, path in packaged_weights().items():
        assert find_saved(name) == path
        (tmp_path / name).mkdir()  # a folder is no checkpoint
        assert find_saved(name) == path
        (tmp_path / name).rmdir()
        (tmp_path / name).touch()
        assert find_saved(name) == Path(name)
    for foreign in ("net.onnx", "net.pt2"):
        Path(foreign).touch()
        with pytest.raises(CheckpointError, match="exported for other programs"):
            vidpred.load(foreign)


def test_a_folder_for_the_hub_is_loaded_from_the_disk_too(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    write_saved(tmp_path / "mine/model.safetensors", saved(tiny()))
    assert find_saved(tmp_path / "mine") == tmp_path / "mine/model.safetensors"
    assert type(load_predictor(tmp_path / "mine")) is type(tiny())


def test_training_does_not_go_on_from_weights_alone(tmp_path: Path) -> None:
    write_saved(tmp_path / "tiny.safetensors", saved(tiny()))
    with pytest.raises(CheckpointError, match="no training can resume"):
        read_checkpoint(tmp_path / "tiny.safetensors")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    for name in ("closed.ckpt", "closed.safetensors"):
        (tmp_path / name).touch(mode=0)
        with pytest.raises(CheckpointError, match=name):
            read_saved(tmp_path / name)


class SavesItself(EMAWeightAveraging):
    """Writes a checkpoint within the training; Lightning keeps the average in these alone."""

    def __init__(self, path: Path) -> None:
        super().__init__(decay=0.5)
        self.path = path

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        trainer.save_checkpoint(self.path)


def test_averaged_weights_are_taken_where_the_training_kept_them(tmp_path: Path) -> None:
    path = tmp_path / "averaged.ckpt"
    engine = trainer(callbacks=[SavesItself(path)])
    task = ReconstructionTask(tiny())
    engine.fit(task, loader(moving_squares(4, frames=3), 2))
    held, checkpoint = read_saved(path), read_checkpoint(path)
    assert held.averaged
    average, last = checkpoint["state_dict"], checkpoint["current_model_state"]
    name = "networks.0.0.weight"
    assert not torch.equal(average[f"generator.{name}"], last[f"generator.{name}"])
    assert torch.equal(load_predictor(path).state_dict()[name], average[f"generator.{name}"])
