"""Peak signal-to-noise ratio."""

from typing import Literal, get_args

import torch
from torch import Tensor

from vidpred.metrics import mathieu
from vidpred.metrics.frame_average import FrameAverage
from vidpred.metrics.inputs import DB_CAP, checked_frames, require_variant

PSNRVariant = Literal["standard", "mathieu_code"]


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
    over the moving pixels alone. `mathieu_code` is what the code of Mathieu et al. 2016 computes:
    `10 log10(255^2 / max(128^2 MSE, 1e-4))` in [-1, 1] units over the whole frame, whose static
    pixels are black.

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
    pred, target = checked_frames(pred, target, data_range=data_range, mask=mask)
    if variant == "mathieu_code":
        difference = mathieu.black_out(pred - target, mask) * (2 / data_range)
        return mathieu.decibels(difference.square().mean(dim=(2, 3, 4)), mask)
    square = ((pred - target) / data_range).square()
    if mask is None:
        mse = square.mean(dim=(2, 3, 4))
    else:
        moving = mask.sum(dim=(2, 3, 4)) * square.shape[2]
        # 0 / 0 where nothing moves: NaN, as promised.
        mse = (square * mask).sum(dim=(2, 3, 4)) / moving
    return (-10 * torch.log10(mse)).clamp(max=DB_CAP)


class PSNR(FrameAverage):
    """Mean over clips of `psnr`, per frame: the mean of the dB, not the dB of the mean.

    See `FrameAverage` for the arguments; `variant` is a convention of `psnr`.
    """

    function = staticmethod(psnr)
    variants = get_args(PSNRVariant)
