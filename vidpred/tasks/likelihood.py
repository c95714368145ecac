"""Training by maximum likelihood."""

import math

import torch
from jsonargparse.typing import PositiveInt
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor
from torchmetrics import MeanMetric

from vidpred.batch import ClipBatch, Evaluation
from vidpred.errors import SettingError
from vidpred.losses import Objective
from vidpred.models import Likelihood, Predictor
from vidpred.ops.checks import require_positive
from vidpred.tasks.base import PredictionTask, Stage
from vidpred.tasks.builders import adam
from vidpred.tasks.divided_clips import Clips, divided
from vidpred.tasks.speed import Speed


class LikelihoodTask(PredictionTask):
    """Trains a predictor that knows how likely a future is: by what it gives to the true one.

    Logged for training, validation and test: `nats_per_frame`, the negative log-likelihood of a
    frame given all before it, and `bits_per_dim`, the same in bits for each of the C * H * W values
    of a frame.

    Args:
        predictor: Gives `log_prob`; see `vidpred.models.Likelihood`.
        horizon: Frames to predict in training, at least 1; None is the predictor's
            `output_frames`.
        optimizer: Builds the optimizer from parameters; the default is Adam at 0.001.
        lr_scheduler: Builds a learning-rate scheduler from the optimizer; it steps after every
            step of the optimizer.
        speed: How fast a step is computed; None is what suits the device.

    Raises:
        SettingError: When the predictor has no likelihood.
        ValueError: When the horizon is below 1.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        horizon: PositiveInt | None = None,
        optimizer: OptimizerCallable = adam,
        lr_scheduler: LRSchedulerCallable | None = None,
        speed: Speed | None = None,
    ) -> None:
        super().__init__(predictor, optimizer=optimizer, lr_scheduler=lr_scheduler, speed=speed)
        if not isinstance(predictor, Likelihood):
            raise SettingError(
                f"{type(predictor).__name__} has no method log_prob; expected a predictor that "
                "knows how likely a future is, see vidpred.models.Likelihood"
            )
        if horizon is not None:
            require_positive("horizon", horizon)
        self.horizon = predictor.output_frames if horizon is None else int(horizon)
        # Not `sync_dist`, by which processes of different shares of the clips have a wrong mean.
        self.mean_nats, self.mean_bits = MeanMetric(), MeanMetric()

    @property
    def training_horizon(self) -> int:
        """Frames after the context that a training clip needs."""
        return self.horizon

    def objective(self, batch: ClipBatch) -> Objective:
        """Give the true future a high probability."""
        clips = self.training_clips(batch)
        nats = self._nats_per_frame(clips)
        return Objective(
            terms={"nats_per_frame": nats},
            measures={"bits_per_dim": _bits_per_dim(nats, clips.target)},
        )

    def evaluate(self, batch: ClipBatch, stage: Stage) -> Evaluation:
        """Predict whole clips, and log how likely their futures are."""
        evaluation = super().evaluate(batch, stage)
        clips = divided(self.predictor, batch)
        nats = self._nats_per_frame(clips)
        self.mean_nats.update(nats, len(clips.target))
        self.mean_bits.update(_bits_per_dim(nats, clips.target), len(clips.target))
        means = {"nats_per_frame": self.mean_nats, "bits_per_dim": self.mean_bits}
        for name, mean in means.items():
            self.log(f"{stage}/{name}", mean, on_step=False, on_epoch=True)
        return evaluation

    def _nats_per_frame(self, clips: Clips) -> Tensor:
        assert isinstance(self.predictor, Likelihood)
        log_prob: Tensor = self._compiled(self.predictor.log_prob)(
            clips.context, clips.target, condition=clips.condition
        )
        if log_prob.shape != clips.target.shape[:2]:
            raise ValueError(
                f"log_prob has shape {tuple(log_prob.shape)}; expected one value a clip and frame, "
                f"{tuple(clips.target.shape[:2])}"
            )
        return -log_prob.float().mean()


def _bits_per_dim(nats_per_frame: Tensor, target: Tensor) -> Tensor:
    values = math.prod(target.shape[2:])
    return (nats_per_frame / (values * math.log(2))).detach().to(torch.float32)
