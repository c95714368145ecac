"""The toy world with eight futures."""

from typing import Any

import pytest
import torch

from vidpred.cli.main import main
from vidpred.data import ClipAugmentation, EightDirectionsDataModule, render_directions
from vidpred.errors import SettingError


def module(**options: Any) -> EightDirectionsDataModule:
    given = {"num_workers": 0, "batch_size": 64, "mixed_videos": 64, "num_val": 40, "side": 16}
    data = EightDirectionsDataModule(**(given | options))
    data.setup("fit")
    return data


def centers(frames: torch.Tensor) -> torch.Tensor:
    """Center of what is brighter than the ground, relative to the frame's: (..., 2), x then y."""
    light = frames.double() - frames.double().amin(dim=(-2, -1), keepdim=True)
    places = torch.arange(frames.shape[-1]).double() - (frames.shape[-1] - 1) / 2
    total = light.sum(dim=(-2, -1))
    x = (light.sum(-2) * places).sum(-1) / total
    y = (light.sum(-1) * places).sum(-1) / total
    return torch.stack([x, y], dim=-1)


def test_eight_clips_share_a_past_and_leave_by_45_degrees() -> None:
    clips = render_directions(context_frames=3, horizon=1, side=32)
    assert clips.shape == (8, 4, 1, 32, 32)
    assert clips.dtype == torch.uint8
    for clip in clips[1:]:
        assert torch.equal(clip[:3], clips[0, :3])
    assert torch.equal(clips[0, 0], clips[0, 2])
    found = centers(clips)[:, :, 0]
    torch.testing.assert_close(found[:, :3], torch.zeros(8, 3, 2).double(), atol=0.05, rtol=0)
    angles = torch.arange(8).double() * torch.pi / 4
    expected = 8 * torch.stack([angles.cos(), angles.sin()], dim=1)  # a quarter of the side
    torch.testing.assert_close(found[:, 3], expected, atol=0.1, rtol=0)


def test_all_directions_are_drawn_equally_often() -> None:
    data = module(batch_size=128, mixed_videos=128, side=16)
    counts = torch.zeros(8)
    for batch, _ in zip(data.train_dataloader(), range(8), strict=False):
        assert batch["frames"].shape == (128, 3, 1, 16, 16)
        moved = centers(batch["frames"])[:, -1, 0]
        turn = torch.atan2(moved[:, 1], moved[:, 0]) / (torch.pi / 4)
        counts += torch.bincount(turn.round().long() % 8, minlength=8)
    # 128 of each are expected; the deviation of a count is 10.6.
    assert (counts - 128).abs().max() < 4.5 * 10.6


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_clips_depend_on_the_seed_and_their_number_alone() -> None:
    found = []
    for workers in (0, 1):
        data = module(seed=0, num_workers=workers, batch_size=8, mixed_videos=8)
        train, val = (
            next(iter(loader())) for loader in (data.train_dataloader, data.val_dataloader)
        )
        found.append((train["frames"], val["frames"]))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    other = next(iter(module(seed=1, batch_size=8, mixed_videos=8).train_dataloader()))
    assert not torch.equal(found[0][0], other["frames"])


def test_lengths_follow_and_frames_are_brought_to_size_and_color() -> None:
    data = module(context_frames=4, horizon=3, eval_horizon=2, color="rgb", resize=(24, 24))
    assert next(iter(data.train_dataloader()))["frames"].shape == (64, 7, 3, 24, 24)
    assert next(iter(data.val_dataloader()))["frames"].shape[1:] == (6, 3, 24, 24)


def test_refusals(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SettingError, match="side is 8; expected at least 16"):
        EightDirectionsDataModule(8)
    with pytest.raises(SettingError, match=r"expected data\.patch_size null"):
        EightDirectionsDataModule(patch_size=8)
    with pytest.raises(SettingError, match=r"frame_steps are \[1, 2\]; expected \[1\]"):
        EightDirectionsDataModule(augmentation=ClipAugmentation(frame_steps=[1, 2]))
    with pytest.raises(ValueError, match="horizon is 0"):
        render_directions(context_frames=1, horizon=0)
    arguments = ["fit", "-c", "experiment/l2.yaml", "--data=data/eight_directions.yaml"]
    assert main([*arguments, "--print_config"]) == 0
    assert "EightDirectionsDataModule" in capsys.readouterr().out
