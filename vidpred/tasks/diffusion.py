"""Training by denoising score matching: learn to take noise of any strength away."""

import math
from collections.abc import Sequence

import torch
from jsonargparse.typing import PositiveFloat
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor
from torchmetrics import MeanMetric

from vidpred.batch import ClipBatch, Evaluation
from vidpred.errors import SettingError
from vidpred.losses import Objective
from vidpred.models import Denoising, Predictor
from vidpred.ops import named_generator, normal_like
from vidpred.tasks.base import PredictionTask, Stage
from vidpred.tasks.builders import adam
from vidpred.tasks.divided_clips import Clips, divided, require_multiple
from vidpred.tasks.speed import Speed

NOISE_MEDIAN = math.exp(-0.4) / 0.5
"""Median noise level relative to the data's deviation; Alonso et al. 2024 (exp(-0.4) of 0.5)."""

NOISE_SPREAD = 1.2
"""Standard deviation of the logarithm of the noise level; Karras et al. 2022."""

VALIDATION_SEED = 0
"""Of the noise that validation and test take away, the same at every validation."""


class DiffusionTask(PredictionTask):
    """Trains a denoiser by weighted denoising score matching, the noise level log-normal.

    Source: Karras et al. 2022 (arXiv 2206.00364): with y the data and n noise of level sigma, it
    minimizes `w(sigma) |D(y + n, sigma) - y|^2`, where `w = (sigma^2 + sigma_data^2) / (sigma
    sigma_data)^2` makes the loss of an untrained network 1 at every level. Logged as `denoising`;
    in validation and test every clip has a noise level and noise of its own, the same each time.

    Args:
        predictor: Denoises; see `vidpred.models.Denoising`.
        noise_median: Median noise level of training, relative to the predictor's `sigma_data`.
        noise_spread: Standard deviation of the logarithm of the noise level.
        optimizer: Builds the optimizer from parameters; the default is Adam at 0.001.
        lr_scheduler: Builds a learning-rate scheduler from the optimizer; it steps after every
            step of the optimizer.
        speed: How fast a step is computed; None is what suits the device.

    Raises:
        SettingError: When the predictor does not denoise.
        ValueError: When a number is not above 0.

    Example:
        >>> import torch
        >>> from vidpred.models import EDMPredictor
        >>> task = DiffusionTask(EDMPredictor((4,), blocks=1, features=4, attention=False))
        >>> frames = torch.zeros(2, 5, 3, 8, 8, dtype=torch.uint8)
        >>> sorted(task.objective({"frames": frames}).terms)
        ['denoising']
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        noise_median: PositiveFloat = NOISE_MEDIAN,
        noise_spread: PositiveFloat = NOISE_SPREAD,
        optimizer: OptimizerCallable = adam,
        lr_scheduler: LRSchedulerCallable | None = None,
        speed: Speed | None = None,
    ) -> None:
        super().__init__(predictor, optimizer=optimizer, lr_scheduler=lr_scheduler, speed=speed)
        if not isinstance(predictor, Denoising):
            raise SettingError(
                f"{type(predictor).__name__} has no methods signal and denoise; expected a "
                "predictor that takes noise away, see vidpred.models.Denoising"
            )
        for name, value in (("noise_median", noise_median), ("noise_spread", noise_spread)):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} is {value}; expected a finite number above 0")
        self.noise_median = float(noise_median)
        self.noise_spread = float(noise_spread)
        # Not `sync_dist`, by which processes of different shares of the clips have a wrong mean.
        self.clip_mean = MeanMetric()

    def objective(self, batch: ClipBatch) -> Objective:
        """Take away noise that was added to the next frames."""
        require_multiple(batch["frames"], self.predictor.size_multiple)
        return Objective(terms={"denoising": self._denoising(self.training_clips(batch), None)})

    def evaluate(self, batch: ClipBatch, stage: Stage) -> Evaluation:
        """Predict whole clips, and log how well the first frames are denoised."""
        evaluation = super().evaluate(batch, stage)
        clips = divided(self.predictor, batch)
        if not batch.keys() >= {"video_id", "start"}:
            raise SettingError(
                f"the loader gives {', '.join(batch)}; expected video_id and start as well, from "
                "which the noise of a validation is drawn"
            )
        generators = [
            named_generator(VALIDATION_SEED, video_id, start)
            for video_id, start in zip(batch["video_id"], batch["start"].tolist(), strict=True)
        ]
        nearest = clips._replace(target=clips.target[:, : self.predictor.output_frames])
        self.clip_mean.update(self._denoising(nearest, generators), len(clips.target))
        self.log(f"{stage}/denoising", self.clip_mean, on_step=False, on_epoch=True)
        return evaluation

    def _denoising(self, clips: Clips, generators: Sequence[torch.Generator] | None) -> Tensor:
        """Give the loss; each clip's noise comes from its own generator, or all from torch's."""
        denoiser = self.predictor
        assert isinstance(denoiser, Denoising)
        data = denoiser.sigma_data
        signal = denoiser.signal(clips.context, clips.target)
        draws, noise = (_normal(like, generators) for like in (signal[:, 0, 0, 0, 0], signal))
        sigma = data * self.noise_median * (self.noise_spread * draws).exp()
        noisy = signal + sigma.view(-1, 1, 1, 1, 1) * noise
        # The losses are computed in float32 under any precision.
        denoised: Tensor = self._compiled(denoiser.denoise)(noisy, sigma, clips.context)
        error = (denoised.float() - signal).square()
        weight = (sigma.square() + data**2) / (sigma * data).square()
        return (weight * error.flatten(1).mean(1)).mean()


def _normal(like: Tensor, generators: Sequence[torch.Generator] | None) -> Tensor:
    if generators is None:
        return normal_like(like)
    return torch.stack([normal_like(*each) for each in zip(like, generators, strict=True)])
