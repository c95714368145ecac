"""What the tasks share that compare predictions with true frames at every scale."""

from typing import ClassVar, Literal

from torch import Tensor

from vidpred.batch import ClipBatch
from vidpred.losses import GeneratorObjective, Objective, PredictionLoss
from vidpred.models import Condition, Predictor, ScalePredictor
from vidpred.models.given_conditions import condition_of
from vidpred.ops import pyramid, signed_to_unit, unit_to_signed
from vidpred.tasks.base import PredictionTask
from vidpred.tasks.divided_clips import (
    require_channels,
    require_length,
    require_multiple,
    unit_frames,
)
from vidpred.tasks.speed import Speed


class NextFrameTask(PredictionTask):
    """Trains a generator to predict the next frames at every scale; subclasses say how.

    The frames are in [-1, 1], where the losses of Mathieu et al. 2016 and their weights live. The
    scales are those of a `vidpred.models.ScalePredictor`; the predictions of another predictor are
    compared as an image pyramid, of as many scales as the subclass says.

    Args:
        generator: The network that is trained.
        loss: What it minimizes against the true frames.
        speed: How fast a step is computed; None is what suits the device.
    """

    predictor_key: ClassVar[Literal["predictor", "generator"]] = "generator"
    loss_name: ClassVar[str] = "loss_g"

    generator: Predictor

    def __init__(
        self, generator: Predictor, loss: PredictionLoss, *, speed: Speed | None = None
    ) -> None:
        super().__init__(generator, speed=speed)
        self.loss = loss

    @property
    def num_scales(self) -> int:
        """S, scales at which predictions are compared with true frames."""
        return self.generator.num_scales if isinstance(self.generator, ScalePredictor) else 1

    def objective(self, batch: ClipBatch) -> Objective:
        """Say what the generator minimizes; see `generator_objective`."""
        return self.generator_objective(batch["frames"], **self._conditions(batch))

    def generator_objective(
        self, frames: Tensor, condition: Condition | None = None
    ) -> GeneratorObjective:
        """Compare the prediction of every scale with the true frames.

        Args:
            frames: Clips, uint8, shape (B, T, C, H, W).
            condition: Of generators that are conditioned on something.
        """
        context, targets = self._training_clip(frames)
        preds = self._predict_scales(context, condition)
        return GeneratorObjective(
            terms=self.loss.checked_terms(preds, targets),
            weights=self.loss.weights,
            scale_weights=self.loss.scale_weights,
            context=context,
            targets=targets,
            preds=preds,
        )

    def _conditions(self, batch: ClipBatch) -> dict[str, Condition]:
        """Give the argument of objectives that take frames; those of 0.1 take nothing else."""
        condition = condition_of(self.generator, batch)
        return {} if condition is None else {"condition": condition}

    def _training_clip(self, frames: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Split uint8 clips (B, T, C, H, W) into context and target pyramid, in [-1, 1]."""
        require_length(self.generator, frames, self.training_horizon)
        require_channels(self.generator, frames)
        require_multiple(frames, 2 ** (self.num_scales - 1))
        signed, known = unit_to_signed(unit_frames(frames)), self.generator.context_frames
        return signed[:, :known], pyramid(signed[:, known:], self.num_scales)

    def _predict_scales(self, context: Tensor, condition: Condition | None = None) -> list[Tensor]:
        """Predict from frames in [-1, 1]: S tensors (B, T, C, h, w) in [-1, 1]."""
        if isinstance(self.generator, ScalePredictor):
            scales: list[Tensor] = self._compiled(self.generator.forward_scales)(context)
            return scales
        pred = self.predict(signed_to_unit(context), self.training_horizon, condition=condition)
        return pyramid(unit_to_signed(pred.float()), self.num_scales)
