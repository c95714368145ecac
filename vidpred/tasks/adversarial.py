"""Training against a discriminator as well: the rows `adv` and `adv_gdl` of the paper."""

from typing import Any, cast

import torch
from jsonargparse.typing import NonNegativeFloat, PositiveFloat, PositiveInt
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from pytorch_lightning.core.optimizer import LightningOptimizer
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor

from vidpred.batch import ClipBatch
from vidpred.losses import AdversarialLoss, MultiScaleLoss, sum_over_scales
from vidpred.models import MultiScaleDiscriminator, ScalePredictor
from vidpred.ops.checks import require_positive, require_weight
from vidpred.tasks.base import NextFrameTask
from vidpred.tasks.reconstruction import sgd, without_metric


class AdversarialTask(NextFrameTask):
    """Trains a generator and a discriminator in turn, each on its own draw.

    One training batch is one iteration: its first half is the discriminator's draw, its second half
    the generator's, so that no clip is seen by both. The data's batch size is therefore twice the
    minibatch of a phase.

    Args:
        generator: Predicts; see `vidpred.models.MultiScaleGenerator`.
        discriminator: Judges; as many scales as the generator.
        loss: The generator's losses against the true frames; None is the paper's l2.
        adversarial_loss: What the two want of each other; None is the paper's cross-entropy.
        adversarial_weight: Weight of the adversarial term in the generator's loss; at least 0. The
            paper gives 0.05 (recalled, not verified), the released script uses 0.01.
        mismatched_pairs: Also show the discriminator the past of one clip with the next frame of
            another, as fake, and count the real pairs twice; the released script's default. The
            script draws that second real pair anew, here it is the clip that lent its next frame.
        generator_optimizer: Builds the generator's optimiser; the default is the paper's SGD at
            0.02.
        discriminator_optimizer: The same for the discriminator.
        generator_lr_scheduler: Builds the scheduler of the generator's learning rate, which steps
            whenever the optimiser does.
        discriminator_lr_scheduler: The same for the discriminator.
        generator_accumulate_batches: Batches whose gradients the generator averages before a step.
            The trainer's `accumulate_grad_batches` cannot know which optimiser is meant and is
            refused.
        discriminator_accumulate_batches: The same for the discriminator.
        generator_gradient_clip: Largest norm of the generator's gradient; None clips nothing. The
            trainer's `gradient_clip_val` is refused.
        discriminator_gradient_clip: The same for the discriminator.

    Raises:
        ValueError: When a weight is negative or NaN, a count below 1, or the two networks do not
            fit each other.
    """

    def __init__(
        self,
        generator: ScalePredictor,
        discriminator: MultiScaleDiscriminator,
        *,
        loss: MultiScaleLoss | None = None,
        adversarial_loss: AdversarialLoss | None = None,
        adversarial_weight: NonNegativeFloat = 0.05,
        mismatched_pairs: bool = False,
        generator_optimizer: OptimizerCallable = sgd,
        discriminator_optimizer: OptimizerCallable = sgd,
        generator_lr_scheduler: LRSchedulerCallable | None = None,
        discriminator_lr_scheduler: LRSchedulerCallable | None = None,
        generator_accumulate_batches: PositiveInt = 1,
        discriminator_accumulate_batches: PositiveInt = 1,
        generator_gradient_clip: PositiveFloat | None = None,
        discriminator_gradient_clip: PositiveFloat | None = None,
    ) -> None:
        super().__init__(generator, loss or MultiScaleLoss())
        require_weight("adversarial_weight", adversarial_weight)
        require_positive("generator_accumulate_batches", generator_accumulate_batches)
        require_positive("discriminator_accumulate_batches", discriminator_accumulate_batches)
        for name in ("num_scales", "context_frames", "output_frames"):
            ours, theirs = getattr(generator, name), getattr(discriminator, name)
            if ours != theirs:
                raise ValueError(
                    f"the generator has {name} {ours}, the discriminator {theirs}; "
                    "expected the same"
                )
        self.automatic_optimization = False
        self.discriminator = discriminator
        self.adversarial_loss = adversarial_loss or AdversarialLoss()
        self.adversarial_weight = adversarial_weight
        self.mismatched_pairs = mismatched_pairs
        self._build_optimizers = (generator_optimizer, discriminator_optimizer)
        self._build_lr_schedulers = (generator_lr_scheduler, discriminator_lr_scheduler)
        self._accumulate_batches = (generator_accumulate_batches, discriminator_accumulate_batches)
        self._gradient_clips = (generator_gradient_clip, discriminator_gradient_clip)

    def configure_callbacks(self) -> list[Callback]:
        """Add none; as the first hook of all it refuses before Lightning does, in our words.

        Raises:
            ValueError: When the trainer is told to accumulate or clip, which it cannot do for two
                optimisers.
        """
        if self.trainer.accumulate_grad_batches != 1:
            raise ValueError(
                f"trainer.accumulate_grad_batches is {self.trainer.accumulate_grad_batches}, but "
                "two optimisers step here; set model.generator_accumulate_batches and "
                "model.discriminator_accumulate_batches instead"
            )
        if self.trainer.gradient_clip_val:
            raise ValueError(
                f"trainer.gradient_clip_val is {self.trainer.gradient_clip_val}, but "
                "two optimisers step here; set model.generator_gradient_clip and "
                "model.discriminator_gradient_clip instead"
            )
        if self.trainer.precision == "16-mixed" and any(self._gradient_clips):
            raise ValueError(
                "gradients cannot be clipped at precision 16-mixed, where they are scaled; "
                "expected bf16-mixed or 32-true, or no gradient_clip"
            )
        return []

    def training_step(self, batch: ClipBatch, batch_idx: int) -> None:
        """Run one iteration: a discriminator phase, then a generator phase on another draw."""
        discriminator_draw, generator_draw = separate_draws(batch["frames"])
        logged_d = self._discriminator_phase(discriminator_draw)
        logged_g = self._generator_phase(generator_draw)
        self.batches_seen += 1
        loss_g, loss_d = logged_g.pop("loss_g"), logged_d.pop("loss_d")
        self._log_training({"loss_g": loss_g, "loss_d": loss_d}, {**logged_d, **logged_g})

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Give the generator's optimiser, then the discriminator's, with their schedulers."""
        networks = (self.generator, self.discriminator)
        configs: list[Any] = []
        for network, build, build_scheduler in zip(
            networks, self._build_optimizers, self._build_lr_schedulers, strict=True
        ):
            optimizer = build(network.parameters())
            configs.append({"optimizer": optimizer})
            if build_scheduler is not None:
                configs[-1]["lr_scheduler"] = without_metric(build_scheduler(optimizer))
        return tuple(configs)

    def _discriminator_phase(self, frames: Tensor) -> dict[str, Tensor]:
        """Score real clips high and predictions low; the generator stands still."""
        optimizer = self._optimizer(1)
        with self.toggled_optimizer(optimizer):
            context, targets = self._training_clip(frames)
            preds = [pred.detach() for pred in self.generator.forward_scales(context)]
            real = self.discriminator(context, targets)
            fake = self.discriminator(context, preds)
            terms = {
                "real_loss": torch.stack([self.adversarial_loss.real_loss(k) for k in real]),
                "fake_loss": torch.stack([self.adversarial_loss.fake_loss(k) for k in fake]),
            }
            if self.mismatched_pairs:
                terms["mismatched_loss"] = self._mismatched_loss(context, targets)
                terms["real_loss"] = 2 * terms["real_loss"]
            self._require_finite(terms)
            loss = torch.stack(list(terms.values())).sum()
            self._descend(optimizer, loss, 1)
        score = self.adversarial_loss.score
        scores_real = torch.stack([score(k) for k in real])
        scores_fake = torch.stack([score(k) for k in fake])
        return {"loss_d": loss, **terms, "real_score": scores_real, "fake_score": scores_fake}

    def _generator_phase(self, frames: Tensor) -> dict[str, Tensor]:
        """Be accurate and be taken for real; the discriminator stands still."""
        optimizer = self._optimizer(0)
        with self.toggled_optimizer(optimizer):
            context, targets = self._training_clip(frames)
            preds = self.generator.forward_scales(context)
            loss, terms = self.loss(preds, targets)
            logits = self.discriminator(context, preds)
            adversarial = torch.stack([self.adversarial_loss.generator_loss(k) for k in logits])
            terms["adversarial_loss"] = adversarial
            self._require_finite(terms)
            loss = loss + self.adversarial_weight * sum_over_scales(
                adversarial, self.loss.scale_weights
            )
            self._descend(optimizer, loss, 0)
        return {"loss_g": loss, **terms}

    def _mismatched_loss(self, context: Tensor, targets: list[Tensor]) -> Tensor:
        if len(context) < 2:
            raise ValueError(
                f"a draw of {len(context)} clips has no mismatched pairs; expected at least 2: "
                "set data.batch_size to 4 or more"
            )
        # By half a draw: patches of one video lie next to each other.
        strangers = [target.roll(len(target) // 2, dims=0) for target in targets]
        logits = self.discriminator(context, strangers)
        return torch.stack([self.adversarial_loss.fake_loss(k) for k in logits])

    def _optimizer(self, k: int) -> LightningOptimizer:
        return cast(list[LightningOptimizer], self.optimizers())[k]

    def _descend(self, optimizer: LightningOptimizer, loss: Tensor, k: int) -> None:
        """Accumulate the gradient, and step every `_accumulate_batches[k]` batches.

        The gradient accumulated so far is not part of a checkpoint: a resume starts a new average.
        """
        count = self._accumulate_batches[k]
        self.manual_backward(loss / count)
        if (self.batches_seen + 1) % count:
            return
        if (clip := self._gradient_clips[k]) is not None:
            self.clip_gradients(optimizer.optimizer, clip, gradient_clip_algorithm="norm")
        optimizer.step()
        optimizer.zero_grad()
        for config in self.trainer.lr_scheduler_configs:
            if config.scheduler.optimizer is optimizer.optimizer:
                config.scheduler.step()  # type: ignore[call-arg]  # the one with a metric is refused

    def _networks(self) -> dict[str, Any]:
        return {**super()._networks(), "discriminator": self.discriminator.config()}


def separate_draws(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Split a batch into the discriminator's draw and the generator's.

    Args:
        frames: Clips (B, T, C, H, W) with B even.

    Returns:
        Two halves (B / 2, T, C, H, W) without a clip in common.

    Raises:
        ValueError: When B is odd.
    """
    if len(frames) % 2:
        raise ValueError(
            f"the batch has {len(frames)} clips; expected an even number, because the "
            "discriminator learns from one half and the generator from the other: "
            "set data.batch_size to an even number"
        )
    half = len(frames) // 2
    return frames[:half], frames[half:]
