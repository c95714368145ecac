"""Every stabiliser changes what it says, and nothing else."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import yaml
from pytorch_lightning.callbacks import Callback, EMAWeightAveraging
from torch.optim import SGD, Adam, Optimizer
from worlds import adversarial_task, fit, loader, moving_squares, small_networks, trainer

import vidpred
from vidpred.callbacks import WeightAverage
from vidpred.losses import AdversarialLoss, MultiScaleLoss, r1_penalty
from vidpred.resources import packaged_configurations
from vidpred.storage import trained_generator
from vidpred.tasks import AdversarialTask, ReconstructionTask


def flat(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()]).clone()


class Steps(Callback):
    """Notes which optimizer steps, in order."""

    def __init__(self) -> None:
        self.order: list[str] = []

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        self.order.append("GD"[trainer.optimizers.index(optimizer)])


def test_discriminator_steps_come_before_the_generators_each_on_clips_of_its_own() -> None:
    task = adversarial_task(discriminator_steps=3)
    seen: list[torch.Tensor] = []
    task.discriminator.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    steps = Steps()
    fit(task, batches=2, batch_size=8, callbacks=[steps])
    assert steps.order == ["D", "D", "D", "G"] * 2
    # Real and predicted frames of a draw are judged together, so the past comes twice.
    draws = [*(past.chunk(2)[0] for past in seen[:3]), seen[3]]
    assert [len(draw) for draw in draws] == [2] * 4
    assert len({clip.numpy().tobytes() for draw in draws for clip in draw}) == 8
    with pytest.raises(ValueError, match="the batch has 6 clips; expected a multiple of 4"):
        fit(adversarial_task(discriminator_steps=3), batch_size=6)
    with pytest.raises(ValueError, match="not both"):
        adversarial_task(discriminator_steps=2, discriminator_accumulate_batches=2)


def test_reconstruction_batches_train_as_without_a_discriminator() -> None:
    clips = moving_squares(16)
    task = adversarial_task(reconstruction_batches=2, adversarial_weight=1.0)
    before = flat(task.discriminator)
    trainer().fit(task, loader(clips, 8))
    assert torch.equal(before, flat(task.discriminator))
    # The generator's draw is the second half of each batch.
    alone = ReconstructionTask(small_networks()[0])
    trainer().fit(alone, loader(clips[4:8] + clips[12:], 4))
    torch.testing.assert_close(flat(task.generator), flat(alone.generator))
    trainer().fit(task, loader(clips, 8))
    assert not torch.equal(before, flat(task.discriminator))
    with pytest.raises(ValueError, match="nothing would be learned in them"):
        adversarial_task(reconstruction_batches=1, loss=MultiScaleLoss(lp_weight=0))


@pytest.mark.parametrize("alone", [0, 100])
def test_instance_noise_has_its_strength_and_falls(alone: int) -> None:
    clips = moving_squares(4)
    clean, noisy = (
        adversarial_task(),
        adversarial_task(
            instance_noise=0.5, instance_noise_batches=10, reconstruction_batches=alone
        ),
    )
    seen: dict[str, list[list[torch.Tensor]]] = {"clean": [], "noisy": []}
    for name, task in (("clean", clean), ("noisy", noisy)):
        task.discriminator.register_forward_pre_hook(
            lambda _, args, name=name: seen[name].append([c.detach() for c in args[1]])
        )
    frames = torch.stack([clip["frames"] for clip in clips])
    for batches_seen, expected in ((0, 0.5), (5, 0.25), (10, 0.0), (20, 0.0)):
        noisy.batches_seen = alone + batches_seen
        for task in (clean, noisy):
            task.discriminator_objective(frames)
            task.generator_objective(frames)
        # Real, fake, and what the generator asks about: all of them, at every scale.
        for plain, disturbed in zip(seen["clean"], seen["noisy"], strict=True):
            for a, b in zip(plain, disturbed, strict=True):
                assert (b - a).std().item() == pytest.approx(expected, abs=0.08)
        for calls in seen.values():
            calls.clear()
    with pytest.raises(ValueError, match="instance_noise is 0"):
        adversarial_task(instance_noise_batches=10)


def test_the_penalty_is_of_true_frames_with_the_weight_that_is_given() -> None:
    frames = torch.stack([clip["frames"] for clip in moving_squares(4)])
    task = adversarial_task(r1_weight=0.5)
    objective, plain = (
        task.discriminator_objective(frames),
        adversarial_task().discriminator_objective(frames),
    )
    context, targets = task._training_clip(frames)
    true = [target.requires_grad_() for target in targets]
    penalty = r1_penalty(task.discriminator(context, true), true)
    torch.testing.assert_close(objective.terms["r1_penalty"], penalty)
    assert "r1_penalty" not in plain.terms
    torch.testing.assert_close(objective.loss, plain.loss + 0.5 * penalty.sum())


@pytest.mark.slow
def test_the_penalty_makes_the_discriminator_flatter() -> None:
    frames = torch.stack([clip["frames"] for clip in moving_squares(8)])

    def steepness(weight: float) -> float:
        task = adversarial_task(r1_weight=weight, discriminator_optimizer=partial(Adam, lr=1e-3))
        fit(task, batches=15)
        task.r1_weight = 1.0
        return task.discriminator_objective(frames).terms["r1_penalty"].sum().item()

    assert steepness(10.0) < 0.5 * steepness(0.0)


@pytest.mark.slow
def test_smoothed_labels_keep_the_discriminator_from_growing_sure() -> None:
    frames = torch.stack([clip["frames"] for clip in moving_squares(4)])

    def verdict(smoothing: float) -> float:
        """Train the discriminator alone, long, on the same clips."""
        task = adversarial_task(adversarial_loss=AdversarialLoss(label_smoothing=smoothing))
        optimizer = Adam(task.discriminator.parameters(), lr=1e-3)
        for _ in range(60):
            optimizer.zero_grad()
            task.discriminator_objective(frames).loss.backward()
            optimizer.step()
        logits = task.discriminator_objective(frames).real_logits[0]
        return torch.sigmoid(logits).mean().item()

    assert verdict(0.0) > 0.97
    # Its optimum is the smoothed label itself.
    assert verdict(0.3) == pytest.approx(0.7, abs=0.05)


class Watch(Callback):
    """Notes the generator's weights: before the training, after each batch, and as validated."""

    def __init__(self, task: AdversarialTask) -> None:
        self.generator = task.generator
        self.states, self.validated = [flat(self.generator)], list[torch.Tensor]()

    def on_train_batch_end(self, *args: Any) -> None:
        self.states.append(flat(self.generator))

    def on_validation_batch_start(self, *args: Any) -> None:
        self.validated.append(flat(self.generator))


def test_the_average_is_what_is_evaluated_saved_and_loaded(tmp_path: Path) -> None:
    decay = 0.5
    task = adversarial_task(generator_optimizer=partial(SGD, lr=0.1))
    watch = Watch(task)
    engine = trainer(callbacks=[WeightAverage(decay=decay), watch], num_sanity_val_steps=0)
    clips = loader(moving_squares(24), 8)
    engine.fit(task, clips, loader(moving_squares(2, frames=6), 2))
    # The first update copies, as torch.optim.swa_utils does.
    _, expected, *states = watch.states
    for state in states:
        expected = decay * expected + (1 - decay) * state
    torch.testing.assert_close(watch.validated[-1], expected)
    engine.save_checkpoint(tmp_path / "average.ckpt")
    loaded = vidpred.load(tmp_path / "average.ckpt")
    torch.testing.assert_close(flat(loaded), expected)
    assert not torch.allclose(states[-1], expected)


def test_the_packaged_average_moves_with_the_weights(tmp_path: Path) -> None:
    """A mistake of public code: an average that is never updated, and is what is tested."""
    path = packaged_configurations() / "trainer" / "weight_average.yaml"
    packaged = yaml.safe_load(path.read_text())
    (average,) = packaged["trainer"]["callbacks+"]
    decay = average["init_args"]["decay"]
    task = adversarial_task(generator_optimizer=partial(SGD, lr=0.1))
    watch = Watch(task)
    engine = trainer(callbacks=[WeightAverage(**average["init_args"]), watch])
    engine.fit(task, loader(moving_squares(24), 8))
    states = watch.states
    engine.save_checkpoint(tmp_path / "average.ckpt")
    expected = states[1]
    for state in states[2:]:
        expected = decay * expected + (1 - decay) * state
    loaded = flat(vidpred.load(tmp_path / "average.ckpt"))
    torch.testing.assert_close(loaded, expected, rtol=0, atol=1e-8)
    # It is neither where training began nor where it ended.
    assert not torch.allclose(loaded, states[0], rtol=0, atol=1e-6)
    assert not torch.allclose(loaded, states[-1], rtol=0, atol=1e-6)


def test_an_average_that_counts_the_steps_of_two_optimizers_is_named() -> None:
    average = EMAWeightAveraging(decay=0.5, update_every_n_steps=2)
    with pytest.warns(UserWarning, match=r"all 2 optimizers.*vidpred\.callbacks\.WeightAverage"):
        trainer(callbacks=[average]).fit(adversarial_task(), loader(moving_squares(8), 8))


@pytest.mark.parametrize("every", [1, 2, 3])
def test_an_average_counts_batches_whatever_the_optimizers(every: int, tmp_path: Path) -> None:
    """Lightning's counts the steps of both, of which the zero-based number is always odd."""
    task = adversarial_task(generator_optimizer=partial(SGD, lr=0.1))
    watch, average = Watch(task), WeightAverage(decay=0.5, update_every_n_steps=every)
    engine = trainer(callbacks=[watch, average])
    engine.fit(task, loader(moving_squares(24), 4))
    assert len(watch.states) == 1 + 6
    taken = watch.states[1::every]
    assert average._average_model.n_averaged == len(taken)
    expected = taken[0]
    for state in taken[1:]:
        expected = 0.5 * expected + 0.5 * state
    torch.testing.assert_close(flat(task.generator), expected)


def test_an_average_counts_the_steps_of_accumulated_batches() -> None:
    task = ReconstructionTask(small_networks()[0], optimizer=partial(SGD, lr=0.1))
    average = WeightAverage(decay=0.5, update_every_n_steps=2)
    engine = trainer(callbacks=[average], accumulate_grad_batches=2)
    engine.fit(task, loader(moving_squares(24), 3))  # 8 batches, 4 steps
    assert average._average_model.n_averaged == 2


@pytest.mark.parametrize("every", [1, 2])
def test_an_average_counts_the_steps_of_accumulated_adversarial_batches(every: int) -> None:
    task = adversarial_task(generator_accumulate_batches=4, discriminator_accumulate_batches=4)
    average = WeightAverage(decay=0.5, update_every_n_steps=every)
    engine = trainer(callbacks=[average])
    engine.fit(task, loader(moving_squares(32), 4))  # 8 batches, 2 steps of each optimizer
    assert engine.global_step == 4
    assert average._average_model.n_averaged == 2 // every


def test_an_average_that_never_begins_keeps_the_weights() -> None:
    task = adversarial_task(generator_optimizer=partial(SGD, lr=0.1))
    watch, average = Watch(task), WeightAverage(update_starting_at_step=100)
    engine = trainer(callbacks=[average, watch], num_sanity_val_steps=0)
    with pytest.warns(UserWarning, match="the weights were never averaged"):
        engine.fit(task, loader(moving_squares(24), 8), loader(moving_squares(2, frames=6), 2))
    before, *_, after = watch.states
    assert not torch.equal(before, after)
    assert torch.equal(watch.validated[-1], after)
    assert torch.equal(flat(task.generator), after)


@pytest.mark.parametrize("wrong", [{"decay": 1.0}, {"decay": -0.1}, {"update_every_n_steps": 0}])
def test_an_average_that_would_never_move_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        WeightAverage(**wrong)


def test_adversarial_training_starts_from_a_reconstruction(tmp_path: Path) -> None:
    path = tmp_path / "l2.ckpt"
    first = ReconstructionTask(small_networks()[0], optimizer=partial(SGD, lr=0.1))
    fit(first, batches=2).save_checkpoint(path)
    generator = trained_generator(str(path))
    assert generator.training
    assert all(parameter.requires_grad for parameter in generator.parameters())
    assert torch.equal(flat(generator), flat(first.generator))
    task = AdversarialTask(generator, small_networks()[1])
    fit(task)
    assert task.batches_seen == 1
    assert not torch.equal(flat(generator), flat(first.generator))


@pytest.mark.slow
def test_spectral_norm_divides_by_the_largest_singular_value() -> None:
    _, discriminator = small_networks(spectral_norm=True)
    task = AdversarialTask(small_networks()[0], discriminator)
    fit(task, batches=20)  # the power iteration takes a step in each
    weights = [m.weight for m in discriminator.modules() if hasattr(m, "parametrizations")]
    assert len(weights) == 1 + 3 + 3 + 4 + 4 * 3  # convolutions, then fully connected layers
    for weight in weights:
        assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1, abs=0.15)
    assert discriminator.config()["spectral_norm"] is True


def test_nothing_is_noisy_or_penalized_by_default() -> None:
    frames = torch.stack([clip["frames"] for clip in moving_squares(4)])
    task = adversarial_task()
    assert set(task.discriminator_objective(frames).terms) == {"real_loss", "fake_loss"}
    one, two = (task.discriminator_objective(frames).loss for _ in range(2))
    assert torch.equal(one, two)
    assert math.isfinite(one.item())
