"""`MultiScaleGenerator` that predicts the change of the last frame, and its training in steps."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from vidpred.errors import CheckpointError, SettingError
from vidpred.losses import MultiScaleLoss
from vidpred.models import CopyLastFrame, GeneratorScale, MultiScaleGenerator
from vidpred.ops import pyramid
from vidpred.storage import load_predictor, residual_generator
from vidpred.tasks import ReconstructionTask

SCALES = (GeneratorScale((4,), (3, 3)), GeneratorScale((4, 4), (5, 3, 3)))


def residual(**options: Any) -> MultiScaleGenerator:
    """Give one with weights that are not at zero."""
    torch.manual_seed(0)
    generator = MultiScaleGenerator(SCALES, context_frames=2, residual_to="last_frame", **options)
    for network in generator.networks:
        torch.nn.init.normal_(network[-1].weight, std=0.05)  # type: ignore[index]
    return generator


def test_untrained_it_copies_the_last_frame_exactly_in_color() -> None:
    # Full colors, black and white: where a tanh cannot go.
    context = torch.randint(2, (2, 4, 3, 16, 24)).float()
    generator = MultiScaleGenerator.from_preset("small", residual_to="last_frame")
    torch.testing.assert_close(generator(context, 8), CopyLastFrame()(context, 8))


@pytest.mark.parametrize("output_frames", [1, 2])
def test_each_scale_adds_to_the_enlarged_change(output_frames: int) -> None:
    generator = residual(output_frames=output_frames)
    context = torch.rand(2, 2, 3, 16, 12) * 2 - 1
    coarse, fine = (past.flatten(1, 2) for past in pyramid(context, 2))
    last = [past[:, -3:].repeat(1, output_frames, 1, 1) for past in (coarse, fine)]
    change = generator.networks[0](coarse)
    guess = last[0] + change
    seen = torch.cat([fine, F.interpolate(guess, scale_factor=2)], dim=1)
    finer = last[1] + F.interpolate(change, scale_factor=2) + generator.networks[1](seen)
    for pred, expected in zip(generator.forward_scales(context), (guess, finer), strict=True):
        torch.testing.assert_close(pred.flatten(1, 2), expected)


def test_gradient_reaches_every_network() -> None:
    generator = residual()
    generator.forward_scales(torch.rand(1, 2, 3, 8, 8))[-1].square().sum().backward()
    for network in generator.networks:
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_predictions_stay_in_range() -> None:
    generator = residual()
    with torch.no_grad():
        generator.networks[-1][-1].bias.fill_(3.0)  # type: ignore[index]
    assert generator(torch.rand(1, 2, 3, 8, 8), 2).max() == 1


def test_the_configuration_rebuilds_it_and_that_of_the_paper_is_as_in_0_1() -> None:
    generator = residual()
    rebuilt = MultiScaleGenerator.from_config(generator.config())
    rebuilt.load_state_dict(generator.state_dict())
    context = torch.rand(1, 2, 3, 8, 8)
    torch.testing.assert_close(rebuilt(context, 1), generator(context, 1))
    assert "residual_to" not in MultiScaleGenerator(SCALES, context_frames=2).config()


def test_an_unknown_residual_is_refused() -> None:
    with pytest.raises(ValueError, match="residual_to is 'frame'; expected guess or last_frame"):
        MultiScaleGenerator(SCALES, residual_to="frame")  # type: ignore[arg-type]


def test_training_in_steps_feeds_predictions_back() -> None:
    generator = residual()
    task = ReconstructionTask(generator, unrolled_steps=3, loss=MultiScaleLoss(p=1))
    assert task.training_horizon == 3
    frames = torch.randint(256, (2, 5, 3, 8, 8), dtype=torch.uint8)
    objective: Any = task.objective({"frames": frames})
    # What is fed back is what is used: the rollout of the predictor, cut to [0, 1].
    expected = generator(frames[:, :2] / 255, 3)
    finest = (objective.preds[-1].clamp(-1, 1) + 1) / 2
    torch.testing.assert_close(finest, expected, atol=1e-5, rtol=0)
    assert [tuple(pred.shape) for pred in objective.preds] == [(2, 3, 3, 4, 4), (2, 3, 3, 8, 8)]


def test_the_last_step_teaches_the_first_prediction() -> None:
    generator = residual()
    task = ReconstructionTask(generator, unrolled_steps=2, loss=MultiScaleLoss(p=1))
    context = torch.rand(1, 2, 3, 8, 8) - 0.5
    preds = task._predict_scales(context)[-1]
    (by_itself,) = torch.autograd.grad(
        generator.forward_scales(torch.cat([context[:, 1:], preds[:, :1].detach()], dim=1))[
            -1
        ].sum(),
        generator.networks[0][-1].bias,  # type: ignore[index]
    )
    (through,) = torch.autograd.grad(preds[:, 1].sum(), generator.networks[0][-1].bias)  # type: ignore[index]
    assert not torch.allclose(by_itself, through, rtol=1e-2)


def test_predictors_without_scales_take_a_horizon_instead() -> None:
    with pytest.raises(SettingError, match="has no scales; expected horizon 4 instead"):
        ReconstructionTask(CopyLastFrame(), unrolled_steps=4)


def test_it_starts_from_the_hidden_layers_of_a_trained_one() -> None:
    generator = residual_generator("small")
    context = torch.rand(1, 4, 3, 16, 16)
    torch.testing.assert_close(generator(context, 2), CopyLastFrame()(context, 2))
    assert generator.training
    trained = load_predictor("small")
    assert torch.equal(generator.networks[3][0].weight, trained.networks[3][0].weight)  # type: ignore[index]


def test_other_predictors_are_no_start() -> None:
    with pytest.raises(CheckpointError, match="holds a CopyLastFrame; expected a MultiScaleGen"):
        residual_generator("copy_last")
