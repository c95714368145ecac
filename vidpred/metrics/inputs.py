"""What every metric asks of its input before it measures anything."""

import math

import torch
from torch import Tensor

from vidpred.ops.checks import require_frame_size, require_frames, require_same_shape

RANGE_TOLERANCE = 1e-3
"""How far outside [0, data_range] a value may lie, as a part of the range: rounding."""

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
    if not (math.isfinite(data_range) and data_range > 0):
        raise ValueError(
            f"data_range is {data_range}; expected the positive full scale of the frames, "
            "such as 1 for [0, 1] or 255 for 8 bits"
        )
    wide = torch.float64 if torch.float64 in (pred.dtype, target.dtype) else torch.float32
    pred, target = pred.to(wide), target.to(wide)
    _require_range("pred", pred, data_range)
    _require_range("target", target, data_range)
    if mask is not None:
        _require_mask(mask, pred)
    return pred, target


def _require_range(name: str, frames: Tensor, data_range: float) -> None:
    low, high = (value.item() for value in torch.aminmax(frames))
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"{name} contains NaN; expected values in [0, {data_range:g}]")
    slack = RANGE_TOLERANCE * data_range
    if low < -slack or high > data_range + slack:
        raise ValueError(
            f"{name} has values from {low:.4g} to {high:.4g}; expected [0, {data_range:g}]: "
            "clamp the frames, or give the data_range that they have"
        )


def _require_mask(mask: Tensor, frames: Tensor) -> None:
    b, t, _, h, w = frames.shape
    if mask.dtype != torch.bool:
        raise ValueError(f"mask is {mask.dtype}; expected torch.bool, true where moving")
    if mask.shape != (b, t, 1, h, w):
        raise ValueError(
            f"mask has shape {tuple(mask.shape)}; expected {(b, t, 1, h, w)} for these frames"
        )


def require_variant(variant: str, known: tuple[str, ...]) -> None:
    """Refuse a convention that the metric does not have."""
    if variant not in known:
        raise ValueError(f"variant is {variant!r}; expected one of {', '.join(known)}")
