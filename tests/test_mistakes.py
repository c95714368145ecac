"""Twelve mistakes of public re-implementations; each test fails when its mistake is put in."""

from functools import partial
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor
from torch.nn import functional as F
from torch.optim import SGD, Optimizer
from worlds import adversarial_task, fit, loader, moving_squares, small_networks, trainer

from vidpred.losses import MultiScaleLoss, gradient_difference_loss, lp_loss
from vidpred.metrics import PSNR, psnr
from vidpred.models import MultiScaleGenerator
from vidpred.ops import pyramid, to_unit, unit_to_signed
from vidpred.tasks import AdversarialTask, NextFrameTask, ReconstructionTask

sgd = partial(SGD, lr=0.1)
NO_RECONSTRUCTION = {"lp_weight": 0.0, "gradient_difference_weight": 0.0}


def weights(module: torch.nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in module.parameters()]


def changed(before: list[Tensor], module: torch.nn.Module) -> bool:
    after = list(module.parameters())
    return any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("judged", range(4))
def test_01_adversarial_gradient_reaches_the_generator_at_every_scale(judged: int) -> None:
    task = adversarial_task(
        loss=MultiScaleLoss(**NO_RECONSTRUCTION),
        adversarial_weight=1.0,
        generator_optimizer=sgd,
        discriminator_optimizer=partial(SGD, lr=0.0),
    )
    with torch.no_grad():
        for k, judge in enumerate(task.discriminator.networks):
            if k != judged:  # blind: its verdict does not depend on what it sees
                next(judge.parameters()).zero_()
    before = [weights(network) for network in task.generator.networks]
    fit(task)
    moved = [changed(b, n) for b, n in zip(before, task.generator.networks, strict=True)]
    # The verdict at one scale moves the network of that scale and the coarser ones below it.
    assert moved == [k <= judged for k in range(4)]


def test_02_discriminator_sees_the_past() -> None:
    _, discriminator = small_networks()
    frames = unit_to_signed(to_unit(torch.stack([c["frames"] for c in moving_squares(2)])))
    context, candidates = frames[:, :4], pyramid(frames[:, 4:], 4)
    logits = discriminator(context, candidates)
    for t in range(4):
        other = context.clone()
        other[:, t] = 0
        for mine, theirs in zip(logits, discriminator(other, candidates), strict=True):
            assert not torch.equal(mine, theirs), f"context frame {t} is not seen"


def test_03_the_enlarged_guess_is_added() -> None:
    generator = MultiScaleGenerator.from_preset("small")
    with torch.no_grad():
        for parameter in generator.networks[1:].parameters():
            parameter.zero_()  # the finer networks correct nothing
    coarse, *finer = generator.forward_scales(torch.rand(1, 4, 3, 32, 32))
    for pred in finer:
        coarse = torch.tanh(F.interpolate(coarse[:, 0], scale_factor=2)).unsqueeze(1)
        torch.testing.assert_close(pred, coarse)


class GradientsAtEachStep(Callback):
    """Notes, whenever an optimizer steps, which network has gradients."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bool, bool]] = []

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        def has_gradient(module: torch.nn.Module) -> bool:
            return any(p.grad is not None and p.grad.any() for p in module.parameters())

        first = optimizer.param_groups[0]["params"][0]
        of_generator = any(first is p for p in pl_module.generator.parameters())
        self.seen.append(
            (
                "generator" if of_generator else "discriminator",
                has_gradient(pl_module.generator),
                has_gradient(pl_module.discriminator),
            )
        )


def test_04_each_phase_moves_one_network() -> None:
    spy = GradientsAtEachStep()
    fit(adversarial_task(), batches=2, callbacks=[spy])
    assert spy.seen == [("discriminator", False, True), ("generator", True, False)] * 2


def test_05_the_phases_learn_from_different_clips() -> None:
    task = adversarial_task()
    contexts: list[set[bytes]] = []

    def note(module: Any, inputs: tuple[Tensor, list[Tensor]]) -> None:
        contexts.append({clip.numpy().tobytes() for clip in inputs[0].detach()})

    task.discriminator.register_forward_pre_hook(note)
    fit(task)
    discriminator_phase, generator_phase = contexts
    assert len(discriminator_phase) == len(generator_phase) == 4
    assert not discriminator_phase & generator_phase


def test_06_gdl_has_three_absolute_values_no_padding_and_two_axes() -> None:
    frames = torch.rand(2, 2, 3, 8, 8)
    # Equal up to sign (inner absolute values), offset (no padding), batch, time and channel (axes).
    for alike in (-frames, frames + 0.5, frames + torch.rand(2, 2, 3, 1, 1)):
        assert gradient_difference_loss(alike, frames).item() == pytest.approx(0, abs=1e-6)
    softer, sharper = frames * 0.5, frames * 1.5
    # Outer absolute value: softer and sharper are equally wrong, and never negative.
    wrong = gradient_difference_loss(softer, frames)
    torch.testing.assert_close(gradient_difference_loss(sharper, frames), wrong)
    assert wrong > 0


@pytest.mark.parametrize("loss", [lp_loss, gradient_difference_loss])
def test_07_losses_are_means(loss: Any) -> None:
    pred, target = torch.rand(1, 1, 3, 16, 16), torch.rand(1, 1, 3, 16, 16)
    torch.testing.assert_close(
        loss(pred.repeat(7, 1, 1, 1, 1), target.repeat(7, 1, 1, 1, 1)), loss(pred, target)
    )

    # Four mirrored copies: four times the pixels, the same differences but for the seam (0 there).
    def mirrored(frames: Tensor) -> Tensor:
        wide = torch.cat([frames, frames.flip(-1)], dim=-1)
        return torch.cat([wide, wide.flip(-2)], dim=-2)

    ratio = loss(mirrored(pred), mirrored(target)) / loss(pred, target)
    assert ratio.item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("term", ["lp_weight", "gradient_difference_weight", "adversarial_weight"])
def test_08_configured_weights_reach_the_loss(term: str) -> None:
    def trained(weight: float) -> list[Tensor]:
        chosen = {**NO_RECONSTRUCTION, "adversarial_weight": 0.0, term: weight}
        adversarial_weight = chosen.pop("adversarial_weight")
        task = adversarial_task(
            loss=MultiScaleLoss(**chosen),
            adversarial_weight=adversarial_weight,
            generator_optimizer=partial(SGD, lr=1e-2),
        )
        before = weights(task.generator)
        fit(task)
        return [b - a for a, b in zip(before, task.generator.parameters(), strict=True)]

    none, once, twice = trained(0.0), trained(1.0), trained(2.0)
    assert not any(step.any() for step in none)
    assert all(step.any() for step in once)
    for one, two in zip(once, twice, strict=True):
        torch.testing.assert_close(two, 2 * one, rtol=1e-2, atol=1e-6)


def test_09_psnr_has_no_implied_range() -> None:
    frames = torch.rand(1, 1, 3, 16, 16)
    with pytest.raises(TypeError, match="data_range"):
        psnr(frames, frames)  # type: ignore[call-arg]


def test_10_scores_are_the_mean_of_db() -> None:
    target = torch.zeros(2, 1, 3, 16, 16)
    pred = torch.stack([torch.full((1, 3, 16, 16), 0.1), torch.full((1, 3, 16, 16), 0.001)])
    metric = PSNR(data_range=1.0)
    metric.update(pred, target)
    # 20 dB and 60 dB; the dB of the mean squared error would be 23 dB.
    torch.testing.assert_close(
        metric.per_frame().float(), torch.tensor([40.0]), rtol=1e-4, atol=1e-4
    )


def test_11_targets_are_reduced_like_inputs() -> None:
    generator, _ = small_networks()
    seen: dict[str, list[Tensor]] = {}

    class Spy(MultiScaleLoss):
        def terms(self, preds: Any, targets: Any) -> Any:
            seen["targets"] = list(targets)
            return super().terms(preds, targets)

    inputs: list[Tensor] = []
    for network in generator.networks:
        network.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    # The target repeats the last input, so reduced alike they are equal at every scale.
    clips = moving_squares(2)
    for clip in clips:
        clip["frames"][4] = clip["frames"][3]
    trainer().fit(ReconstructionTask(generator, loss=Spy()), loader(clips, 2))
    for past, target in zip(inputs, seen["targets"], strict=True):
        torch.testing.assert_close(past[:, 9:12], target[:, 0])
        assert past.shape[-1] == target.shape[-1]


@pytest.mark.parametrize("adversarial", [False, True])
def test_12_every_scale_is_trained(adversarial: bool) -> None:
    def step(scale_weights: list[float] | None) -> Tensor:
        loss = MultiScaleLoss(gradient_difference_weight=1, scale_weights=scale_weights)
        generator, discriminator = small_networks()
        task: NextFrameTask = ReconstructionTask(generator, loss=loss)
        if adversarial:  # its own term moves every scale, and would hide one that is missing here
            task = AdversarialTask(generator, discriminator, loss=loss, adversarial_weight=0.0)
        before = weights(generator)
        fit(task)
        moves = (a - b for a, b in zip(generator.parameters(), before, strict=True))
        return torch.cat([move.detach().flatten() for move in moves])

    alone = [step([float(k == scale) for k in range(4)]) for scale in range(4)]
    assert all(move.any() for move in alone)
    # One step of SGD is linear in the loss, and the loss is the plain sum over scales.
    torch.testing.assert_close(step(None), torch.stack(alone).sum(dim=0), rtol=1e-2, atol=1e-6)
