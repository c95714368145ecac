"""What is measured of a predicted clip: a metric, by a convention, in an area."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vidpred.metrics import ssim_map, ssim_of_map
from vidpred.metrics.likelihood import bits_per_dim, nats_per_frame
from vidpred.metrics.registry import function_of, metric_info

MetricName = Literal["psnr", "ssim", "sharpness", "ms_ssim", "nats_per_frame", "bits_per_dim"]
Area = Literal["whole", "moving"]

DATA_RANGE = 1.0
"""Full scale of everything that is scored."""

LIKELIHOOD_METRICS = frozenset({"nats_per_frame", "bits_per_dim"})
"""Metrics that ask the method how likely the true future is, instead of comparing frames."""


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

    def __post_init__(self) -> None:
        if self.of_likelihood and (self.variant, self.area) != ("standard", "whole"):
            raise ValueError(
                f"measure {self.key}: a likelihood is of whole frames and has one convention; "
                f"expected {{metric: {self.metric}}}"
            )
        known = metric_info(self.metric).variants or ("standard",)
        if self.variant not in known:
            raise ValueError(
                f"measure {self.key}: {self.metric} has no convention {self.variant!r}; expected "
                f"variant: {' or '.join(known)}"
            )
        if (self.variant, self.area) == ("masked_mean", "whole"):
            raise ValueError(
                f"measure {self.key}: masked_mean is of moving pixels; expected area: moving, or "
                "variant: standard"
            )
        if (self.metric, self.area) == ("ms_ssim", "moving"):
            raise ValueError(
                f"measure {self.key}: MS-SSIM has no masked form; expected area: whole"
            )

    @property
    def key(self) -> str:
        """Name in result files, such as "psnr.mathieu_code.moving"."""
        return f"{self.metric}.{self.variant}.{self.area}"

    @property
    def of_likelihood(self) -> bool:
        """Whether the method is asked for a log-likelihood; see `of_log_prob`."""
        return self.metric in LIKELIHOOD_METRICS

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
        function = function_of(self.metric)
        if self.area == "whole":
            # Not all metrics know masks.
            return function(pred, target, data_range=DATA_RANGE, **self._convention())
        if mask is None:
            return torch.full(pred.shape[:2], math.nan)
        return function(pred, target, data_range=DATA_RANGE, mask=mask, **self._convention())

    def of_log_prob(self, log_prob: Tensor, dims: int) -> Tensor:
        """Turn log-likelihoods into the measure.

        Args:
            log_prob: Nats, shape (B, T).
            dims: C x H x W of one frame.

        Returns:
            Shape (B, T).
        """
        if self.metric == "nats_per_frame":
            return nats_per_frame(log_prob)
        return bits_per_dim(log_prob, dims=dims)

    def _convention(self) -> dict[str, str]:
        return {"variant": self.variant} if metric_info(self.metric).variants else {}


def higher_is_better(key: str) -> bool:
    """Give the direction of a measure by its key, such as "psnr.standard.whole"."""
    return metric_info(key.partition(".")[0]).higher_is_better


def measure_all(
    measures: Sequence[Measure], pred: Tensor, target: Tensor, mask: Tensor | None
) -> dict[str, Tensor]:
    """Take every measure of clips.

    Args:
        measures: What to take; those of likelihoods are left out.
        pred: Predicted frames, shape (B, T, C, H, W) in [0, 1].
        target: Ground truth, same shape and range.
        mask: Boolean, shape (B, T, 1, H, W); None when motion is not known.

    Returns:
        By `Measure.key`, float64 on the CPU, shape (B, T).
    """
    shared = _shared(measures, pred, target, mask)
    scores = {
        m.key: shared[m.key] if m.key in shared else m.of(pred, target, mask)
        for m in measures
        if not m.of_likelihood
    }
    return {key: score.detach().cpu().double() for key, score in scores.items()}


def measure_likelihood(
    measures: Sequence[Measure], log_prob: Tensor | None, target: Tensor
) -> dict[str, Tensor]:
    """Take the measures that are made of a log-likelihood.

    Args:
        measures: What to take; those of frames are left out.
        log_prob: Of the true frames, nats, shape (B, T); None where the method gives none.
        target: The true frames, shape (B, T, C, H, W).

    Returns:
        By `Measure.key`, float64 on the CPU, shape (B, T); NaN where the method gives none.
    """
    if log_prob is None:
        log_prob = torch.full(target.shape[:2], math.nan)
    wide = log_prob.detach().cpu().double()
    dims = math.prod(target.shape[2:])
    return {m.key: m.of_log_prob(wide, dims) for m in measures if m.of_likelihood}


def _shared(
    measures: Sequence[Measure], pred: Tensor, target: Tensor, mask: Tensor | None
) -> dict[str, Tensor]:
    """Compute the map of SSIM once for its two means; it is what costs most."""
    whole, moving = Measure("ssim"), Measure("ssim", "masked_mean", "moving")
    if mask is None or not {whole, moving} <= set(measures):
        return {}
    similarity = ssim_map(pred, target, data_range=DATA_RANGE)
    return {whole.key: ssim_of_map(similarity), moving.key: ssim_of_map(similarity, mask)}
