"""Training against a discriminator as well: the rows `adv` and `adv_gdl` of the paper."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from jsonargparse.typing import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from pytorch_lightning.core.optimizer import LightningOptimizer
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor

from vidpred.batch import ClipBatch
from vidpred.errors import SettingError
from vidpred.losses import (
    AdversarialLoss,
    DiscriminatorObjective,
    GeneratorObjective,
    MultiScaleLoss,
    PredictionLoss,
    r1_penalty,
)
from vidpred.models import ClipDiscriminator, Condition, Predictor
from vidpred.ops import pyramid, signed_to_unit, unit_to_signed
from vidpred.ops.checks import require_positive, require_weight
from vidpred.tasks.adversarial_checks import (
    refuse_options_of_one_optimizer,
    require_matching,
)
from vidpred.tasks.builders import Builders, build_optimizer, build_scheduler, sgd
from vidpred.tasks.draws import Draw, separate_clips
from vidpred.tasks.multiscale import NextFrameTask
from vidpred.tasks.speed import Decided, Speed, prepare


class AdversarialTask(NextFrameTask):
    """Trains a generator and a discriminator in turn, each on its own draw.

    One training batch is one iteration: its first part is the discriminator's draw, the last the
    generator's, so that no clip is seen by both. The data's batch size is therefore twice the
    minibatch of a phase, or more when the discriminator takes several steps.

    The generator may be any predictor. One with scales (`vidpred.models.MultiScaleGenerator`) shows
    the discriminator what it predicts at each of them; of another the predicted frames are reduced
    to the discriminator's scales, as the true ones are, and it predicts as many frames as the
    discriminator is asked about.

    Args:
        generator: Predicts.
        discriminator: Scores clips at every scale; of as many scales as the generator, if that has
            scales. One whose scores depend on the batch (`ClipDiscriminator.batch_dependent`) is
            asked about true and predicted frames in turn.
        loss: The generator's losses against the true frames; None is the paper's l2.
        adversarial_loss: What the two want of each other; None is the paper's cross-entropy.
        adversarial_weight: Weight of the adversarial term in the generator's loss; at least 0. The
            paper gives 0.05 (recalled, not verified), the released script uses 0.01.
        mismatched_pairs: Also show the discriminator the past of one clip with the next frame of
            another, as fake, and count the real pairs twice; the released script's default. The
            script draws that second real pair again, here it is the clip that lent its next frame.
        drawn_predictions: Train on drawn futures (`Predictor.sample`) of a stochastic generator
            instead of its point prediction, which has no latent code to learn.
        discriminator_steps: Steps of the discriminator before each of the generator, every one on
            a draw of its own; k of Goodfellow et al. 2014.
        reconstruction_batches: So many batches train the generator without the adversarial term at
            first, while the discriminator rests.
        r1_weight: Weight of `vidpred.losses.r1_penalty` in the discriminator's loss, gamma / 2
            there; at least 0.
        instance_noise: Standard deviation of the noise on every frame that the discriminator is
            asked about, true or predicted, in the range [-1, 1] of the frames (Sonderby et al.
            2017, arXiv 1610.04490); at least 0.
        instance_noise_batches: Batches with the discriminator over which the noise falls to
            nothing, evenly; None keeps it.
        generator_optimizer: Builds the generator's optimizer; the default is the paper's SGD at
            0.02.
        discriminator_optimizer: The same for the discriminator.
        generator_lr_scheduler: Builds the scheduler of the generator's learning rate, which steps
            whenever the optimizer does.
        discriminator_lr_scheduler: The same for the discriminator.
        generator_accumulate_batches: Batches whose gradients the generator averages before a step.
            The trainer's `accumulate_grad_batches` cannot know which optimizer is meant and is
            refused.
        discriminator_accumulate_batches: The same for the discriminator, with one step a batch.
        generator_gradient_clip: Largest norm of the generator's gradient; None clips nothing. The
            trainer's `gradient_clip_val` is refused.
        discriminator_gradient_clip: The same for the discriminator.
        speed: How fast a step is computed; None is what suits the device.

    Raises:
        ValueError: When a weight is negative or NaN, a count below 1, options contradict each
            other, or the two networks do not fit each other.
    """

    def __init__(
        self,
        generator: Predictor,
        discriminator: ClipDiscriminator,
        *,
        loss: PredictionLoss | None = None,
        adversarial_loss: AdversarialLoss | None = None,
        adversarial_weight: NonNegativeFloat = 0.05,
        mismatched_pairs: bool = False,
        drawn_predictions: bool = False,
        discriminator_steps: PositiveInt = 1,
        reconstruction_batches: NonNegativeInt = 0,
        r1_weight: NonNegativeFloat = 0.0,
        instance_noise: NonNegativeFloat = 0.0,
        instance_noise_batches: PositiveInt | None = None,
        generator_optimizer: OptimizerCallable = sgd,
        discriminator_optimizer: OptimizerCallable = sgd,
        generator_lr_scheduler: LRSchedulerCallable | None = None,
        discriminator_lr_scheduler: LRSchedulerCallable | None = None,
        generator_accumulate_batches: PositiveInt = 1,
        discriminator_accumulate_batches: PositiveInt = 1,
        generator_gradient_clip: PositiveFloat | None = None,
        discriminator_gradient_clip: PositiveFloat | None = None,
        speed: Speed | None = None,
    ) -> None:
        super().__init__(generator, loss or MultiScaleLoss(), speed=speed)
        require_weight("adversarial_weight", adversarial_weight)
        require_weight("r1_weight", r1_weight)
        require_weight("instance_noise", instance_noise)
        require_positive("discriminator_steps", discriminator_steps)
        require_positive("generator_accumulate_batches", generator_accumulate_batches)
        require_positive("discriminator_accumulate_batches", discriminator_accumulate_batches)
        if discriminator_steps > 1 and discriminator_accumulate_batches > 1:
            raise ValueError(
                f"discriminator_steps is {discriminator_steps} and "
                f"discriminator_accumulate_batches {discriminator_accumulate_batches}; expected "
                "several steps a batch or several batches a step, not both"
            )
        if instance_noise_batches is not None and not instance_noise:
            raise ValueError(
                f"instance_noise_batches is {instance_noise_batches}, but instance_noise is 0; "
                "expected a noise that can fall, or no number of batches"
            )
        if reconstruction_batches and not any(self.loss.weights.values()):
            raise ValueError(
                f"reconstruction_batches is {reconstruction_batches}, but every weight of the "
                "loss is 0: nothing would be learned in them; expected a weight above 0"
            )
        if drawn_predictions and not generator.stochastic:
            raise SettingError(
                f"drawn_predictions is set, and {type(generator).__name__} gives one future; "
                "expected a stochastic generator, such as vidpred.models.DCGANGenerator"
            )
        require_matching(generator, discriminator)
        self.automatic_optimization = False
        self.discriminator = discriminator
        self.adversarial_loss = adversarial_loss or AdversarialLoss()
        self.adversarial_weight = adversarial_weight
        self.mismatched_pairs = mismatched_pairs
        self.drawn_predictions = drawn_predictions
        self.discriminator_steps = discriminator_steps
        self.reconstruction_batches = reconstruction_batches
        self.r1_weight = r1_weight
        self.instance_noise = instance_noise
        self.instance_noise_batches = instance_noise_batches
        self._build_optimizers = Builders((generator_optimizer, discriminator_optimizer))
        self._build_lr_schedulers = Builders((generator_lr_scheduler, discriminator_lr_scheduler))
        self._accumulate_batches = (generator_accumulate_batches, discriminator_accumulate_batches)
        self._gradient_clips = (generator_gradient_clip, discriminator_gradient_clip)

    def configure_callbacks(self) -> list[Callback]:
        """Add none; as the first hook of all it refuses before Lightning does, in our words.

        Raises:
            ValueError: When the trainer is set to accumulate or clip, which it cannot do for two
                optimizers.
        """
        refuse_options_of_one_optimizer(self.trainer, self._gradient_clips)
        return super().configure_callbacks()

    @property
    def num_scales(self) -> int:
        """S, scales at which the discriminator looks."""
        return self.discriminator.num_scales

    @property
    def training_horizon(self) -> int:
        """Frames after the context that a training clip needs: what the discriminator sees."""
        return self.discriminator.output_frames

    @property
    def adversarial(self) -> bool:
        """Whether the discriminator takes part by now; see `reconstruction_batches`."""
        return bool(self.batches_seen >= self.reconstruction_batches)

    def training_step(self, batch: ClipBatch, batch_idx: int) -> None:
        """Run one iteration: discriminator phases, then a generator phase on another draw."""
        *draws, generator_draw = separate_clips(
            batch["frames"], self._conditions(batch), self.discriminator_steps + 1
        )
        losses: dict[str, Tensor] = {}
        by_scale: dict[str, Tensor] = {}
        for draw in draws if self.adversarial else []:
            outcome = self._discriminator_phase(draw)
            if self._logs_now:
                losses["loss_d"] = outcome.loss
                by_scale |= {**outcome.terms, **self._scores(outcome)}
        predicted = self._generator_phase(generator_draw)
        self.batches_seen += 1
        if self._logs_now:
            losses["loss_g"] = predicted.loss
            self._log_training(losses, {**by_scale, **predicted.terms})

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Give the generator's optimizer, then the discriminator's, with their schedulers."""
        networks = (self.generator, self.discriminator)
        configs: list[Any] = []
        for network, build, build_lr_scheduler in zip(
            networks, self._build_optimizers, self._build_lr_schedulers, strict=True
        ):
            optimizer = self._fused(build_optimizer(build, network.parameters()))
            configs.append({"optimizer": optimizer})
            if build_lr_scheduler is not None:
                scheduler = build_scheduler(build_lr_scheduler, optimizer, self)
                configs[-1]["lr_scheduler"] = scheduler
        return tuple(configs)

    def discriminator_objective(
        self, frames: Tensor, condition: Condition | None = None
    ) -> DiscriminatorObjective:
        """Ask the discriminator about true frames and predictions.

        Args:
            frames: Clips of one draw, uint8, shape (B, T, C, H, W).
            condition: Of generators that are conditioned on something.
        """
        context, targets = self._training_clip(frames)
        with torch.no_grad():
            preds = self._predict_scales(context, condition)
        real = self._noisy(targets)
        if self.r1_weight:
            real = [target.detach().requires_grad_() for target in real]
        asked = [real, self._noisy(preds)]
        if self.mismatched_pairs:
            asked.append(self._noisy(self._strangers(targets)))
        real_logits, fake_logits, *stranger_logits = self._discriminate(context, asked)
        terms = {
            "real_loss": torch.stack([self.adversarial_loss.real_loss(k) for k in real_logits]),
            "fake_loss": torch.stack([self.adversarial_loss.fake_loss(k) for k in fake_logits]),
        }
        weights = {"real_loss": 1.0, "fake_loss": 1.0}
        for logits in stranger_logits:
            terms["mismatched_loss"] = torch.stack(
                [self.adversarial_loss.fake_loss(k) for k in logits]
            )
            weights |= {"real_loss": 2.0, "mismatched_loss": 1.0}
        if self.r1_weight:
            terms["r1_penalty"] = r1_penalty(real_logits, real)
            weights["r1_penalty"] = self.r1_weight
        return DiscriminatorObjective(
            terms=terms, weights=weights, real_logits=real_logits, fake_logits=fake_logits
        )

    def generator_objective(
        self, frames: Tensor, condition: Condition | None = None
    ) -> GeneratorObjective:
        """Compare predictions with the true frames, and ask the discriminator about them.

        Args:
            frames: Clips of one draw, uint8, shape (B, T, C, H, W).
            condition: Of generators that are conditioned on something.
        """
        objective = super().generator_objective(frames, condition)
        if not self.adversarial:
            return objective
        (logits,) = self._discriminate(objective.context, [self._noisy(objective.preds)])
        adversarial = torch.stack([self.adversarial_loss.generator_loss(k) for k in logits])
        return GeneratorObjective(
            terms={**objective.terms, "adversarial_loss": adversarial},
            weights={**objective.weights, "adversarial_loss": self.adversarial_weight},
            scale_weights=objective.scale_weights,
            context=objective.context,
            targets=objective.targets,
            preds=objective.preds,
        )

    def _discriminator_phase(self, draw: Draw) -> DiscriminatorObjective:
        """Score real clips high and predictions low; the generator is frozen."""
        optimizer = self._optimizer(1)
        with self.toggled_optimizer(optimizer):
            objective = self.discriminator_objective(draw.frames, **draw.condition)
            self._require_finite(objective.terms, optimizer.optimizer)
            self._descend(optimizer, objective.loss, 1)
        return objective

    def _generator_phase(self, draw: Draw) -> GeneratorObjective:
        """Be accurate and be taken for real; the discriminator is frozen."""
        optimizer = self._optimizer(0)
        with self.toggled_optimizer(optimizer):
            objective = self.generator_objective(draw.frames, **draw.condition)
            self._require_finite(objective.terms, optimizer.optimizer)
            self._descend(optimizer, objective.loss, 0)
        return objective

    def _scores(self, objective: DiscriminatorObjective) -> dict[str, Tensor]:
        score = self.adversarial_loss.score
        return {
            "real_score": torch.stack([score(logits) for logits in objective.real_logits]),
            "fake_score": torch.stack([score(logits) for logits in objective.fake_logits]),
        }

    def _predict_scales(self, context: Tensor, condition: Condition | None = None) -> list[Tensor]:
        if not self.drawn_predictions:
            return super()._predict_scales(context, condition)
        past = signed_to_unit(context)
        (pred,) = self.generator.sample(past, self.training_horizon, condition=condition)
        return pyramid(unit_to_signed(pred.float()), self.num_scales)

    def _discriminate(
        self, context: Tensor, asked: Sequence[Sequence[Tensor]]
    ) -> list[list[Tensor]]:
        """Ask about several candidates for the same past, in one call: larger batches are faster.

        Args:
            context: Past frames, shape (B, T, C, H, W).
            asked: Candidates, each S tensors (B, T, C, h, w).

        Returns:
            Logits of each, S tensors (B, P).
        """
        if self.r1_weight:
            # The second derivative is of the real frames alone, and compiled networks have none.
            return [self.discriminator(context, candidates) for candidates in asked]
        discriminate = self._compiled(self.discriminator)
        if self.discriminator.batch_dependent:
            # Statistics of both together would give away which is which.
            return [discriminate(context, candidates) for candidates in asked]
        together = [torch.cat(scale) for scale in zip(*asked, strict=True)]
        logits = discriminate(context.repeat(len(asked), 1, 1, 1, 1), together)
        return [list(part) for part in zip(*(k.chunk(len(asked)) for k in logits), strict=True)]

    def _strangers(self, targets: Sequence[Tensor]) -> list[Tensor]:
        if len(targets[0]) < 2:
            raise SettingError(
                f"a draw of {len(targets[0])} clips has no mismatched pairs; expected at least 2: "
                f"set data.batch_size to {2 * (self.discriminator_steps + 1)} or more"
            )
        # By half a draw: patches of one video lie next to each other.
        return [target.roll(len(target) // 2, dims=0) for target in targets]

    def _noisy(self, candidates: Sequence[Tensor]) -> Sequence[Tensor]:
        deviation = self.instance_noise
        if self.instance_noise_batches is not None:
            asked = self.batches_seen - self.reconstruction_batches
            deviation *= max(0.0, 1 - asked / self.instance_noise_batches)
        if not deviation:
            return candidates
        return [frames + deviation * torch.randn_like(frames) for frames in candidates]

    def _optimizer(self, k: int) -> LightningOptimizer:
        return cast(list[LightningOptimizer], self.optimizers())[k]

    def _descend(self, optimizer: LightningOptimizer, loss: Tensor, k: int) -> None:
        """Accumulate the gradient, and step every `_accumulate_batches[k]` batches of network k."""
        count = self._accumulate_batches[k]
        self.manual_backward(loss / count)
        rested = self.reconstruction_batches if k == 1 else 0
        if (self.batches_seen - rested + 1) % count:
            return
        if (clip := self._gradient_clips[k]) is not None:
            weights = (p for group in optimizer.param_groups for p in group["params"])
            torch.nn.utils.clip_grad_norm_(weights, clip)
        optimizer.step()
        optimizer.zero_grad()
        for config in self.trainer.lr_scheduler_configs:
            if config.scheduler.optimizer is optimizer.optimizer:
                config.scheduler.step()  # type: ignore[call-arg]  # the one with a metric is refused

    def _use(self, speed: Decided) -> None:
        super()._use(speed)
        prepare(self.discriminator, speed)

    def _networks(self) -> dict[str, Any]:
        return {**super()._networks(), "discriminator": self.discriminator.config()}
