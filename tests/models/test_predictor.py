from typing import Any

import pytest
import torch
from torch import Tensor

from vidpred.models import CopyLastFrame, MultiScaleGenerator, Predictor


class Brighten(Predictor):
    """Adds 0.1 and 0.2 to the last frame: two frames a step, so that rollout can be counted."""

    def __init__(self, size_multiple: int = 1) -> None:
        super().__init__(context_frames=2, output_frames=2, size_multiple=size_multiple)
        self.seen: list[tuple[int, ...]] = []

    def step(self, context: Tensor) -> Tensor:
        self.seen.append(tuple(context.shape))
        return context[:, -1:] + torch.tensor([0.1, 0.2]).view(1, 2, 1, 1, 1)

    def config(self) -> dict[str, Any]:
        return {}


def test_predictions_are_fed_back_until_the_horizon() -> None:
    pred = Brighten()(torch.zeros(1, 2, 1, 4, 4), 5)
    assert pred.shape == (1, 5, 1, 4, 4)
    torch.testing.assert_close(pred[0, :, 0, 0, 0], torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5]))


def test_only_the_last_context_frames_count() -> None:
    predictor = Brighten()
    predictor(torch.zeros(1, 7, 1, 4, 4), 1)
    assert predictor.seen == [(1, 2, 1, 4, 4)]


def test_any_size_is_padded_by_repeating_and_cropped() -> None:
    predictor = Brighten(size_multiple=8)
    context = torch.rand(1, 2, 3, 13, 9)
    pred = predictor(context, 1)
    assert predictor.seen == [(1, 2, 3, 16, 16)]
    torch.testing.assert_close(pred, context[:, -1:] + 0.1)


@pytest.mark.parametrize("size", [(8, 8), (1, 1), (37, 51)])
def test_the_generator_takes_any_size(size: tuple[int, int]) -> None:
    pred = MultiScaleGenerator.from_preset("small")(torch.rand(1, 4, 3, *size), 2)
    assert pred.shape == (1, 2, 3, *size)
    assert pred.min() >= 0
    assert pred.max() <= 1


class FarSighted(Predictor):
    """Tells the size that it sees and the horizon that it is asked for, all frames at once."""

    def __init__(self) -> None:
        super().__init__(context_frames=2, size_multiple=8)

    def step(self, context: Tensor) -> Tensor:
        raise AssertionError("not recursive")

    def rollout(self, window: Tensor, horizon: int) -> Tensor:
        assert window.shape == (1, 2, 1, 16, 8)
        return window[:, -1:] + torch.arange(horizon).view(1, -1, 1, 1, 1)

    def config(self) -> dict[str, Any]:
        return {}


def test_a_predictor_that_is_not_recursive_is_padded_and_cropped_too() -> None:
    context = torch.rand(1, 3, 1, 9, 5)
    pred = FarSighted()(context, 3)
    assert torch.equal(pred, context[:, -1:] + torch.arange(3).view(1, 3, 1, 1, 1))


def test_horizon_0_and_short_context_are_refused() -> None:
    with pytest.raises(ValueError, match="horizon is 0"):
        Brighten()(torch.zeros(1, 2, 1, 4, 4), 0)
    with pytest.raises(ValueError, match="context has 1 frames; expected at least 2"):
        Brighten()(torch.zeros(1, 1, 1, 4, 4), 1)
    with pytest.raises(ValueError, match=r"expected \(B, T, C, H, W\)"):
        Brighten()(torch.zeros(2, 1, 4, 4), 1)


def test_frames_of_8_bits_are_refused_by_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"uint8; expected floating point.*to_unit"):
        Brighten()(torch.zeros(1, 2, 1, 4, 4, dtype=torch.uint8), 1)


def test_copy_last_frame_says_that_nothing_moves() -> None:
    context = torch.rand(2, 4, 3, 5, 7)
    pred = CopyLastFrame(context_frames=4)(context, 3)
    assert torch.equal(pred, context[:, -1:].expand(-1, 3, -1, -1, -1))
