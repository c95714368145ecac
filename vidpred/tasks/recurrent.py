"""Training of recurrent networks over whole clips."""

from collections.abc import Mapping

import torch
from jsonargparse.typing import NonNegativeFloat, PositiveInt
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable

from vidpred.batch import ClipBatch
from vidpred.errors import SettingError
from vidpred.losses import LpLoss, PredictionLoss, PredictionObjective
from vidpred.losses.base import require_trainable
from vidpred.models import RecurrentPredictor
from vidpred.ops.checks import require_positive, require_weight
from vidpred.tasks.base import PredictionTask
from vidpred.tasks.builders import adam
from vidpred.tasks.frame_sampling import FrameSampling, ScheduledSampling
from vidpred.tasks.speed import Speed


class RecurrentTask(PredictionTask):
    """Trains a network that reads frame after frame: every frame of a clip is predicted.

    The one place where it is decided what a recurrent network reads in training. Frame t is
    predicted from frames 0 to t - 1, each of them the true one or the network's own prediction, as
    `sampling` draws it: teacher forcing, scheduled or reverse scheduled sampling. The loss is that
    of all predicted frames, those of the context included; the network's penalties are added. What
    lies outside [0, 1] is compared as it is.

    Networks that read no prediction, such as `vidpred.models.ConvLSTM`, are trained by
    `ReconstructionTask`; so can these be, then on their own predictions after the context alone.

    Args:
        predictor: What is trained.
        loss: Of the predicted frames; None is `LpLoss`.
        horizon: Frames after the context in a training clip, at least 1.
        sampling: Which frames are read as they are; None is `ScheduledSampling()`.
        penalty_weights: Of the network's penalties, by name, in place of those of its paper; 0
            leaves one out.
        optimizer: Builds the optimizer from parameters; the default is Adam at 0.001.
        lr_scheduler: Builds a learning-rate scheduler from the optimizer; it steps after every
            step of the optimizer.
        speed: How fast a step is computed; None is what suits the device.

    Raises:
        SettingError: When the predictor is not recurrent or has no penalty of a name.
        ValueError: When a weight is negative or NaN, the horizon is below 1, or no term of the
            loss has a weight.

    Example:
        >>> import torch
        >>> from vidpred.models import PredRNN
        >>> task = RecurrentTask(PredRNN(4, layers=1, context_frames=2, decoupling=True), horizon=3)
        >>> frames = torch.zeros(1, 5, 3, 8, 8, dtype=torch.uint8)
        >>> sorted(task.objective({"frames": frames}).terms)
        ['decoupling', 'lp_loss']
    """

    def __init__(
        self,
        predictor: RecurrentPredictor,
        *,
        loss: PredictionLoss | None = None,
        horizon: PositiveInt = 4,
        sampling: FrameSampling | None = None,
        penalty_weights: Mapping[str, NonNegativeFloat] | None = None,
        optimizer: OptimizerCallable = adam,
        lr_scheduler: LRSchedulerCallable | None = None,
        speed: Speed | None = None,
    ) -> None:
        super().__init__(predictor, optimizer=optimizer, lr_scheduler=lr_scheduler, speed=speed)
        if not isinstance(predictor, RecurrentPredictor):
            raise SettingError(
                f"{type(predictor).__name__} does not read frame after frame; expected a "
                "vidpred.models.RecurrentPredictor, or vidpred.tasks.ReconstructionTask, which "
                "trains any predictor"
            )
        require_positive("horizon", horizon)
        self.loss = loss or LpLoss()
        require_trainable(self.loss)
        self.horizon = int(horizon)
        self.sampling = sampling or ScheduledSampling()
        self.penalty_weights = _weights(predictor, penalty_weights or {})

    @property
    def training_horizon(self) -> int:
        """Frames after the context that a training clip needs."""
        return self.horizon

    def objective(self, batch: ClipBatch) -> PredictionObjective:
        """Predict every frame of a clip, from true frames or from predicted ones."""
        context, target, _ = self.training_clips(batch)
        frames = torch.cat([context, target], dim=1)
        true = self.sampling.draw(
            len(frames), self.predictor.context_frames, self.horizon, self.batches_seen + 1
        )
        assert isinstance(self.predictor, RecurrentPredictor)
        pred, found = self._compiled(self.predictor.follow)(frames, true.to(frames.device))
        penalties = {name: found[name] for name in found if self.penalty_weights[name]}
        return PredictionObjective(
            terms={**self.loss.checked_terms(pred, frames[:, 1:]), **penalties},
            weights={**self.loss.weights, **self.penalty_weights},
            context=context,
            target=target,
            pred=pred[:, -self.horizon :],
        )


def _weights(predictor: RecurrentPredictor, given: Mapping[str, float]) -> dict[str, float]:
    known = predictor.penalty_weights
    for name, weight in given.items():
        if name not in known:
            raise SettingError(
                f"{type(predictor).__name__} has no penalty {name!r}; expected one of: "
                f"{', '.join(known) or 'none, leave penalty_weights out'}"
            )
        require_weight(f"penalty_weights {name}", weight)
    return {name: float(given.get(name, weight)) for name, weight in known.items()}
