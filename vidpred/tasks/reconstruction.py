"""Training against the true frames alone: the rows `l2`, `l1` and `gdl_l1` of the paper."""

from collections.abc import Iterable

import torch
from jsonargparse.typing import PositiveInt
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from vidpred.batch import ClipBatch
from vidpred.errors import SettingError
from vidpred.losses import LpLoss, MultiScaleLoss, Objective, PredictionLoss, PredictionObjective
from vidpred.losses.base import require_trainable
from vidpred.models import Condition, Predictor, ScalePredictor
from vidpred.ops.checks import require_positive
from vidpred.tasks.base import PredictionTask
from vidpred.tasks.builders import Builders, sgd
from vidpred.tasks.multiscale import NextFrameTask
from vidpred.tasks.speed import Speed


class ReconstructionTask(NextFrameTask):
    """Trains any predictor against the true frames with one optimizer.

    A `vidpred.models.ScalePredictor` is compared at each of its scales, in [-1, 1], one step ahead.
    Any other predictor is compared at full size, in [0, 1], over `horizon` frames, for which it
    feeds its own predictions back where one step does not reach, and learns through all of them.

    `unrolled_steps` trains a predictor with scales on its own predictions too: each is fed back,
    as it is when it is used, and every step is compared at every scale. It is not the paper's.

    The trainer's `accumulate_grad_batches` and `gradient_clip_val` apply.

    Args:
        predictor: What is trained.
        generator: Its name in 0.1; give one of the two.
        loss: Losses and their weights; None is the l2 of the paper at each scale
            (`MultiScaleLoss`), or `LpLoss` for a predictor without scales.
        horizon: Frames to predict in training, at least 1; None is the predictor's
            `output_frames`. Predictors with scales are trained on those.
        unrolled_steps: Steps of a predictor with scales that gradients go through, at least 1; 1
            is the paper's. Other predictors take `horizon`.
        optimizer: Builds the optimizer from parameters; the default is the paper's SGD at 0.02.
        lr_scheduler: Builds a learning-rate scheduler from the optimizer; steps after every step of
            the optimizer.
        speed: How fast a step is computed; None is what suits the device.

    Raises:
        ValueError: When no predictor is given or two are, the loss has no weight or does not fit
            the predictor, or a predictor with scales is to be trained on another horizon.

    Example:
        >>> import torch
        >>> from vidpred.losses import LpLoss
        >>> from vidpred.models import MultiScaleGenerator
        >>> task = ReconstructionTask(MultiScaleGenerator.from_preset("small"))
        >>> frames = torch.zeros(2, 5, 3, 32, 32, dtype=torch.uint8)
        >>> task.objective({"frames": frames}).terms["lp_loss"].shape  # one value a scale
        torch.Size([4])
    """

    def __init__(
        self,
        predictor: Predictor | None = None,
        *,
        generator: Predictor | None = None,
        loss: PredictionLoss | None = None,
        horizon: PositiveInt | None = None,
        unrolled_steps: PositiveInt = 1,
        optimizer: OptimizerCallable = sgd,
        lr_scheduler: LRSchedulerCallable | None = None,
        speed: Speed | None = None,
    ) -> None:
        network = one_of(predictor, generator)
        by_scale = isinstance(network, ScalePredictor)
        super().__init__(network, loss or (MultiScaleLoss() if by_scale else LpLoss()), speed=speed)
        require_trainable(self.loss)
        if not by_scale and isinstance(self.loss, MultiScaleLoss):
            raise SettingError(
                f"MultiScaleLoss compares scales, and {type(network).__name__} predicts frames of "
                "one size; expected vidpred.losses.LpLoss, GradientDifferenceLoss, CombinedLoss or "
                "your own PredictionLoss"
            )
        if horizon is not None:
            require_positive("horizon", horizon)
            if by_scale and horizon != network.output_frames:
                raise SettingError(
                    f"horizon is {horizon}, and {type(network).__name__} is trained at every scale "
                    f"on the {network.output_frames} frames of one step; expected "
                    f"{network.output_frames} or none"
                )
        require_positive("unrolled_steps", unrolled_steps)
        if unrolled_steps > 1 and not by_scale:
            raise SettingError(
                f"unrolled_steps is {unrolled_steps}, and {type(network).__name__} has no scales; "
                f"expected horizon {unrolled_steps * network.output_frames} instead"
            )
        self.unrolled_steps = int(unrolled_steps)
        one_step = network.output_frames if horizon is None else int(horizon)
        self.horizon = one_step * self.unrolled_steps
        self._builders = Builders((optimizer, lr_scheduler))

    @property
    def training_horizon(self) -> int:
        """Frames after the context that a training clip needs."""
        return self.horizon

    def objective(self, batch: ClipBatch) -> Objective:
        """Be accurate: at every scale, or on every frame up to the horizon."""
        if isinstance(self.generator, ScalePredictor):
            return super().objective(batch)
        context, target, condition = self.training_clips(batch)
        pred = self.predict(context, self.horizon, condition=condition)
        return PredictionObjective(
            terms=self.loss.checked_terms(pred, target),
            weights=self.loss.weights,
            scale_weights=self.loss.scale_weights,
            context=context,
            target=target,
            pred=pred,
        )

    def _predict_scales(self, context: Tensor, condition: Condition | None = None) -> list[Tensor]:
        steps = [super()._predict_scales(context, condition)]
        for _ in range(self.unrolled_steps - 1):
            context = torch.cat([context, steps[-1][-1].clamp(-1, 1)], dim=1)
            context = context[:, -self.generator.context_frames :]
            steps.append(super()._predict_scales(context, condition))
        return [torch.cat(scale, dim=1) for scale in zip(*steps, strict=True)]

    def trained_parameters(self) -> Iterable[nn.Parameter]:
        """Give those of the generator: a loss may have weights of its own, which are fixed."""
        return self.generator.parameters()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Give the one optimizer, and its scheduler if there is one."""
        return PredictionTask.configure_optimizers(self)


def one_of(predictor: Predictor | None, generator: Predictor | None) -> Predictor:
    """Give the predictor, under whichever of its two names it came.

    Raises:
        SettingError: When none came, or two.
    """
    given = [network for network in (predictor, generator) if network is not None]
    if len(given) != 1:
        raise SettingError(
            f"{'both predictor and generator are' if given else 'no predictor is'} given; expected "
            "model.predictor alone (generator is its name in 0.1). Of two experiment files, the "
            "second keeps what the first set: give one of them"
        )
    return given[0]
