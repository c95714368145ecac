"""Training of the flow refiner: one frame of each clip, any number of steps ahead."""

from collections.abc import Sequence

import torch
from jsonargparse.typing import NonNegativeFloat
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor

from vidpred.batch import ClipBatch
from vidpred.flow import MotionMask, OpticalFlowMask
from vidpred.losses import PredictionObjective, log_mse_loss, lp_loss
from vidpred.models import FlowRefiner, Predictor
from vidpred.models.flow_evidence import carry
from vidpred.ops import frame_difference_mask
from vidpred.ops.checks import require_weight
from vidpred.tasks.base import PredictionTask
from vidpred.tasks.builders import adam
from vidpred.tasks.speed import Speed

STEP_WEIGHTS = (9.0, 6.0, 3.0, 2.0, 2.0, 2.0, 2.0, 3.0)
"""How often each of 8 steps is trained: near ones more, where most is to be gained."""


class FlowRefinementTask(PredictionTask):
    """Trains a `FlowRefiner` to predict frame k directly, k drawn for every batch.

    It maximizes what evaluations rank by, the mean PSNR of clips, over the whole frame, over the
    pixels that changed last, and over the fastest ones (see `vidpred.losses.log_mse_loss`); and it
    minimizes the mean absolute difference, which weighs clips by their error. Both masks are those
    of the true frames before the target, which no mask looks at.

    Args:
        predictor: A `FlowRefiner`, new or trained (`vidpred.storage.trained_predictor`).
        step_weights: How often frame 1, 2, ... is drawn, relative to the others; as many as the
            frames that training clips have after the context.
        log_mse_weight: Weight of the logarithmic terms over the whole frame and over the pixels
            that changed last.
        fastest_weight: Weight of that over the fastest pixels.
        l1_weight: Weight of the mean absolute difference.
        train_clip_branch: Whether the clip-level branch is trained too; False keeps what
            `tools/fit_clip_branch.py` fitted to many more clips than a training sees: all but its
            speeds, which that does not fit.
        optimizer: Builds the optimizer from parameters; the default is Adam at 0.001.
        lr_scheduler: Builds a learning-rate scheduler from the optimizer; steps after every step of
            the optimizer.
        speed: How fast a step is computed; None is what suits the device.

    Raises:
        TypeError: When the predictor is not a `FlowRefiner`.
        ValueError: When the step weights are empty, negative or all zero, or the other weights are
            negative, NaN or all zero.
    """

    compiles = False

    def __init__(
        self,
        predictor: Predictor,
        *,
        step_weights: Sequence[NonNegativeFloat] = STEP_WEIGHTS,
        log_mse_weight: NonNegativeFloat = 0.5,
        fastest_weight: NonNegativeFloat = 0.5,
        l1_weight: NonNegativeFloat = 5.0,
        train_clip_branch: bool = True,
        optimizer: OptimizerCallable = adam,
        lr_scheduler: LRSchedulerCallable | None = None,
        speed: Speed | None = None,
    ) -> None:
        if not isinstance(predictor, FlowRefiner):
            raise TypeError(f"predictor is a {type(predictor).__name__}; expected a FlowRefiner")
        super().__init__(predictor, optimizer=optimizer, lr_scheduler=lr_scheduler, speed=speed)
        if not step_weights or min(step_weights) < 0 or not any(step_weights):
            raise ValueError(
                f"step_weights are {list(step_weights)}; expected numbers of at least 0, one of "
                "them above 0"
            )
        weights = {
            "log_mse_weight": log_mse_weight,
            "fastest_weight": fastest_weight,
            "l1_weight": l1_weight,
        }
        for name, weight in weights.items():
            require_weight(name, weight)
        if not any(weights.values()):
            raise ValueError(f"{', '.join(weights)} are 0; expected at least one above 0")
        self.step_weights = tuple(float(weight) for weight in step_weights)
        self.weights = {
            "log_mse_whole": float(log_mse_weight),
            "log_mse_moving": float(log_mse_weight),
            "log_mse_fastest": float(fastest_weight),
            "l1": float(l1_weight),
        }
        for layers in (predictor.clip, predictor.clip_logits):
            layers.requires_grad_(train_clip_branch)
        self._refiner = [predictor]  # typed; in a list, so that it is no second submodule
        self._fastest: MotionMask = OpticalFlowMask(predictor.estimator)

    @property
    def training_horizon(self) -> int:
        """Frames after the context that a training clip needs: the farthest that is drawn."""
        return len(self.step_weights)

    def objective(self, batch: ClipBatch) -> PredictionObjective:
        """Be accurate k frames ahead."""
        context, target, _ = self.training_clips(batch)
        k = 1 + int(torch.multinomial(torch.tensor(self.step_weights), 1))
        true = target[:, k - 1]
        pred = self._predict(context, k)
        known = torch.cat([context, target], dim=1)[:, : context.shape[1] + k]
        moving, fastest = frame_difference_mask(known, 1)[:, 0], self._fastest(known, 1)[:, 0]
        return PredictionObjective(
            terms={
                "log_mse_whole": log_mse_loss(pred, true),
                "log_mse_moving": log_mse_loss(pred, true, moving),
                "log_mse_fastest": log_mse_loss(pred, true, fastest),
                "l1": lp_loss(pred, true, p=1),
            },
            weights=self.weights,
            context=context,
            target=target[:, k - 1 : k],
            pred=pred[:, None],
        )

    def _predict(self, context: Tensor, k: int) -> Tensor:
        (refiner,) = self._refiner
        # Flows need all the digits of a position.
        with torch.autocast(context.device.type, enabled=False):
            evidence = refiner.observe(context)
            *_, paths = carry(evidence, k)
        return refiner.predict(evidence, paths, k).float()
