"""What every metric asks of its input before it measures anything."""

import math

import torch
from torch import Tensor

from vidpred.ops.checks import (
    RANGE_TOLERANCE,
    require_frame_size,
    require_frames,
    require_same_shape,
)

DB_CAP = 100.0
"""Highest value of the standard dB scales; identical frames would make every mean infinite.

100 dB is a root mean square deviation of 1e-5 of full scale, some four hundred times finer than an
8-bit step.
"""


def checked_frames(
    pred: Tensor, target: Tensor, *, data_range: float, mask: Tensor | None, minimum: int = 2
) -> tuple[Tensor, Tensor]:
    """Refuse what cannot be scored, and bring the rest to a type that is wide enough.

    Args:
        pred: Predicted frames, shape (B, T, C, H, W), values in [0, data_range].
        target: Ground truth, same shape and range.
        data_range: Full scale, e.g. 1 for frames in [0, 1] and 255 for 8-bit frames.
        mask: None, or boolean (B, T, 1, H, W).
        minimum: Fewest rows and columns that the metric needs.

    Returns:
        `pred` and `target` in float32, or in float64 when one of them was.

    Raises:
        ValueError: For shapes that differ or are not five-dimensional, empty or too small frames, a
            range that is not positive, values outside it, NaN, and masks of another size or type.
    """
    require_frames("pred", pred)
    require_same_shape(pred, target)
    require_frame_size(pred, minimum)
    if pred.numel() == 0:
        raise ValueError(f"frames have shape {tuple(pred.shape)}; expected at least one of each")
    require_data_range(data_range)
    wide = torch.float64 if torch.float64 in (pred.dtype, target.dtype) else torch.float32
    pred, target = pred.to(wide), target.to(wide)
    require_range("pred", pred, data_range)
    require_range("target", target, data_range)
    if mask is not None:
        b, t, _, h, w = pred.shape
        require_mask(mask, (b, t, 1, h, w))
    return pred, target


def require_data_range(data_range: float) -> None:
    """Refuse a full scale that is not a finite number above 0."""
    if not (math.isfinite(data_range) and data_range > 0):
        raise ValueError(
            f"data_range is {data_range}; expected the positive full scale of the frames, "
            "such as 1 for [0, 1] or 255 for 8 bits"
        )


def require_range(name: str, frames: Tensor, data_range: float) -> None:
    """Refuse NaN, and values outside [0, data_range] by more than rounding."""
    low, high = (value.item() for value in torch.aminmax(frames))
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"{name} contains NaN; expected values in [0, {data_range:g}]")
    slack = RANGE_TOLERANCE * data_range
    if low < -slack or high > data_range + slack:
        raise ValueError(
            f"{name} has values from {low:.4g} to {high:.4g}; expected [0, {data_range:g}]: "
            "clamp the frames, or give the data_range that they have"
        )


def require_mask(mask: Tensor, shape: tuple[int, ...]) -> None:
    """Refuse a mask that is not boolean or not of this shape, (B, T, 1, H, W)."""
    if mask.dtype != torch.bool:
        raise ValueError(f"mask is {mask.dtype}; expected torch.bool, true where moving")
    if mask.shape != shape:
        raise ValueError(f"mask has shape {tuple(mask.shape)}; expected {shape} for these frames")


def require_variant(variant: str, known: tuple[str, ...]) -> None:
    """Refuse a convention that the metric does not have."""
    if variant not in known:
        raise ValueError(f"variant is {variant!r}; expected one of {', '.join(known)}")


def require_masked(variant: str, mask: Tensor | None) -> None:
    """Refuse a convention of moving areas without a moving area."""
    if variant == "masked_mean" and mask is None:
        raise ValueError(
            "variant is 'masked_mean' and mask is None; expected a boolean mask of the moving "
            "pixels, shape (B, T, 1, H, W): give one, or take variant 'standard' for whole frames"
        )


def refuse_mask(metric: str, mask: Tensor | None) -> None:
    """Refuse a mask in front of a metric that looks at whole frames only."""
    if mask is not None:
        raise ValueError(
            f"{metric} was given a mask; expected None, since its features overlap the mask's "
            "edges: measure whole frames, or moving areas by psnr, ssim or sharpness"
        )


def mean_per_frame(values: Tensor, where: Tensor | None) -> Tensor:
    """Average over channels and pixels, or over the marked pixels alone.

    Args:
        values: Shape (B, T, C, H, W).
        where: None for all pixels, or boolean (B, T, 1, H, W).

    Returns:
        Shape (B, T); NaN (0 / 0) where no pixel is marked.
    """
    if where is None:
        return values.mean(dim=(2, 3, 4))
    count = where.sum(dim=(2, 3, 4)) * values.shape[2]
    return (values * where).sum(dim=(2, 3, 4)) / count
