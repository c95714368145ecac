"""LPIPS and FVD beside a protocol, from local files of weights."""

import random
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from vidpred.cli.main import main
from vidpred.evaluation import read_result
from vidpred.evaluation.scoring.extras import Features, video_distance
from vidpred.metrics import FVD, LPIPS
from vidpred.models import CopyLastFrame
from vidpred.ops import to_unit
from vidpred.video import read_clip


class Means(nn.Module):
    """Mean of each channel in the first frame and in the whole clip: features (B, 2C)."""

    def forward(self, clips: Tensor) -> Tensor:
        return torch.cat([clips[:, :, 0].mean(dim=(2, 3)), clips.mean(dim=(2, 3, 4))], dim=1)


@pytest.fixture
def networks(tmp_path: Path) -> tuple[Path, Path]:
    """An AlexNet of random weights, and a TorchScript file."""
    alexnet, script = tmp_path / "alexnet.pth", tmp_path / "means.pt"
    torch.save(torchvision.models.alexnet(weights=None).state_dict(), alexnet)
    with warnings.catch_warnings():
        # torch 2.15 deprecates it, and the published networks have no other form.
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")
        torch.jit.script(Means()).save(str(script))  # type: ignore[no-untyped-call]
    return alexnet, script


@pytest.mark.slow
@pytest.mark.parametrize("context", [False, True])
def test_they_are_those_of_the_metrics(
    networks: tuple[Path, Path], context: bool, toy_root: Path, tmp_path: Path
) -> None:
    alexnet, script = networks
    output = tmp_path / "out"
    options = [f"--lpips={alexnet}", f"--fvd={script}", "--fvd_input=unit"]
    options += ["--fvd_context"] * context
    command = ["test", f"--root={toy_root}", f"--output={output}", "--device=cpu", *options]
    assert main(command) == 0
    result = read_result(output / "copy_last.json")
    distance = FVD(script, data_range=1.0, include_context=context, network_input="unit")
    similarity = LPIPS(alexnet, data_range=1.0)
    for row in result["rows"]:
        frames = to_unit(read_clip(toy_root / "UCF-101" / f"{row['video']}.avi", 0, 8))[None]
        known, target = frames[:, :4], frames[:, 4:]
        pred = CopyLastFrame()(known, 4)
        distance.update(pred, target, known)
        similarity.update(pred, target)
    said: dict[str, Any] = result["extras"]["fvd"]
    assert said["value"] == pytest.approx(distance.compute().item(), rel=1e-4)
    assert (said["clips"], said["include_context"]) == (len(result["rows"]), context)
    assert len(said["network_sha256"]) == 64
    assert len(result["extras"]["lpips"]["weights_sha256"]) == 64
    summary = result["summary"]["lpips.alexnet.whole"]
    assert summary["per_frame"] == pytest.approx(similarity.compute().tolist(), rel=1e-4)
    before = (output / "copy_last.json").read_bytes()
    assert main(command) == 0  # nothing is left to do
    assert (output / "copy_last.json").read_bytes() == before


def test_a_missing_file_is_asked_for(
    toy_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = (f"--root={toy_root}", f"--output={tmp_path / 'out'}", "--device=cpu")
    assert main(["test", *folder, "--lpips=none.pth"]) == 2
    assert "alexnet-owt-7be5be79.pth" in capsys.readouterr().err
    assert main(["test", *folder, "--fvd=none.pt"]) == 2
    assert "nothing is downloaded" in capsys.readouterr().err


def test_the_order_of_clips_changes_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    clips: list[Features] = [
        {"pred": pred.tolist(), "target": target.tolist()}
        for pred, target in torch.randn(20, 2, 4, generator=generator)
    ]
    value = video_distance(clips)
    random.Random(1).shuffle(clips)
    assert video_distance(clips) == pytest.approx(value, rel=1e-9)
    assert video_distance(clips[:1]) is None
