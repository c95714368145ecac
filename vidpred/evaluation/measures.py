"""What is measured of a predicted clip: a metric, by a convention, in an area."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vidpred.metrics import ms_ssim, psnr, sharpness, ssim, ssim_map, ssim_of_map

MetricName = Literal["psnr", "ssim", "sharpness", "ms_ssim"]
Area = Literal["whole", "moving"]

DATA_RANGE = 1.0
"""Full scale of everything that is scored."""

_FUNCTIONS: dict[MetricName, Callable[..., Tensor]] = {
    "psnr": psnr,
    "ssim": ssim,
    "sharpness": sharpness,
    "ms_ssim": ms_ssim,
}


@dataclass(frozen=True)
class Measure:
    """One number of a predicted frame.

    Attributes:
        metric: What is compared; see `vidpred.metrics`.
        variant: By which convention of the metric.
        area: "whole" frames, or where the mask says "moving".
    """

    metric: MetricName
    variant: str = "standard"
    area: Area = "whole"

    @property
    def key(self) -> str:
        """Name in result files, such as "psnr.mathieu_code.moving"."""
        return f"{self.metric}.{self.variant}.{self.area}"

    def of(self, pred: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        """Measure clips.

        Args:
            pred: Predicted frames, shape (B, T, C, H, W) in [0, 1].
            target: Ground truth, same shape and range.
            mask: Boolean, shape (B, T, 1, H, W); None when motion is not known.

        Returns:
            Shape (B, T); NaN where nothing moves, or motion is not known and asked for.

        Raises:
            ValueError: For frames that the metric refuses.
        """
        function = _FUNCTIONS[self.metric]
        if self.area == "whole":
            # Not all metrics know masks.
            return function(pred, target, data_range=DATA_RANGE, **self._convention())
        if mask is None:
            return torch.full(pred.shape[:2], math.nan)
        return function(pred, target, data_range=DATA_RANGE, mask=mask, **self._convention())

    def _convention(self) -> dict[str, str]:
        return {} if self.metric == "ms_ssim" else {"variant": self.variant}


def measure_all(
    measures: Sequence[Measure], pred: Tensor, target: Tensor, mask: Tensor | None
) -> dict[str, Tensor]:
    """Take every measure of clips.

    Args:
        measures: What to take.
        pred: Predicted frames, shape (B, T, C, H, W) in [0, 1].
        target: Ground truth, same shape and range.
        mask: Boolean, shape (B, T, 1, H, W); None when motion is not known.

    Returns:
        By `Measure.key`, float64 on the CPU, shape (B, T).
    """
    shared = _shared(measures, pred, target, mask)
    scores = {
        m.key: shared[m.key] if m.key in shared else m.of(pred, target, mask) for m in measures
    }
    return {key: score.detach().cpu().double() for key, score in scores.items()}


def _shared(
    measures: Sequence[Measure], pred: Tensor, target: Tensor, mask: Tensor | None
) -> dict[str, Tensor]:
    """Compute the map of SSIM once for its two means; it is what costs most."""
    whole, moving = Measure("ssim"), Measure("ssim", "masked_mean", "moving")
    if mask is None or not {whole, moving} <= set(measures):
        return {}
    similarity = ssim_map(pred, target, data_range=DATA_RANGE)
    return {whole.key: ssim_of_map(similarity), moving.key: ssim_of_map(similarity, mask)}
