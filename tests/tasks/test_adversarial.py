import math
from functools import partial
from typing import Any

import pytest
import torch
from pytorch_lightning.plugins import MixedPrecision
from torch.optim import SGD
from torch.optim.lr_scheduler import OneCycleLR, StepLR
from worlds import adversarial_task, fit, loader, moving_squares, small_networks, trainer

from vidpred.errors import TrainingDivergedError
from vidpred.losses import AdversarialLoss, MultiScaleLoss
from vidpred.models import MultiScaleDiscriminator, MultiScaleGenerator
from vidpred.tasks import AdversarialTask
from vidpred.tasks.draws import separate_draws


def flat(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()]).clone()


def test_one_batch_is_one_step_of_each_optimizer() -> None:
    task = adversarial_task()
    engine = fit(task, batches=3)
    assert task.batches_seen == 3
    assert engine.global_step == 6


def test_every_term_is_logged_by_scale() -> None:
    task = adversarial_task(
        loss=MultiScaleLoss(gradient_difference_weight=1), mismatched_pairs=True
    )
    metrics = fit(task, log_every_n_steps=1).logged_metrics
    for name in (
        "lp_loss",
        "gradient_difference_loss",
        "adversarial_loss",
        "real_loss",
        "fake_loss",
        "mismatched_loss",
        "real_score",
        "fake_score",
    ):
        for factor in (8, 4, 2, 1):
            assert math.isfinite(metrics[f"train/{name}_scale_{factor}"])
    assert {"train/loss_g", "train/loss_d", "step"} <= set(metrics)


@pytest.mark.parametrize("kind", ["non_saturating", "minimax", "least_squares", "hinge"])
@pytest.mark.parametrize("head", ["fully_connected", "fully_convolutional"])
def test_every_kind_and_head_trains_both_networks(kind: Any, head: str) -> None:
    generator, discriminator = small_networks(head=head)
    task = AdversarialTask(generator, discriminator, adversarial_loss=AdversarialLoss(kind))
    before = flat(generator), flat(discriminator)
    fit(task)
    assert not torch.equal(before[0], flat(generator))
    assert not torch.equal(before[1], flat(discriminator))


def test_accumulated_halves_equal_the_whole_batch() -> None:
    """Two batches of 4 accumulated give the step of one batch of 8 with the same draws."""
    clips = moving_squares(8)
    # The first half of a batch is the discriminator's draw.
    in_pieces = [clips[k] for k in (0, 1, 4, 5, 2, 3, 6, 7)]
    results = []
    for order, size, count in ((clips, 8, 1), (in_pieces, 4, 2)):
        task = adversarial_task(
            adversarial_weight=0.0,
            generator_accumulate_batches=count,
            discriminator_accumulate_batches=count,
        )
        trainer().fit(task, loader(order, size))
        results.append((flat(task.generator), flat(task.discriminator)))
    for whole, pieces in zip(*results, strict=True):
        torch.testing.assert_close(whole, pieces, rtol=1e-4, atol=1e-6)


def test_each_network_has_its_own_accumulation_and_clip() -> None:
    task = adversarial_task(generator_accumulate_batches=2, discriminator_accumulate_batches=3)
    assert fit(task, batches=6).global_step == 6 // 2 + 6 // 3

    clip = 1e-4
    task = adversarial_task(
        generator_gradient_clip=clip,
        generator_optimizer=partial(SGD, lr=1.0),
        discriminator_optimizer=partial(SGD, lr=1.0),
    )
    before = flat(task.generator), flat(task.discriminator)
    fit(task)
    # SGD at rate 1 moves by the gradient itself.
    assert (flat(task.generator) - before[0]).norm().item() == pytest.approx(clip, rel=1e-2)
    assert (flat(task.discriminator) - before[1]).norm().item() > 2 * clip


def test_the_discriminators_first_step_waits_for_a_whole_accumulation() -> None:
    task = adversarial_task(
        reconstruction_batches=1,
        discriminator_accumulate_batches=2,
        generator_accumulate_batches=4,
    )
    untrained = flat(task.discriminator)
    fit(task, batches=2)
    assert torch.equal(flat(task.discriminator), untrained)
    task = adversarial_task(reconstruction_batches=1, discriminator_accumulate_batches=2)
    assert fit(task, batches=3).global_step == 3 + 1


def test_schedulers_step_with_their_own_optimizer() -> None:
    task = adversarial_task(
        generator_lr_scheduler=partial(StepLR, step_size=1, gamma=0.5),
        discriminator_lr_scheduler=partial(StepLR, step_size=1, gamma=0.1),
        discriminator_accumulate_batches=2,
    )
    engine = fit(task, batches=2)
    generator, discriminator = engine.optimizers
    assert generator.param_groups[0]["lr"] == pytest.approx(0.02 * 0.5**2)
    assert discriminator.param_groups[0]["lr"] == pytest.approx(0.02 * 0.1)


def test_a_schedule_lasts_for_the_steps_of_its_own_optimizer() -> None:
    """Fewer than there are batches, where batches are accumulated."""
    task = adversarial_task(
        generator_accumulate_batches=2,
        generator_lr_scheduler=partial(OneCycleLR, max_lr=0.02, total_steps=3),
    )
    fit(task, batches=4)
    assert task.batches_seen == 4


@pytest.mark.parametrize(
    ("options", "ours"),
    [
        ({"accumulate_grad_batches": 2}, "model.generator_accumulate_batches"),
        ({"gradient_clip_val": 1.0}, "model.generator_gradient_clip"),
    ],
)
def test_the_trainers_own_options_are_refused_by_name(options: dict[str, Any], ours: str) -> None:
    with pytest.raises(ValueError, match=ours):
        fit(adversarial_task(), **options)


def test_mismatched_pairs_are_clips_of_others() -> None:
    task = adversarial_task(mismatched_pairs=True)
    calls: list[tuple[torch.Tensor, torch.Tensor]] = []
    task.discriminator.register_forward_pre_hook(
        lambda _, args: calls.append((args[0], args[1][-1].detach()))
    )
    fit(task)
    contexts, candidates = calls[0]
    (context, _, again), (real, fake, strangers) = contexts.chunk(3), candidates.chunk(3)
    assert torch.equal(context, again)
    assert torch.equal(strangers, real.roll(2, dims=0))
    assert not torch.equal(strangers, fake)
    with pytest.raises(ValueError, match="no mismatched pairs"):
        fit(adversarial_task(mismatched_pairs=True), batch_size=2)


def test_with_mismatched_pairs_the_real_ones_count_twice() -> None:
    task = adversarial_task(mismatched_pairs=True)
    frames = torch.stack([clip["frames"] for clip in moving_squares(4)])
    objective = task.discriminator_objective(frames)
    real, fake, mismatched = (
        objective.terms[name].sum() for name in ("real_loss", "fake_loss", "mismatched_loss")
    )
    torch.testing.assert_close(objective.loss, 2 * real + fake + mismatched)


def test_odd_batches_are_refused() -> None:
    with pytest.raises(ValueError, match="the batch has 3 clips; expected an even number"):
        separate_draws(torch.zeros(3, 5, 3, 32, 32))


def test_networks_have_to_fit_each_other() -> None:
    generator, _ = small_networks()
    with pytest.raises(ValueError, match="num_scales 4, the discriminator 1"):
        AdversarialTask(generator, MultiScaleDiscriminator.from_preset("single_scale_small"))
    with pytest.raises(ValueError, match="context_frames 4, the discriminator 2"):
        AdversarialTask(generator, MultiScaleDiscriminator.from_preset("small", context_frames=2))
    with pytest.raises(ValueError, match="adversarial_weight is nan"):
        adversarial_task(adversarial_weight=math.nan)


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_nan_stops_the_run_names_the_term_and_keeps_the_weights(network: str) -> None:
    task = adversarial_task()
    with torch.no_grad():
        # The coarsest network's last layer: its logits or frames become NaN.
        next(getattr(task, network).networks[0].parameters()).fill_(math.nan)
    before = flat(task.discriminator), flat(task.generator)
    term = "fake_loss at scale 1/8" if network == "generator" else "real_loss at scale 1/8"
    with pytest.raises(TrainingDivergedError, match=f"batch 0: .*{term}"):
        fit(task)
    assert torch.equal(before[0].nan_to_num(), flat(task.discriminator).nan_to_num())
    assert torch.equal(before[1].nan_to_num(), flat(task.generator).nan_to_num())


def test_bfloat16_autocast_lets_the_gradient_through_both_phases() -> None:
    # Autocast caches the generator's weights in the first phase, where they need no gradient.
    task = adversarial_task(generator_optimizer=partial(SGD, lr=0.1))
    before = [flat(network) for network in task.generator.networks]
    fit(task, precision="bf16-mixed")
    for old, network in zip(before, task.generator.networks, strict=True):
        assert not torch.equal(old, flat(network))


def test_the_8_to_8_networks_train() -> None:
    task = AdversarialTask(
        MultiScaleGenerator.from_preset("paper_8to8"),
        MultiScaleDiscriminator.from_preset("paper_8to8"),
    )
    trainer().fit(task, loader(moving_squares(2, frames=16), 2))
    assert task.batches_seen == 1


def test_clipping_scaled_gradients_is_refused() -> None:
    scaler = torch.amp.GradScaler("cpu")
    plugin = MixedPrecision("16-mixed", "cpu", scaler=scaler)
    with pytest.raises(ValueError, match="cannot be clipped at precision 16-mixed"):
        fit(adversarial_task(generator_gradient_clip=1.0), plugins=[plugin])
