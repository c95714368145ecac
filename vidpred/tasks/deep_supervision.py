"""Training of predictors that improve one prediction stage by stage."""

from jsonargparse.typing import ClosedUnitInterval
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor

from vidpred.batch import ClipBatch
from vidpred.errors import SettingError
from vidpred.losses import LaplacianPyramidLoss, PredictionLoss, PredictionObjective
from vidpred.losses.base import require_trainable
from vidpred.models import Predictor, Refining
from vidpred.tasks.base import PredictionTask
from vidpred.tasks.builders import adam
from vidpred.tasks.speed import Speed

DECAY = 0.8
"""Weight of a stage relative to the next one; Hu et al. 2023, released code."""


class DeepSupervisionTask(PredictionTask):
    """Compares the prediction of every stage with the true frames, later ones with more weight.

    Source: Hu et al. 2023 (DMVFN): stage i of N has the weight `decay ** (N - i)`.

    Args:
        predictor: Gives `stages`; see `vidpred.models.Refining`.
        loss: Of one stage; None is `LaplacianPyramidLoss`.
        decay: Weight of a stage relative to the next one, in [0, 1].
        optimizer: Builds the optimizer from parameters; the default is Adam at 0.001.
        lr_scheduler: Builds a learning-rate scheduler from the optimizer; it steps after every
            step of the optimizer.
        speed: How fast a step is computed; None is what suits the device.

    Raises:
        SettingError: When the predictor has no stages.
        ValueError: When the decay is outside [0, 1] or no term of the loss has a weight.

    Example:
        >>> import torch
        >>> from vidpred.models import DMVFN
        >>> task = DeepSupervisionTask(DMVFN((8, 4), (2, 1)))
        >>> frames = torch.zeros(2, 3, 3, 16, 16, dtype=torch.uint8)
        >>> task.objective({"frames": frames}).terms["laplacian_pyramid_loss"].ndim
        0
    """

    compiles = False

    def __init__(
        self,
        predictor: Predictor,
        *,
        loss: PredictionLoss | None = None,
        decay: ClosedUnitInterval = DECAY,
        optimizer: OptimizerCallable = adam,
        lr_scheduler: LRSchedulerCallable | None = None,
        speed: Speed | None = None,
    ) -> None:
        super().__init__(predictor, optimizer=optimizer, lr_scheduler=lr_scheduler, speed=speed)
        if not isinstance(predictor, Refining):
            raise SettingError(
                f"{type(predictor).__name__} has no method stages; expected a predictor that "
                "refines, see vidpred.models.Refining, or another task"
            )
        if not 0 <= decay <= 1:
            raise ValueError(f"decay is {decay}; expected a number in [0, 1]")
        self.loss = loss or LaplacianPyramidLoss()
        require_trainable(self.loss)
        self.decay = float(decay)

    def objective(self, batch: ClipBatch) -> PredictionObjective:
        """Be accurate after every stage, above all after the last."""
        context, target, _ = self.training_clips(batch)
        assert isinstance(self.predictor, Refining)
        preds = self.predictor.stages(context)
        terms: dict[str, Tensor] = {}
        for later, pred in enumerate(reversed(preds)):
            for name, term in self.loss.checked_terms(pred, target).items():
                weighted = self.decay**later * term
                terms[name] = terms[name] + weighted if name in terms else weighted
        return PredictionObjective(
            terms=terms,
            weights=self.loss.weights,
            context=context,
            target=target,
            pred=preds[-1],
        )
