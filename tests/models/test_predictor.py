from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from vidpred.errors import NetworkError
from vidpred.models import (
    Condition,
    CopyLastFrame,
    DCGANGenerator,
    Likelihood,
    MultiScaleGenerator,
    Predictor,
)
from vidpred.ops import normal_like


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


class Streaming(Brighten):
    """Gives frame by frame what it predicts, and leaves conditions out of its arguments."""

    def rollout_frames(self, window: Tensor, horizon: int) -> Iterator[Tensor]:
        for k in range(horizon):
            yield window[:, -1] + k


def test_conditions_are_given_to_those_alone_who_name_some() -> None:
    context = torch.rand(1, 2, 1, 4, 4)
    for k, frame in enumerate(Streaming().stream(context, 3)):
        assert torch.equal(frame, context[:, -1] + k)


def test_any_size_is_taken_where_a_network_names_none() -> None:
    assert CopyLastFrame().image_size is None
    assert DCGANGenerator.from_preset("cpu", image_size=16).image_size == 16


def test_a_network_of_scales_is_conditioned_on_nothing() -> None:
    class Conditioned(MultiScaleGenerator):
        conditions = ("actions",)

    with pytest.raises(NetworkError, match=r"conditioned on actions.*derive it from .*Predictor"):
        Conditioned.from_preset("small")


def test_horizon_0_and_short_context_are_refused() -> None:
    with pytest.raises(ValueError, match="horizon is 0"):
        Brighten()(torch.zeros(1, 2, 1, 4, 4), 0)
    with pytest.raises(ValueError, match="context has 1 frame; expected at least 2"):
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


class Steered(Predictor):
    """Adds the action of each frame that it predicts: two frames a step."""

    conditions = ("actions",)

    def __init__(self) -> None:
        super().__init__(context_frames=2, output_frames=2, channels=1)
        self.seen: list[list[float]] = []

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        assert condition is not None
        actions = condition["actions"]
        self.seen.append(actions[0].tolist())
        return context[:, -1:] + actions[:, 2:].cumsum(1)[:, :, None, None, None]

    def config(self) -> dict[str, Any]:
        return {}


def test_each_step_sees_the_conditions_of_its_own_frames() -> None:
    steered = Steered()
    actions = torch.tensor([[9.0, 0.0, 0.0, 0.1, 0.2, 0.3]])  # three frames known, three to come
    pred = steered(torch.zeros(1, 3, 1, 2, 2), 3, condition={"actions": actions, "other": actions})
    torch.testing.assert_close(pred[0, :, 0, 0, 0], torch.tensor([0.1, 0.3, 0.6]))
    # The window of two frames, the two of the step; the last entry stands in beyond the horizon.
    expected = torch.tensor([[0.0, 0.0, 0.1, 0.2], [0.1, 0.2, 0.3, 0.3]])
    torch.testing.assert_close(torch.tensor(steered.seen), expected)


def test_a_missing_or_misshapen_condition_is_refused() -> None:
    context = torch.zeros(1, 2, 1, 2, 2)
    with pytest.raises(ValueError, match="Steered needs the condition actions; given: none"):
        Steered()(context, 3)
    with pytest.raises(ValueError, match="needs the condition actions; given: pose"):
        Steered().sample(context, 3, condition={"pose": torch.zeros(1, 5)})
    with pytest.raises(ValueError, match=r"actions has shape \(1, 4\); expected \(1, 5, ...\)"):
        Steered()(context, 3, condition={"actions": torch.zeros(1, 4)})


def test_a_wrong_number_of_channels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"context has 3 channels.*Steered expects 1"):
        Steered()(torch.zeros(1, 2, 3, 2, 2), 1, condition={"actions": torch.zeros(1, 3)})
    assert Brighten().channels is None


def test_what_is_not_stochastic_repeats_its_only_future() -> None:
    context = torch.rand(2, 2, 3, 4, 4)
    futures = Brighten().sample(context, 3, num_samples=4)
    assert futures.shape == (4, 2, 3, 3, 4, 4)
    assert torch.equal(futures, Brighten()(context, 3).expand(4, -1, -1, -1, -1, -1))
    with pytest.raises(ValueError, match="num_samples is 0; expected a whole number"):
        Brighten().sample(context, 3, num_samples=0)


class Wandering(Predictor):
    """A random walk of whole frames: adds one normal number a clip."""

    def __init__(self) -> None:
        super().__init__(context_frames=1, size_multiple=4, stochastic=True)

    def step(self, context: Tensor) -> Tensor:  # as networks of 0.1 define it
        return context

    def sample_step(
        self,
        context: Tensor,
        *,
        generator: torch.Generator | None = None,
        condition: Condition | None = None,
    ) -> Tensor:
        return context + normal_like(context[..., :1, :1, :1], generator)

    def config(self) -> dict[str, Any]:
        return {}


def test_draws_of_a_stochastic_predictor_are_fed_back_and_repeatable() -> None:
    places = torch.tensor([0.0, 100.0, 200.0])
    context = places.view(3, 1, 1, 1, 1).expand(3, 1, 1, 5, 6)

    def draw(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return Wandering().sample(context, 50, num_samples=100, generator=generator)

    futures = draw(0)
    assert futures.shape == (100, 3, 50, 1, 5, 6)
    assert torch.equal(futures, draw(0))
    assert not torch.equal(futures, draw(1))
    # The steps of a random walk: 300 walks of 50 independent standard normal numbers.
    steps = futures[..., 0, 0, 0].diff(dim=2)
    assert abs(float(steps.mean())) < 0.03
    assert float(steps.std()) == pytest.approx(1, abs=0.03)
    assert len(steps.flatten(0, 1).unique(dim=0)) == 300
    # Each clip's walks start where it is.
    assert (futures[:, :, 0, 0, 0, 0] - places).abs().max() < 6
    assert torch.equal(Wandering()(context, 2), context.expand(3, 2, 1, 5, 6))


def test_a_stochastic_predictor_has_to_say_how_to_draw() -> None:
    class Mute(Brighten):
        stochastic = True

    with pytest.raises(NetworkError, match=r"Mute is stochastic.*sample_step"):
        Mute()


class Wrong(Predictor):
    """Gives what it is told to."""

    def __init__(self, given: object) -> None:
        super().__init__(context_frames=1, output_frames=2, stochastic=True)
        self.given = given

    def step(self, context: Tensor) -> Tensor:
        return self.given  # type: ignore[return-value]

    def sample_step(self, context: Tensor, *, generator: object = None) -> Tensor:
        return self.given  # type: ignore[return-value]

    def config(self) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (torch.zeros(1, 1, 3, 4, 4), r"\(1, 1, 3, 4, 4\)"),  # fewer frames than it declares
        (torch.zeros(1, 3, 3, 4, 4), r"\(1, 3, 3, 4, 4\)"),
        (torch.zeros(1, 3, 4, 4), r"\(1, 3, 4, 4\)"),
        (torch.zeros(1, 2, 3, 2, 2), r"\(1, 2, 3, 2, 2\)"),
        ((torch.zeros(1, 2, 3, 4, 4), {}), "a tuple"),
    ],
)
def test_a_step_of_another_shape_is_refused(given: object, found: str) -> None:
    context = torch.zeros(1, 1, 3, 4, 4)
    expected = rf"{found} for a context of shape .*here \(1, 2, 3, 4, 4\)"
    with pytest.raises(NetworkError, match=rf"Wrong\.step gave {expected}"):
        Wrong(given)(context, 3)
    with pytest.raises(NetworkError, match=rf"Wrong\.sample_step gave {expected}"):
        Wrong(given).sample(context, 3)


def test_a_horizon_that_is_no_whole_number_is_refused() -> None:
    with pytest.raises(TypeError, match=r"horizon is 2\.0, a float; expected a whole number"):
        CopyLastFrame()(torch.zeros(1, 1, 3, 4, 4), 2.0)  # type: ignore[arg-type]


def test_a_likelihood_is_told_by_its_method() -> None:
    class Sure(Brighten):
        def log_prob(
            self, context: Tensor, target: Tensor, *, condition: Condition | None = None
        ) -> Tensor:
            return target.new_zeros(target.shape[:2])

    assert isinstance(Sure(), Likelihood)
    assert not isinstance(Brighten(), Likelihood)
