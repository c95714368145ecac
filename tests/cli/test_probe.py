"""`vidpred probe` on a toy data set in UCF101's layout."""

import json
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from vidpred.cli.main import main
from vidpred.errors import CheckpointError
from vidpred.losses import MultiScaleLoss
from vidpred.models import (
    ClipDiscriminator,
    DCGANDiscriminator,
    MultiScaleDiscriminator,
    MultiScaleGenerator,
)
from vidpred.storage.discriminators import load_discriminator, untrained
from vidpred.tasks import AdversarialTask


def discriminator(kind: str) -> ClipDiscriminator:
    if kind == "dcgan":
        return DCGANDiscriminator.from_preset("cpu", image_size=16)
    return MultiScaleDiscriminator.from_preset("single_scale_small", patch_size=32)


def save(path: Path, kind: str = "multiscale") -> AdversarialTask:
    """Write what a checkpoint of adversarial training holds of its networks."""
    task = AdversarialTask(
        MultiScaleGenerator.from_preset("single_scale_small"),
        discriminator(kind),
        loss=MultiScaleLoss(),
    )
    held = {"version": "0.1", "batches_seen": 1, "training": {}, **task._networks()}
    checkpoint = {
        "state_dict": task.state_dict(),
        "pytorch-lightning_version": pl.__version__,
        "vidpred": held,
    }
    torch.save(checkpoint, path)
    return task


@pytest.mark.parametrize("kind", ["multiscale", "dcgan"])
def test_a_discriminator_is_loaded_as_it_was_saved(kind: str, tmp_path: Path) -> None:
    saved = save(tmp_path / "a.ckpt", kind).discriminator
    loaded = load_discriminator(tmp_path / "a.ckpt")
    assert type(loaded) is type(saved)
    assert not loaded.training
    weights = loaded.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in saved.state_dict().items())
    fresh = untrained(loaded).state_dict()
    assert any(not torch.equal(value, weights[name]) for name, value in fresh.items())


def test_the_table_has_the_discriminator_a_random_one_and_pixels(
    tmp_path: Path, toy_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "a.ckpt")
    written = tmp_path / "probe.json"
    arguments = [str(tmp_path / "a.ckpt"), "--root", str(toy_root), "--device", "cpu"]
    assert main(["probe", *arguments, "--json", str(written)]) == 0
    table = capsys.readouterr().out
    found = json.loads(written.read_text())
    assert [result["name"] for result in found["results"]] == ["trained", "random", "pixels"]
    classes = len(list((toy_root / "UCF-101").iterdir()))
    assert found["classes"] == classes
    assert f"{classes} classes (chance {1 / classes:.1%})" in table
    for result in found["results"]:
        assert 0 <= result["interval"][0] <= result["top1"] <= result["interval"][1] <= 1
        assert f"| {result['name']} | {result['features']} | {result['top1']:.1%} |" in table


def test_a_checkpoint_without_a_discriminator_is_refused(
    tmp_path: Path, toy_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "a.ckpt")
    checkpoint = torch.load(tmp_path / "a.ckpt", weights_only=True)
    del checkpoint["vidpred"]["discriminator"]
    torch.save(checkpoint, tmp_path / "a.ckpt")
    assert main(["probe", str(tmp_path / "a.ckpt"), "--root", str(toy_root)]) == 2
    assert "holds no discriminator; expected a checkpoint of adv" in capsys.readouterr().err


def test_a_discriminator_of_another_class_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.ckpt")
    checkpoint = torch.load(tmp_path / "a.ckpt", weights_only=True)
    checkpoint["vidpred"]["discriminator"] = {"depth": 3}
    torch.save(checkpoint, tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match="none of this version's; name the module"):
        load_discriminator(tmp_path / "a.ckpt")


def test_a_class_without_training_clips_is_refused(
    tmp_path: Path, toy_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "a.ckpt")
    lists = tmp_path / "lists"
    lists.mkdir()
    for path in (toy_root / "ucfTrainTestlist").iterdir():
        rows = path.read_text().splitlines()
        if path.name.startswith("trainlist"):
            rows = [row for row in rows if not row.startswith("Zoom/")]
        (lists / path.name).write_text("\n".join(rows) + "\n")
    arguments = ["--root", str(toy_root), "--list-dir", str(lists)]
    assert main(["probe", str(tmp_path / "a.ckpt"), *arguments]) == 2
    assert "1 classes of the test clips have no training clip (Zoom)" in capsys.readouterr().err


def test_a_discriminator_without_features_is_refused() -> None:
    class Silent(ClipDiscriminator):
        def forward(self, context: torch.Tensor, candidates: object) -> list[torch.Tensor]:
            return []

        def config(self) -> dict[str, object]:
            return {}

    silent = Silent()
    assert isinstance(silent, nn.Module)
    with pytest.raises(NotImplementedError, match="Silent says not what its features are"):
        silent.features(torch.zeros(1), [])
