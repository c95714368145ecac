"""`GradientCertificate` against tasks that are right, and against the mistakes that it is for."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from certified_tasks import WITH_GDL, certified, of, refusal, replaced
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Adam, Optimizer
from worlds import fit, moving_squares, small_networks

from vidpred.callbacks import GradientCertificate, TrainingHealth
from vidpred.losses import (
    AdversarialLoss,
    DiscriminatorObjective,
    GeneratorObjective,
    MultiScaleLoss,
)
from vidpred.models import Autoencoder, ConvLSTM, DCGANDiscriminator, ScalePredictor
from vidpred.models.multiscale import SMALL_SCALES, MultiScaleGenerator
from vidpred.ops import pyramid
from vidpred.tasks import AdversarialTask, ReconstructionTask


def test_every_term_moves_its_own_scale_and_the_coarser_ones_alone() -> None:
    certificate = certified(of(AdversarialTask, mismatched_pairs=True, r1_weight=1.0))
    generator, discriminator = certificate.paths["generator"], certificate.paths["discriminator"]
    names = ("lp_loss", "gradient_difference_loss", "adversarial_loss")
    assert list(generator) == [(name, scale) for name in names for scale in range(4)]
    for (_, scale), path in generator.items():
        assert [path.moves(k) for k in range(4)] == [k <= scale for k in range(4)]
    assert {name for name, _ in discriminator} == {
        *("real_loss", "fake_loss", "mismatched_loss", "r1_penalty")
    }
    for (_, scale), path in discriminator.items():
        assert [path.moves(k) for k in range(4)] == [k == scale for k in range(4)]
    assert 0 < certificate.seconds < 60  # about 2, of a wall clock


def test_the_norms_are_those_of_the_gradients() -> None:
    generator, _ = small_networks()
    task = ReconstructionTask(generator, optimizer=partial(SGD, lr=0.0))
    certificate = certified(task)
    frames = torch.stack([clip["frames"] for clip in moving_squares(4)[::2]])
    task.zero_grad()
    task.generator_objective(frames).terms["lp_loss"][2].backward()
    for k, network in enumerate(generator.networks[:3]):
        expected = torch.cat([p.grad.flatten() for p in network.parameters()]).norm().item()
        got = certificate.paths["generator"]["lp_loss", 2].norms[k]
        assert got == pytest.approx(expected, rel=1e-4)


class DetachedPredictions(AdversarialTask):
    """The best-known public mistake: the scores enter the generator's loss as constants."""

    def generator_objective(self, frames: Tensor) -> GeneratorObjective:
        found = super().generator_objective(frames)
        logits = self.discriminator(found.context, [pred.detach() for pred in found.preds])
        verdict = torch.stack([self.adversarial_loss.generator_loss(k) for k in logits])
        return replaced(found, terms={**found.terms, "adversarial_loss": verdict})


class VerdictWithoutGradient(DetachedPredictions):
    def generator_objective(self, frames: Tensor) -> GeneratorObjective:
        found = AdversarialTask.generator_objective(self, frames)
        with torch.no_grad():
            logits = self.discriminator(found.context, found.preds)
            verdict = torch.stack([self.adversarial_loss.generator_loss(k) for k in logits])
        return replaced(found, terms={**found.terms, "adversarial_loss": verdict})


class RoundedPredictions(AdversarialTask):
    """A graph that is whole, through an operation whose derivative is zero everywhere."""

    def generator_objective(self, frames: Tensor) -> GeneratorObjective:
        found = super().generator_objective(frames)
        rounded = [(pred * 127).round() / 127 for pred in found.preds]
        logits = self.discriminator(found.context, rounded)
        verdict = torch.stack([self.adversarial_loss.generator_loss(k) for k in logits])
        return replaced(found, terms={**found.terms, "adversarial_loss": verdict})


@pytest.mark.parametrize("mistake", [DetachedPredictions, VerdictWithoutGradient])
def test_scores_that_are_constants_are_refused(mistake: type[AdversarialTask]) -> None:
    told = refusal(of(mistake))
    for scale in (8, 4, 2, 1):
        assert (
            f"adversarial_loss at scale_{scale} enters the generator's loss as a constant" in told
        )
    assert "lp_loss" not in told


def test_a_derivative_that_is_zero_by_construction_is_refused() -> None:
    told = refusal(of(RoundedPredictions))
    assert (
        "the gradient of adversarial_loss at scale_8 in the generator's network of scale_8" in told
    )
    assert "zero, whatever the weights" in told


def test_a_term_cut_at_one_scale_is_named() -> None:
    class OneScaleCut(MultiScaleLoss):
        def terms(self, preds: Any, targets: Any) -> dict[str, Tensor]:
            found = super().terms(preds, targets)
            cut = found["gradient_difference_loss"]
            cut = torch.stack([v.detach() if k == 1 else v for k, v in enumerate(cut)])
            return {**found, "gradient_difference_loss": cut}

    generator, _ = small_networks()
    told = refusal(ReconstructionTask(generator, loss=OneScaleCut(**WITH_GDL)))
    assert told.count("\n- ") == 1
    assert "gradient_difference_loss at scale_4 enters the generator's loss as a constant" in told


def test_a_scale_that_is_missing_is_refused() -> None:
    class CoarseDropped(MultiScaleLoss):
        def terms(self, preds: Any, targets: Any) -> dict[str, Tensor]:
            return super().terms(preds[1:], targets[1:])

    generator, _ = small_networks()
    told = refusal(ReconstructionTask(generator, loss=CoarseDropped()))
    assert "lp_loss has 3 values; expected one for each of the 4 scales" in told


def test_a_guess_without_gradient_is_refused() -> None:
    class CutGuess(MultiScaleGenerator):
        def forward_scales(self, context: Tensor) -> list[Tensor]:
            guesses: list[Tensor] = []
            for past, network in zip(pyramid(context, 4), self.networks, strict=True):
                seen = past.flatten(1, 2)
                if not guesses:
                    guesses.append(torch.tanh(network(seen)))
                    continue
                larger = F.interpolate(guesses[-1].detach(), scale_factor=2)
                guesses.append(torch.tanh(larger + network(torch.cat([seen, larger], dim=1))))
            return [guess.unsqueeze(1) for guess in guesses]

    told = refusal(ReconstructionTask(CutGuess(SMALL_SCALES)))
    assert "lp_loss at scale_8" not in told
    assert "lp_loss at scale_4 does not reach the generator's network of scale_8" in told
    assert "lp_loss at scale_1 does not reach the generator's networks of scale_8, scale_4," in told


@pytest.mark.parametrize("adversarial_weight", [0.05, 0.0])
def test_weights_that_do_not_reach_the_loss_are_refused(adversarial_weight: float) -> None:
    class ForgottenWeight(AdversarialTask):
        def generator_objective(self, frames: Tensor) -> GeneratorObjective:
            found = super().generator_objective(frames)
            return replaced(found, weights={**found.weights, "adversarial_loss": 1.0})

    told = refusal(of(ForgottenWeight, adversarial_weight=adversarial_weight))
    assert "adversarial_loss at scale_8 enters the generator's loss with weight 1; " in told
    assert f"configured is {adversarial_weight:g}" in told


def test_a_term_that_is_configured_and_missing_is_refused() -> None:
    class Forgotten(AdversarialTask):
        def generator_objective(self, frames: Tensor) -> GeneratorObjective:
            found = super().generator_objective(frames)
            terms = {k: v for k, v in found.terms.items() if k != "adversarial_loss"}
            return replaced(found, terms=terms)

    assert "adversarial_loss has weight 0.05 and is missing" in refusal(of(Forgotten))


def test_what_is_added_to_the_sum_is_refused() -> None:
    class Regularised(GeneratorObjective):
        @property
        def loss(self) -> Tensor:  # type: ignore[override]
            return super().loss + 0.5 * self.preds[-1].abs().mean() + 0.1

    class Hidden(ReconstructionTask):
        def generator_objective(self, frames: Tensor) -> GeneratorObjective:
            found = super().generator_objective(frames)
            return Regularised(**{k: v for k, v in vars(found).items() if k != "loss"})

    generator, _ = small_networks()
    assert "its terms with their weights and +0." in refusal(Hidden(generator))


def test_a_discriminator_phase_that_reaches_the_generator_is_refused() -> None:
    class Attached(AdversarialTask):
        def discriminator_objective(self, frames: Tensor) -> DiscriminatorObjective:
            found = super().discriminator_objective(frames)
            context, _ = self._training_clip(frames)
            logits = self.discriminator(context, self.generator.forward_scales(context))
            fake = torch.stack([self.adversarial_loss.fake_loss(k) for k in logits])
            return DiscriminatorObjective(
                terms={**found.terms, "fake_loss": fake},
                weights=found.weights,
                real_logits=found.real_logits,
                fake_logits=logits,
            )

    told = refusal(of(Attached))
    assert "fake_loss at scale_8 of the discriminator's loss reaches the generator" in told
    assert "real_loss" not in told


def test_optimizers_that_are_swapped_or_incomplete_are_refused() -> None:
    class Swapped(AdversarialTask):
        def configure_optimizers(self) -> Any:
            return super().configure_optimizers()[::-1]

    told = refusal(of(Swapped))
    assert "the generator's optimizer holds parameters of the discriminator" in told
    assert "the discriminator's optimizer lacks parameters of the discriminator" in told

    class Incomplete(ReconstructionTask):
        def configure_optimizers(self) -> Optimizer:
            return SGD(self.generator.networks[1:].parameters(), lr=0.1)

    generator, _ = small_networks()
    told = refusal(Incomplete(generator))
    assert "lacks parameters of the generator: networks.0.0.weight" in told


def test_an_adversarial_term_that_joins_later_is_certified_at_the_start() -> None:
    certificate = certified(of(AdversarialTask, reconstruction_batches=100))
    assert ("adversarial_loss", 3) in certificate.paths["generator"]
    assert "adversarial_loss at scale_8 enters" in refusal(
        of(DetachedPredictions, reconstruction_batches=100)
    )


def test_a_step_that_loses_the_gradient_is_refused() -> None:
    class OwnWay(ReconstructionTask):
        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            context, targets = self._training_clip(batch["frames"])
            coarse = self.generator.forward_scales(context)[0]
            return (coarse - targets[0]).square().mean()

    generator, _ = small_networks()
    told = refusal(OwnWay(generator))
    assert "no gradient arrives in the generator's network of scale_1 at the first step" in told
    assert "scale_8" not in told


def blind(task: AdversarialTask) -> None:
    for judge in task.discriminator.networks:
        nn.init.zeros_(judge[0].weight)


def saturated(task: AdversarialTask) -> None:
    for judge in task.discriminator.networks:
        nn.init.constant_(judge[-1].bias, -1e4)  # "wrong", as sure as float32 can be


def grey(task: AdversarialTask) -> None:
    nn.init.constant_(task.generator.networks[0][-1].bias, 1e4)  # tanh is flat there


SAID = pytest.mark.filterwarnings("ignore:.* though it is wired rightly")


@SAID
@pytest.mark.parametrize(
    ("state", "kind", "term"),
    [
        (blind, "non_saturating", "adversarial_loss"),
        (saturated, "minimax", "adversarial_loss"),
        (saturated, "hinge", "fake_loss"),
        (grey, "non_saturating", "lp_loss"),
    ],
)
def test_what_is_dead_for_now_is_said_and_trained(
    state: Callable[[AdversarialTask], None], kind: Any, term: str
) -> None:
    task = of(AdversarialTask, adversarial_loss=AdversarialLoss(kind))
    with torch.no_grad():
        state(task)
    with pytest.warns(UserWarning, match=f"{term} does not move the .* wired rightly"):
        certified(task)
    assert task.batches_seen == 1


class OneNetwork(ScalePredictor):
    """Somebody's network: two scales from one body."""

    def __init__(self) -> None:
        super().__init__(num_scales=2, context_frames=4)
        self.body = nn.Conv2d(12, 3, 3, padding=1)

    def forward_scales(self, context: Tensor) -> list[Tensor]:
        return [self.body(c.flatten(1, 2)).unsqueeze(1) for c in pyramid(context, 2)]

    def config(self) -> dict[str, Any]:
        return {}


def test_of_a_foreign_network_what_can_be_known_is_certified(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level("INFO"):
        certificate = certified(ReconstructionTask(OneNetwork()))
    assert [len(path.norms) for path in certificate.paths["generator"].values()] == [1, 1]
    assert "OneNetwork has no `networks`, one a scale" in caplog.text

    class Constant(MultiScaleLoss):
        def terms(self, preds: Any, targets: Any) -> dict[str, Tensor]:
            return super().terms([preds[0].detach(), preds[1]], targets)

    told = refusal(ReconstructionTask(OneNetwork(), loss=Constant()))
    assert "lp_loss at scale_2 enters the generator's loss as a constant" in told


def test_a_plain_network_is_named_predictor(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        certified(ReconstructionTask(ConvLSTM((4,), context_frames=4)))
    assert "lp_loss moves the predictor\n" in caplog.text


def test_networks_that_are_shown_the_true_clip_are_looked_at() -> None:
    generator = Autoencoder(width=4, code_size=8, image_size=32, context_frames=4)
    discriminator = DCGANDiscriminator(width=4, image_size=32, context_frames=4)
    task = AdversarialTask(generator, discriminator, loss=MultiScaleLoss())
    callbacks = [GradientCertificate(), TrainingHealth(every_n_batches=1)]
    engine = fit(task, batches=2, callbacks=callbacks)
    assert engine.global_step == 4


def test_frozen_parameters_are_named(caplog: pytest.LogCaptureFixture) -> None:
    generator, _ = small_networks()
    generator.networks[0].requires_grad_(False)
    with caplog.at_level("INFO"):
        certified(ReconstructionTask(generator))
    assert "8 parameters of the generator are frozen: networks.0.0.weight" in caplog.text
    generator.requires_grad_(False)
    assert "every parameter of the generator is frozen" in refusal(ReconstructionTask(generator))


class RandomState(Callback):
    def on_train_batch_start(self, *_: Any) -> None:
        self.state = torch.get_rng_state()


@SAID
@pytest.mark.parametrize("dead", [False, True])
def test_training_is_the_same_without_it(dead: bool) -> None:
    generator, discriminator = small_networks(spectral_norm=True)
    task = AdversarialTask(
        generator,
        discriminator,
        loss=MultiScaleLoss(**WITH_GDL),
        adversarial_loss=AdversarialLoss("minimax"),
        mismatched_pairs=True,
        instance_noise=0.1,
        generator_optimizer=partial(Adam, lr=1e-3),
    )
    if dead:  # the search for the reason lends other weights
        with torch.no_grad():
            saturated(task)
    other = copy.deepcopy(task)
    for trained, callbacks in ((task, [GradientCertificate()]), (other, [])):
        torch.manual_seed(3)
        spy = RandomState()
        fit(trained, batches=2, batch_size=4, callbacks=[*callbacks, spy])
        trained.spy = spy.state
    assert torch.equal(task.spy, other.spy)
    for (name, mine), theirs in zip(
        task.state_dict().items(), other.state_dict().values(), strict=True
    ):
        assert torch.equal(mine, theirs), name


class CountsThreads(AdversarialTask):
    def generator_objective(self, frames: Tensor) -> GeneratorObjective:
        self.threads = [*getattr(self, "threads", []), torch.get_num_threads()]
        return super().generator_objective(frames)


@pytest.mark.slow
def test_it_computes_in_one_thread_and_gives_the_others_back() -> None:
    before = torch.get_num_threads()
    task = of(CountsThreads)
    torch.set_num_threads(3)
    try:
        certified(task)
        assert task.threads == [1, 3]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
