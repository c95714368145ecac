"""Refusals that many functions share; each says what came and what was expected."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

RANGE_TOLERANCE = 1e-3
"""How far values may lie outside the stated range, as a part of the range: rounding."""


def require_tensor(name: str, value: object) -> None:
    """Refuse arrays, paths and whatever else is no tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} of type {type(value).__name__}; expected a torch.Tensor")


def require_same_shape(pred: Tensor, target: Tensor) -> None:
    """Refuse predictions and targets of different shapes, which would broadcast silently."""
    require_tensor("pred", pred)
    require_tensor("target", target)
    if pred.shape != target.shape:
        raise ValueError(
            f"pred has shape {tuple(pred.shape)}, target {tuple(target.shape)}; "
            "expected equal shapes"
        )


def require_frames(name: str, frames: Tensor) -> None:
    """Refuse what is not a tensor (B, T, C, H, W)."""
    require_tensor(name, frames)
    if frames.ndim != 5:
        raise ValueError(f"{name} has shape {tuple(frames.shape)}; expected (B, T, C, H, W)")


def require_uint8(frames: Tensor) -> None:
    """Refuse frames to be written that are not uint8 (T, C, H, W), gray or RGB."""
    require_tensor("frames", frames)
    if frames.dtype != torch.uint8:
        raise TypeError(f"frames are {frames.dtype}; expected uint8, see vidpred.ops.unit_to_uint8")
    if frames.ndim != 4 or frames.shape[1] not in (1, 3) or 0 in frames.shape:
        raise ValueError(
            f"frames have shape {tuple(frames.shape)}; expected (T, C, H, W) with C 1 or 3"
        )


def require_frame_size(frames: Tensor, minimum: int) -> None:
    """Refuse frames with fewer than `minimum` rows or columns."""
    if frames.ndim < 2 or min(frames.shape[-2:]) < minimum:
        raise ValueError(
            f"frames have shape {tuple(frames.shape)}; expected (..., H, W) "
            f"with H and W at least {minimum}"
        )


def require_weight(name: str, value: float) -> None:
    """Refuse a weight that is negative, NaN or infinite."""
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} is {value}; expected a finite number that is at least 0")


def require_positive(name: str, value: int) -> None:
    """Refuse a count below 1, and one that is no whole number."""
    if not hasattr(value, "__index__"):
        kind = type(value).__name__
        raise TypeError(f"{name} is {value!r}, a {kind}; expected a whole number, at least 1")
    if value < 1:
        raise ValueError(f"{name} is {value}; expected a whole number that is at least 1")


def require_preset(name: str, known: Sequence[str]) -> None:
    """Refuse the name of a preset that does not exist."""
    if name not in known:
        raise ValueError(f"unknown preset {name!r}; expected one of {', '.join(known)}")
