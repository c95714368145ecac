"""Frames of one clip in a NumPy file."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidpred.errors import DAMAGED, PredictionError
from vidpred.evaluation.sources.frame_files import Expected
from vidpred.ops.checks import RANGE_TOLERANCE

ARRAY_SUFFIXES = frozenset({".npy"})

_LAYOUTS = "(T, H, W, C) or (T, C, H, W) with C 1 or 3, or gray (T, H, W)"


def require_value_range(value_range: tuple[float, float]) -> None:
    """Refuse what is no range of pixel values.

    Raises:
        ValueError: When an end is not finite, or they do not ascend.
    """
    low, high = value_range
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(
            f"value_range is {value_range}; expected black and white of the float arrays, "
            "such as (0, 1), (-1, 1) or (0, 255)"
        )


def open_array(path: Path, expected: Expected | None = None) -> npt.NDArray[Any]:
    """Look at an array in a file without reading its values.

    Nothing in the file can run code: pickled objects are refused.

    Args:
        path: A `.npy` file with shape (T, H, W, C) or (T, C, H, W) and C 1 or 3, or (T, H, W).
        expected: How many frames it may have; anything when None.

    Returns:
        Shape (T, C, H, W), a view of the file.

    Raises:
        PredictionError: When it is damaged or no array, or has another shape or number of frames.
    """
    try:
        array: npt.NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except (OSError, *DAMAGED) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise PredictionError(
            f"{path}: cannot be read ({reason}); expected one whole array of numbers, "
            "written by numpy.save"
        ) from error
    frames = _frames_first(path, array)
    if expected is not None:
        expected.require(path, len(frames))
    return frames


def _frames_first(path: Path, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Bring an array to (T, C, H, W), refusing shapes that can be read in two ways or in none."""
    shape = array.shape
    if 0 in shape:
        raise PredictionError(f"{path}: shape {shape} holds no pixel; expected {_LAYOUTS}")
    if array.ndim == 3:
        if shape[-1] in (1, 3):
            raise PredictionError(
                f"{path}: shape {shape} is one frame (H, W, C), or {shape[0]} gray frames that are "
                f"{shape[-1]} pixels wide; expected {_LAYOUTS}, write all its dimensions"
            )
        return array[:, None]
    if array.ndim == 4:
        last, second = shape[3] in (1, 3), shape[1] in (1, 3)
        if last and second:
            raise PredictionError(
                f"{path}: shape {shape} is {shape[1]} x {shape[2]} pixels (rows x columns) as "
                f"(T, H, W, C), and {shape[2]} x {shape[3]} as (T, C, H, W); "
                "such frames are too small to be recognized, write them as PNG"
            )
        if last:
            return array.transpose(0, 3, 1, 2)
        if second:
            return array
    raise PredictionError(f"{path}: shape {shape}; expected {_LAYOUTS}, one clip a file")


def scale_array(path: Path, frames: npt.NDArray[Any], value_range: tuple[float, float]) -> Tensor:
    """Read the values of an array.

    Args:
        path: Where it came from, for messages.
        frames: uint8 (0-255), or floating point in `value_range`; shape (T, C, H, W).
        value_range: Black and white of floating point values.

    Returns:
        Same shape; uint8 for uint8, else float32 in [0, 1].

    Raises:
        PredictionError: For other types, NaN or infinity, and values that lie outside the range by
            more than `RANGE_TOLERANCE`.
    """
    if frames.dtype == np.uint8:
        return torch.from_numpy(np.array(frames, order="C"))
    if frames.dtype.kind != "f":
        raise PredictionError(
            f"{path}: values of type {frames.dtype}; expected uint8 (0-255) or floating point, "
            "convert them with .astype(numpy.uint8) when they are 0-255"
        )
    values = torch.from_numpy(np.array(frames, np.float32, order="C"))
    for number, frame in enumerate(values, start=1):
        if not frame.isfinite().all():
            raise PredictionError(
                f"{path}: frame {number} of {len(values)} holds NaN or infinity; expected numbers "
                f"from {value_range[0]:g} to {value_range[1]:g} in every pixel, predict it again"
            )
    low, high = (value.item() for value in values.aminmax())
    black, white = value_range
    slack = RANGE_TOLERANCE * (white - black)
    if low < black - slack or high > white + slack:
        raise PredictionError(
            f"{path}: values from {low:.4g} to {high:.4g}; expected {black:g} to {white:g}: clip "
            "them, or give the range that they have (--value_range BLACK WHITE)"
        )
    return values.sub_(black).div_(white - black).clamp_(0, 1)
