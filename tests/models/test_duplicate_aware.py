"""Optical flow that looks past duplicates, on motion that is known."""

import json
from typing import Any

import pytest
import torch
from flow.patterns import moving_texture

from vidpred.flow import DISFlow
from vidpred.metrics import psnr
from vidpred.models import CopyLastFrame, DuplicateAwareFlowExtrapolation, OpticalFlowExtrapolation
from vidpred.storage import build_predictor
from vidpred.storage.description import describe_predictor

INSIDE = (..., slice(24, -24), slice(24, -24))
"""What comes in from outside is not known to any predictor."""


def test_without_duplicates_it_is_optical_flow_extrapolation() -> None:
    frames = moving_texture((1.6, -0.9), num_frames=5)[None]
    assert torch.equal(
        DuplicateAwareFlowExtrapolation()(frames, 3), OpticalFlowExtrapolation()(frames, 3)
    )


@pytest.mark.parametrize("color", ["rgb", "gray"])
def test_a_cadence_is_predicted_better_than_by_copying_and_by_flow(color: str) -> None:
    frames = moving_texture((2.5, -1.5), num_frames=6)[None]
    if color == "gray":
        frames = frames.mean(dim=2, keepdim=True)
    else:
        frames = frames.expand(-1, -1, 3, -1, -1)
    # Two frames of every three moments: the last known frame repeats the one before it.
    context, future = frames[:, [0, 1, 2, 2]], frames[:, 3:6]
    predictors = (DuplicateAwareFlowExtrapolation(), OpticalFlowExtrapolation(), CopyLastFrame())
    aware, flow, copied = (
        psnr(predictor(context, 3)[INSIDE], future[INSIDE], data_range=1.0)[0]
        for predictor in predictors
    )
    # The duplicate is exact, so plain flow is zero and copies.
    torch.testing.assert_close(flow, copied, atol=0.01, rtol=0)
    assert (aware > 27).all()
    assert (aware > flow + 8).all()


def test_what_nearly_repeats_a_frame_is_looked_past_and_what_speeds_up_is_not() -> None:
    frames = moving_texture((2.5, -1.5), num_frames=6)[None]
    aware, flow = DuplicateAwareFlowExtrapolation(), OpticalFlowExtrapolation()
    coded = frames[:, [0, 1, 2, 2]].clone()
    coded[:, 3] = 0.9 * frames[:, 2] + 0.1 * frames[:, 3]  # a tenth of the way on
    torch.testing.assert_close(aware(coded, 2), flow(frames[:, :3], 2), atol=0.1, rtol=0)
    assert (aware(coded, 2) - flow(coded, 2)).abs().mean() > 0.01
    # The pair before the last one nearly repeats: what moves now is what counts.
    assert torch.equal(aware(frames[:, [0, 0, 1]], 2), flow(frames[:, [0, 1]], 2))


def test_each_clip_of_a_batch_is_judged_alone() -> None:
    frames = moving_texture((2.0, 1.0), num_frames=4)[None]
    context = torch.cat((frames[:, [0, 1, 2]], frames[:, [0, 1, 1]]))
    predictor = DuplicateAwareFlowExtrapolation()
    both = predictor(context, 2)
    for k in range(2):
        torch.testing.assert_close(both[k : k + 1], predictor(context[k : k + 1], 2))
    assert (both[0] - both[1]).abs().max() > 0.01


@pytest.mark.parametrize("size", [(1, 1), (15, 64), (37, 51)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_still_clip_stays(channels: int, size: tuple[int, int]) -> None:
    last = torch.rand(2, 1, channels, *size)
    pred = DuplicateAwareFlowExtrapolation()(last.expand(-1, 4, -1, -1, -1), 4)
    torch.testing.assert_close(pred, last.expand(-1, 4, -1, -1, -1), atol=1e-4, rtol=0)


def test_it_is_built_again_from_its_configuration() -> None:
    predictor = DuplicateAwareFlowExtrapolation(DISFlow("fast"), context_frames=4)
    description: dict[str, Any] = json.loads(json.dumps(describe_predictor(predictor)))
    again = build_predictor(description)
    assert type(again) is DuplicateAwareFlowExtrapolation
    assert again.config() == predictor.config()
    assert not again.state_dict()


def test_two_frames_show_no_cadence() -> None:
    with pytest.raises(ValueError, match="context_frames is 2; expected at least 3"):
        DuplicateAwareFlowExtrapolation(context_frames=2)
