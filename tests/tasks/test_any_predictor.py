"""Tasks that know nothing of scales: any predictor, by any principle, from the whole batch."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from any_predictor import AnyNetwork
from pytorch_lightning.callbacks import EMAWeightAveraging
from torch import Tensor
from torch.optim import SGD
from worlds import fit, loader, moving_squares, small_networks, trainer

from vidpred.batch import ClipBatch
from vidpred.diagnostics.certificate import GradientCertificate
from vidpred.diagnostics.health import TrainingHealth
from vidpred.errors import (
    CheckpointError,
    GradientError,
    NetworkError,
    SettingError,
    TrainingDivergedError,
)
from vidpred.losses import CombinedLoss, GradientDifferenceLoss, LpLoss, MultiScaleLoss, Objective
from vidpred.models import MultiScaleGenerator, PosteriorPrediction
from vidpred.storage import load_predictor
from vidpred.tasks import (
    AdversarialTask,
    LikelihoodTask,
    PredictionTask,
    ReconstructionTask,
    VariationalTask,
)

SLOWLY = partial(SGD, lr=1e-3)


class LeastSquares(PredictionTask):
    """What a user writes: an objective alone."""

    def objective(self, batch: ClipBatch) -> Objective:
        context, target, condition = self.training_clips(batch)
        pred = self.predict(context, target.shape[1], condition=condition)
        return Objective(terms={"l2": (pred - target).square().mean()})


def batch(frames: int = 5, clips: int = 2, channels: int = 3, **condition: Tensor) -> Any:
    found = torch.randint(256, (clips, frames, channels, 16, 16), dtype=torch.uint8)
    return {"frames": found, **({"condition": condition} if condition else {})}


def network(**options: Any) -> AnyNetwork:
    torch.manual_seed(0)
    return AnyNetwork(**options)


def every_task() -> list[PredictionTask]:
    return [
        LeastSquares(network(), optimizer=SLOWLY),
        ReconstructionTask(network(), optimizer=SLOWLY),
        VariationalTask(network(), optimizer=SLOWLY),
        LikelihoodTask(network(), optimizer=partial(SGD, lr=1e-6)),
    ]


IDLE = pytest.mark.filterwarnings("ignore:no term of the loss reaches 2 parameters")


@IDLE
@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks")
@pytest.mark.parametrize("kind", range(4))
def test_any_task_trains_is_certified_watched_saved_and_loaded(kind: int, tmp_path: Path) -> None:
    task = every_task()[kind]
    before = torch.cat([p.detach().flatten() for p in task.parameters()])
    certificate, health = GradientCertificate(), TrainingHealth(every_n_batches=1)
    watching = [certificate, health, EMAWeightAveraging(decay=0.9, update_every_n_steps=1)]
    engine = fit(task, batches=3, batch_size=4, callbacks=watching, default_root_dir=tmp_path)
    assert task.batches_seen == 3
    assert not torch.equal(before, torch.cat([p.detach().flatten() for p in task.parameters()]))
    (paths,) = certificate.paths.values()
    assert all(path.moves(0) for path in paths.values())
    assert health.signs is not None
    path = tmp_path / "last.ckpt"
    engine.save_checkpoint(path)
    import any_predictor

    loaded = load_predictor(path, modules=[any_predictor])
    assert isinstance(loaded, AnyNetwork)
    by_lightning = type(task).load_from_checkpoint(path, predictor=network())
    assert by_lightning.batches_seen == 3
    weights = by_lightning.predictor.state_dict()
    assert all(torch.equal(weight, weights[name]) for name, weight in loaded.state_dict().items())
    again = type(task)(network())
    engine = trainer(max_epochs=1)
    engine.validate(again, loader(moving_squares(2, frames=7), 1), ckpt_path=str(path))
    assert again.batches_seen == 3
    with pytest.raises(CheckpointError, match=r"predictor\.arguments\.channels is 3 there, 1 here"):
        engine.validate(
            type(task)(network(channels=1)),
            loader(moving_squares(2, frames=7), 1),
            ckpt_path=str(path),
        )


def test_reconstruction_unrolls_to_its_horizon_in_0_to_1() -> None:
    task = ReconstructionTask(network(), horizon=3, loss=CombinedLoss([LpLoss(1, weight=2.0)]))
    assert task.training_horizon == 3
    clips = batch(frames=7)
    objective = task.objective(clips)
    frames = clips["frames"] / 255
    pred = task.predictor(frames[:, :4], 3)
    torch.testing.assert_close(objective.loss, 2 * (pred - frames[:, 4:]).abs().mean())
    # It learns through its own predictions: the third sees the oldest frame by way of the first.
    frames.requires_grad_()
    last = task.predictor(frames[:, :4], 3)[:, 2].sum()
    assert torch.autograd.grad(last, frames)[0][:, 0].abs().sum() > 0
    with pytest.raises(ValueError, match=r"training clips have 5 frames; expected 4 of .* and 3"):
        task.objective(batch())


def test_a_loss_module_on_scales_gives_what_the_loss_of_the_paper_gives() -> None:
    generator, _ = small_networks()
    clips = {"frames": torch.stack([c["frames"] for c in moving_squares(2)])}
    one = ReconstructionTask(
        generator, loss=MultiScaleLoss(p=1, gradient_difference_weight=0.5)
    ).objective(clips)
    two = ReconstructionTask(
        generator=generator, loss=CombinedLoss([LpLoss(1), GradientDifferenceLoss(weight=0.5)])
    ).objective(clips)
    assert torch.equal(one.loss, two.loss)
    assert one.terms["lp_loss"].shape == (4,)


def test_reconstruction_refuses_what_does_not_fit() -> None:
    generator, _ = small_networks()
    with pytest.raises(ValueError, match="no predictor is given"):
        ReconstructionTask()
    with pytest.raises(ValueError, match=r"both predictor and generator .*Of two exp"):
        ReconstructionTask(generator, generator=generator)
    with pytest.raises(ValueError, match="MultiScaleLoss compares scales, and AnyNetwork"):
        ReconstructionTask(network(), loss=MultiScaleLoss())
    with pytest.raises(ValueError, match=r"horizon is 2.*MultiScaleGenerator is trained"):
        ReconstructionTask(generator, horizon=2)
    with pytest.raises(ValueError, match="every weight of the loss is 0"):
        ReconstructionTask(network(), loss=LpLoss(weight=0))


def test_variational_is_reconstruction_and_divergence() -> None:
    task = VariationalTask(network(), beta=0.5)
    clips = batch()
    torch.manual_seed(1)
    objective = task.objective(clips)
    torch.manual_seed(1)
    frames = clips["frames"] / 255
    pred, kl = task.predictor.posterior(frames[:, :4], frames[:, 4:])
    expected = (pred - frames[:, 4:]).square().mean() + 0.5 * kl.mean()
    torch.testing.assert_close(objective.loss, expected)
    torch.testing.assert_close(objective.terms["kl"], kl.mean())


def test_beta_grows_evenly() -> None:
    task = VariationalTask(network(), beta=0.4, beta_warmup_batches=4)
    betas = []
    for task.batches_seen in range(6):
        betas.append(task.beta)
    assert betas == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4])


def test_a_network_without_posterior_or_likelihood_is_refused() -> None:
    generator = MultiScaleGenerator.from_preset("small")
    with pytest.raises(SettingError, match="MultiScaleGenerator has no method posterior"):
        VariationalTask(generator)
    with pytest.raises(SettingError, match="MultiScaleGenerator has no method log_prob"):
        LikelihoodTask(generator)

    class Misshapen(AnyNetwork):
        def posterior(self, *given: Any, **options: Any) -> PosteriorPrediction:
            pred, kl = super().posterior(*given, **options)
            return PosteriorPrediction(pred, kl.sum())

        def log_prob(self, *given: Any, **options: Any) -> Tensor:
            return super().log_prob(*given, **options).sum(1)

    with pytest.raises(ValueError, match=r"kl \(\); expected .* \(2, 1\)"):
        VariationalTask(Misshapen()).objective(batch())
    with pytest.raises(ValueError, match=r"log_prob has shape \(2,\); expected .* \(2, 1\)"):
        LikelihoodTask(Misshapen()).objective(batch())


def test_likelihood_is_logged_in_nats_and_bits() -> None:
    task = LikelihoodTask(network())
    clips = batch()
    frames = clips["frames"] / 255
    nats = -task.predictor.log_prob(frames[:, :4], frames[:, 4:]).mean()
    objective = task.objective(clips)
    torch.testing.assert_close(objective.loss, nats)
    bits = nats.item() / math.log(2) / (3 * 16 * 16)
    assert objective.measures["bits_per_dim"].item() == pytest.approx(bits, rel=1e-5)
    engine = trainer()
    (logged,) = engine.validate(task, loader(moving_squares(2, frames=7), 2), verbose=False)
    assert logged["val/bits_per_dim"] == pytest.approx(
        logged["val/nats_per_frame"] / math.log(2) / (3 * 32 * 32), rel=1e-5
    )


def test_conditions_go_from_the_batch_to_the_network() -> None:
    torch.manual_seed(0)
    task = LeastSquares(network(conditions=("speed",)))
    one = task.objective(batch(speed=torch.zeros(2, 5)))
    assert one.loss.isfinite()
    clips = batch(frames=7, speed=torch.zeros(2, 7))
    still = task.validation_step(clips, 0)["pred"]
    clips["condition"]["speed"][:, 4:] = 1.0
    assert not torch.equal(still, task.validation_step(clips, 0)["pred"])
    with pytest.raises(ValueError, match=r"conditioned on speed, and the .* frames alone"):
        task.objective(batch())
    with pytest.raises(ValueError, match=r"conditioned on speed, and the clips come with pose"):
        task.objective(batch(pose=torch.zeros(2, 5)))


def test_clips_of_other_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"clips have 3 channels.* takes 1; .*data.color to gray"):
        LeastSquares(network(channels=1)).objective(batch())


def test_predictions_outside_0_to_1_are_refused_by_what_to_do() -> None:
    predictor = network()
    with torch.no_grad():
        predictor.body.bias.fill_(9.0)
    predictor.decode = lambda context, latent: predictor.body(  # type: ignore[method-assign]
        torch.cat([context.flatten(1, 2), latent], dim=1)
    )[:, None]
    with pytest.raises(NetworkError, match=r"AnyNetwork predicts values from .*clamp\(0, 1\)"):
        ReconstructionTask(predictor, loss=LpLoss()).validation_step(batch(), 0)


def test_a_network_that_checkpoints_would_lose_is_not_trained() -> None:
    class Widened(AnyNetwork):
        def __init__(self, width: int = 8, channels: int = 3) -> None:
            super().__init__(channels)
            self.width = width

    task = ReconstructionTask(Widened(16), loss=LpLoss())
    with pytest.raises(NetworkError, match=r"Widened cannot be built again .*TypeError"):
        fit(task)


@IDLE
@pytest.mark.parametrize("conditions", [(), ("speed",)])
def test_a_discriminator_judges_the_frames_of_any_predictor(
    conditions: tuple[str, ...], tmp_path: Path
) -> None:
    _, discriminator = small_networks()
    task = AdversarialTask(
        network(conditions=conditions),
        discriminator,
        loss=MultiScaleLoss(gradient_difference_weight=1.0),
        generator_optimizer=SLOWLY,
    )
    clips = moving_squares(8)
    for k, clip in enumerate(clips) if conditions else ():
        clip["condition"] = {"speed": torch.full((5,), float(k))}
    certificate = GradientCertificate()
    health = TrainingHealth(every_n_batches=1)
    engine = trainer(callbacks=[certificate, health], default_root_dir=tmp_path)
    engine.fit(task, loader(clips, 4))
    assert task.batches_seen == 2
    assert {name for name, _ in certificate.paths["generator"]} == {
        *("lp_loss", "gradient_difference_loss", "adversarial_loss")
    }
    assert {scale for _, scale in certificate.paths["generator"]} == {0, 1, 2, 3}


def test_terms_that_cannot_train_are_refused() -> None:
    class Detached(LeastSquares):
        def objective(self, batch: ClipBatch) -> Objective:
            (name, term), *_ = super().objective(batch).terms.items()
            return Objective(terms={name: term, "extra": term.detach()})

    with pytest.raises(GradientError, match="extra enters the predictor's loss as a constant"):
        fit(Detached(network()), batch_size=4, callbacks=[GradientCertificate()])

    class Forgotten(LeastSquares):
        def configure_optimizers(self) -> Any:
            return SGD(self.predictor.body.parameters(), lr=0.1)

    with pytest.raises(GradientError, match=r"lacks parameters of the predictor: encoder.weight"):
        fit(Forgotten(network()), batch_size=4, callbacks=[GradientCertificate()])


@pytest.mark.parametrize("callbacks", [[], [GradientCertificate()]])
def test_what_is_no_objective_is_refused(callbacks: list[Any]) -> None:
    class Forgetful(LeastSquares):
        def objective(self, batch: ClipBatch) -> Any:
            return super().objective(batch).loss

    with pytest.raises(SettingError, match=r"gave a Tensor; expected a vidpred\.losses\.Objective"):
        fit(Forgetful(network()), batch_size=4, callbacks=callbacks)


def test_numbers_are_logged_as_tensors_are() -> None:
    class Annealed(LeastSquares):
        def objective(self, batch: ClipBatch) -> Objective:
            terms = super().objective(batch).terms
            return Objective(terms=terms, measures={"beta": 0.25, "gamma": torch.tensor(0.5)})

    engine = fit(Annealed(network()), batch_size=4, log_every_n_steps=1)
    assert engine.callback_metrics["train/beta"] == 0.25
    assert engine.callback_metrics["train/gamma"] == 0.5


def test_a_scalar_term_that_is_not_finite_is_named() -> None:
    class Diverges(LeastSquares):
        def objective(self, batch: ClipBatch) -> Objective:
            return Objective(terms={"l2": super().objective(batch).loss * math.inf})

    with pytest.raises(TrainingDivergedError, match="l2"):
        fit(Diverges(network()), batch_size=4)


def test_latents_that_hold_nothing_are_reported(tmp_path: Path) -> None:
    class Collapsed(AnyNetwork):
        def posterior(self, *given: Any, **options: Any) -> PosteriorPrediction:
            pred, kl = super().posterior(*given, **options)
            return PosteriorPrediction(pred, 1e-6 * kl)

    torch.manual_seed(0)
    task = VariationalTask(Collapsed(), optimizer=SLOWLY)
    health = TrainingHealth(every_n_batches=1, patience=1)
    with pytest.warns(UserWarning, match=r"latent variables hold nothing.*lower model.beta"):
        fit(task, batches=3, batch_size=4, callbacks=[health], default_root_dir=tmp_path)
