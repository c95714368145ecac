import json

import pytest
import torch
from flow.patterns import moving_texture
from jsonargparse import ArgumentParser
from torch import Tensor

from vidpred.flow import (
    DISFlow,
    FrameDifferenceMask,
    MotionMask,
    OpticalFlowMask,
    flow_motion_mask,
)
from vidpred.flow.masks import FlowGrid
from vidpred.ops import frame_difference_mask

SIDE = 24
STEP = 4


def patch_over_ground(num_frames: int) -> tuple[Tensor, list[float]]:
    """A textured patch that moves right over still ground, and the columns of its center."""
    ground = moving_texture((0, 0), num_frames=1)[0] * 0.5
    patch = moving_texture((0, 0), num_frames=1)[0].flip(1)[:, :SIDE, :SIDE]
    frames = ground.repeat(num_frames, 1, 1, 1)
    for t in range(num_frames):
        left = 20 + STEP * t
        frames[t, :, 30 : 30 + SIDE, left : left + SIDE] = patch
    return frames[None], [20 + STEP * t + (SIDE - 1) / 2 for t in range(num_frames)]


def center_column(mask: Tensor) -> float:
    return mask.nonzero()[:, -1].float().mean().item()


def test_what_is_faster_than_four_fifths_of_the_fastest_moves() -> None:
    # Closed form: Baker's wheel is saturated all round, so its darkest channel is 1 - speed, of
    # the fastest pixel; below 0.2 when the speed is above 0.8.
    flow = torch.randn(3, 2, 64, 64) * 5
    speed = flow.norm(dim=1, keepdim=True)
    relative = speed / speed.amax(dim=(2, 3), keepdim=True)
    clear = (relative - 0.8).abs() > 1e-4
    mask = flow_motion_mask(flow)
    assert mask.any(dim=(1, 2, 3)).all()
    assert torch.equal(mask[clear], (relative > 0.8)[clear])
    wide = flow_motion_mask(flow, threshold=0.6)  # 0.6 * 255 is whole too
    clear = (relative - 0.4).abs() > 1e-4
    assert torch.equal(wide[clear], (relative > 0.4)[clear])


def test_a_mask_does_not_depend_on_its_neighbors() -> None:
    flow = torch.randn(2, 3, 2, 32, 32)
    flow[1] *= 100
    mask = flow_motion_mask(flow)
    assert mask.shape == (2, 3, 1, 32, 32)
    assert mask.dtype == torch.bool
    for b in range(2):
        for t in range(3):
            assert torch.equal(mask[b, t], flow_motion_mask(flow[b, t]))
            assert mask[b, t].any()


@pytest.mark.parametrize("threshold", [0.0, 0.2, 1.0])
def test_without_flow_nothing_moves(threshold: float) -> None:
    flow = torch.zeros(2, 2, 16, 16)
    flow[1, 0, 3, 4] = 1.0
    still, moving = flow_motion_mask(flow, threshold)
    assert not still.any()
    assert moving.sum() == (0 if threshold == 0 else 1)


def test_no_flow_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(\.\.\., 2, H, W\)"):
        flow_motion_mask(torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match="NaN or infinite"):
        flow_motion_mask(torch.full((2, 8, 8), torch.nan))
    with pytest.raises(ValueError, match="threshold is 51"):
        flow_motion_mask(torch.zeros(2, 8, 8), threshold=51)


@pytest.mark.parametrize(("grid", "known"), [("previous", 2), ("last", 3)])
def test_the_mask_lies_where_things_were(grid: FlowGrid, known: int) -> None:
    frames, center = patch_over_ground(6)
    mask = OpticalFlowMask(grid=grid)(frames, 2)
    assert mask.shape == (1, 2, 1, 96, 128)
    for target in range(2):
        # Flow bleeds a little over the patch's borders, by less than the patch moves in a frame.
        assert abs(center_column(mask[0, target]) - center[known + target]) < STEP / 2


@pytest.mark.parametrize(
    "mask", [OpticalFlowMask(), OpticalFlowMask(grid="last"), FrameDifferenceMask()]
)
def test_a_mask_never_looks_at_its_target(mask: MotionMask) -> None:
    frames, _ = patch_over_ground(6)
    other = frames.clone()
    other[:, 4] = torch.rand(3, 96, 128)
    first, second = mask(frames, 2)[0], mask(other, 2)[0]
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])  # that target is judged by the one before it
    other[:, 5] = 0
    assert torch.equal(mask(other, 2)[0], second)


def test_clips_of_a_batch_are_masked_one_by_one() -> None:
    clips = torch.cat([patch_over_ground(5)[0], moving_texture((2, 1), num_frames=5)[None]])
    mask = OpticalFlowMask()
    together = mask(clips, 2)
    assert together.shape == (2, 2, 1, 96, 128)
    for b in range(2):
        assert torch.equal(together[b], mask(clips[b : b + 1], 2)[0])


def test_frame_difference_is_the_function_as_an_object() -> None:
    frames = torch.rand(2, 5, 3, 8, 8)
    mask = FrameDifferenceMask(threshold=0.5)(frames, 2)
    assert torch.equal(mask, frame_difference_mask(frames, 2, 0.5))
    assert 0 < mask.float().mean() < 1


def test_masks_are_described_in_plain_values() -> None:
    described = OpticalFlowMask(threshold=0.3, grid="last").describe()
    assert json.loads(json.dumps(described)) == described
    assert described == {
        "name": "OpticalFlowMask",
        "estimator": DISFlow().describe(),
        "threshold": 0.3,
        "grid": "last",
    }
    assert FrameDifferenceMask().describe() == {"name": "FrameDifferenceMask", "threshold": 0.04}


def test_bad_masks_and_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="threshold is 2"):
        FrameDifferenceMask(threshold=2)
    with pytest.raises(ValueError, match="threshold is -1"):
        OpticalFlowMask(threshold=-1)
    with pytest.raises(ValueError, match="grid is 'next'; expected one of previous, last"):
        OpticalFlowMask(grid="next")  # type: ignore[arg-type]  # the mistake under test
    for mask in (FrameDifferenceMask(), OpticalFlowMask()):
        with pytest.raises(ValueError, match="at least 2 context frames"):
            mask(torch.rand(1, 2, 3, 16, 16), 1)
        with pytest.raises(TypeError, match=r"torch\.uint8.*to_unit"):
            mask(torch.zeros(1, 4, 3, 16, 16, dtype=torch.uint8), 1)


def test_yaml_builds_a_mask_and_checks_it() -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--mask", type=MotionMask)
    estimator = {"class_path": "vidpred.flow.DISFlow", "init_args": {"preset": "fast"}}

    def built(**init_args: object) -> MotionMask:
        spec = {"class_path": "vidpred.flow.OpticalFlowMask", "init_args": init_args}
        mask = parser.instantiate(parser.parse_object({"mask": spec})).mask
        assert isinstance(mask, MotionMask)
        return mask

    assert built(estimator=estimator).describe()["estimator"]["preset"] == "fast"
    with pytest.raises(Exception, match="threshold"):
        built(threshold=51)
