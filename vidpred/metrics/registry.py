"""Facts of each metric, once: name, label, unit, direction, digits, function, conventions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from torch import Tensor

from vidpred.metrics.ms_ssim import ms_ssim
from vidpred.metrics.psnr import PSNRVariant, psnr
from vidpred.metrics.sharpness import SharpnessVariant, sharpness
from vidpred.metrics.ssim import SSIMVariant, ssim


@dataclass(frozen=True)
class MetricInfo:
    """One metric; an unknown one (of a later version's result file) has these defaults.

    Attributes:
        name: In keys of protocols, result files and logs, such as "psnr".
        label: In tables and sentences, such as "PSNR".
        unit: Such as "dB"; empty when there is none.
        higher_is_better: False for distances and code lengths.
        digits: Decimals that are shown.
        function: `(pred, target, *, data_range, ...) -> (B, T)`; None for a metric that needs more
            than two clips, such as weights or a distribution.
        variants: Its conventions, which `function` takes as `variant`; empty when it has one.

    Example:
        >>> METRICS["psnr"].label, METRICS["psnr"].unit, METRICS["lpips"].higher_is_better
        ('PSNR', 'dB', False)
    """

    name: str
    label: str
    unit: str = ""
    higher_is_better: bool = True
    digits: int = 3
    function: Callable[..., Tensor] | None = None
    variants: tuple[str, ...] = ()

    @property
    def label_with_unit(self) -> str:
        """Such as "PSNR, dB"."""
        return f"{self.label}, {self.unit}" if self.unit else self.label


METRICS: dict[str, MetricInfo] = {
    info.name: info
    for info in (
        MetricInfo(
            "psnr", "PSNR", unit="dB", digits=2, function=psnr, variants=get_args(PSNRVariant)
        ),
        MetricInfo("ssim", "SSIM", function=ssim, variants=get_args(SSIMVariant)),
        MetricInfo(
            "sharpness",
            "Sharpness",
            unit="dB",
            digits=2,
            function=sharpness,
            variants=get_args(SharpnessVariant),
        ),
        MetricInfo("ms_ssim", "MS-SSIM", function=ms_ssim),
        MetricInfo("lpips", "LPIPS", higher_is_better=False),
        MetricInfo("fvd", "FVD", higher_is_better=False, digits=1),
        MetricInfo(
            "nats_per_frame", "NLL", unit="nats per frame", higher_is_better=False, digits=2
        ),
        MetricInfo("bits_per_dim", "NLL", unit="bits per dimension", higher_is_better=False),
    )
}
"""All metrics by name, in the order in which tables show them."""

CONVENTIONS = {
    "standard": "standard",
    "masked_mean": "mean over moving pixels",
    "mathieu_code": "as coded by Mathieu et al. 2016",
    "mathieu_formula": "formula of Mathieu et al. 2016",
    "peak_one_on_signed": "peak 1 on [-1, 1]",
    "uint8_wrap": "wrapped 8-bit integers",
}
"""Conventions (`variant`) in words."""


def metric_info(name: str) -> MetricInfo:
    """Give what is known about a metric; of an unknown one, its name and the defaults.

    Example:
        >>> metric_info("psnr").unit
        'dB'
    """
    return METRICS.get(name) or MetricInfo(name, name)


def convention_name(variant: str) -> str:
    """Name a convention, such as "mean over moving pixels"."""
    return CONVENTIONS.get(variant, variant.replace("_", " "))


def function_of(name: str) -> Callable[..., Tensor]:
    """Give the function of a metric that compares two clips.

    Raises:
        ValueError: When it has none.
    """
    function = metric_info(name).function
    if function is None:
        known = ", ".join(info.name for info in METRICS.values() if info.function)
        raise ValueError(f"metric {name!r} has no function of two clips; expected one of {known}")
    return function


AREA_NAMES = {"moving": "moving area", "whole": "whole frame"}
"""Areas that are measured, in words."""


def number(value: float | None, name: str, *, missing: str = "-") -> str:
    """Write a value of a metric with its decimals.

    Args:
        value: None where there is none.
        name: Of the metric.
        missing: What is shown for None.

    Example:
        >>> number(31.416, "psnr"), number(0.9, "ssim")
        ('31.42', '0.900')
    """
    return missing if value is None else f"{value:.{metric_info(name).digits}f}"
