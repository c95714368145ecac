"""Peak signal-to-noise ratio."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from vidpred.metrics import mathieu
from vidpred.metrics.inputs import (
    DB_CAP,
    checked_frames,
    mean_per_frame,
    require_masked,
    require_variant,
)

PSNRVariant = Literal["standard", "masked_mean", "mathieu_code", "peak_one_on_signed", "uint8_wrap"]


def psnr(
    pred: Tensor,
    target: Tensor,
    *,
    data_range: float,
    variant: PSNRVariant = "standard",
    mask: Tensor | None = None,
) -> Tensor:
    """Compare frames by their mean squared difference, in dB; higher is better.

    `standard` is `10 log10(data_range^2 / MSE)`, at most 100 dB (`DB_CAP`); with a mask the MSE is
    over the moving pixels alone. `masked_mean` is `standard` that insists on a mask. `mathieu_code`
    is what the code of Mathieu et al. 2016 computes: `10 log10(255^2 / max(128^2 MSE, 1e-4))` in
    [-1, 1] units over the whole frame, whose static pixels are black.

    The other two are mistakes of public code, here to translate published numbers and for no other
    use. `peak_one_on_signed` takes peak 1 for frames in [-1, 1], `10 log10(1 / MSE)`: exactly
    `20 log10(2)` = 6.02 dB below `standard`, hence at most 93.98 dB. `uint8_wrap` rounds frames to
    8 bits and subtracts and squares in unsigned 8-bit integers, as `((a - b) ** 2).mean()` does on
    such NumPy arrays, under a peak of 255: squares above 255 wrap, so that it is never below
    `standard` of the same 8-bit frames, and differences of 16, 32, 48... count as none. It is at
    most 100 dB and has no gradient. A mask works on both as on `standard`.

    Args:
        pred: Predicted frames, shape (B, T, C, H, W), values in [0, data_range].
        target: Ground truth, same shape and range.
        data_range: Full scale of the frames; there is no default because a wrong one shifts every
            dB.
        variant: The convention.
        mask: Boolean, shape (B, T, 1, H, W), true where moving; None measures the whole frame.

    Returns:
        dB per clip and frame, shape (B, T); NaN where the mask is empty.

    Raises:
        ValueError: For input that cannot be scored; see `vidpred.metrics.inputs.checked_frames`.

    Example:
        >>> still = torch.zeros(1, 1, 3, 8, 8)
        >>> round(psnr(still + 0.5, still, data_range=1.0).item(), 2)
        6.02
    """
    require_variant(variant, get_args(PSNRVariant))
    require_masked(variant, mask)
    pred, target = checked_frames(pred, target, data_range=data_range, mask=mask)
    if variant == "mathieu_code":
        difference = mathieu.black_out(pred - target, mask) * (2 / data_range)
        return mathieu.decibels(difference.square().mean(dim=(2, 3, 4)), mask)
    if variant == "uint8_wrap":
        square = _wrapped_squares(pred, target, data_range)
    else:
        square = ((pred - target) / data_range).square()
    decibels = (-10 * torch.log10(mean_per_frame(square, mask))).clamp(max=DB_CAP)
    return decibels - 20 * math.log10(2) if variant == "peak_one_on_signed" else decibels


def _wrapped_squares(pred: Tensor, target: Tensor, data_range: float) -> Tensor:
    # Each square modulo 256, as a part of 255^2.
    a, b = (
        (frames * (255 / data_range)).round().clamp(0, 255).to(torch.uint8)
        for frames in (pred, target)
    )
    difference = a - b
    return (difference * difference).to(pred.dtype) / 255**2
