"""Agreement of edges."""

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
from vidpred.ops import spatial_gradients

SharpnessVariant = Literal["standard", "masked_mean", "mathieu_code", "mathieu_formula"]


def sharpness(
    pred: Tensor,
    target: Tensor,
    *,
    data_range: float,
    variant: SharpnessVariant = "standard",
    mask: Tensor | None = None,
) -> Tensor:
    """Compare the strength of edges by their mean absolute difference, in dB; higher is better.

    `standard` is `10 log10(data_range / S)`, at most 100 dB (`DB_CAP`), where S is the mean of
    `| |gradient of pred| - |gradient of target| |` along W plus the same mean along H. With a mask,
    a gradient counts when at least one of its two pixels moves. The value does not depend on the
    unit of the frames. `masked_mean` is `standard` that insists on a mask.

    `mathieu_code` is what the code of Mathieu et al. 2016 computes: backward differences in [-1, 1]
    units, summed over the pixels strictly inside the frame but divided by the number of all, then
    `10 log10(255^2 / max(128^2 S, 1e-4))`, which puts an absolute mean under a squared peak; static
    pixels are black in both frames. `mathieu_formula` is the same, with the two directions added
    before the difference is taken, as the paper prints it; it is never lower.

    Args:
        pred: Predicted frames, shape (B, T, C, H, W), values in [0, data_range]; H and W at least
            2.
        target: Ground truth, same shape and range.
        data_range: Full scale of the frames.
        variant: The convention.
        mask: Boolean, shape (B, T, 1, H, W), true where moving; None measures the whole frame.

    Returns:
        dB per clip and frame, shape (B, T); NaN where the mask is empty.

    Raises:
        ValueError: For input that cannot be scored; see `vidpred.metrics.inputs.checked_frames`.

    Example:
        >>> import torch
        >>> target = torch.rand(1, 2, 3, 32, 32)
        >>> blurred = torch.nn.functional.avg_pool2d(target[0], 3, 1, 1)[None]
        >>> scores = [sharpness(pred, target, data_range=1.0) for pred in (target, blurred)]
        >>> (scores[0] > scores[1]).all().item()
        True
    """
    require_variant(variant, get_args(SharpnessVariant))
    require_masked(variant, mask)
    pred, target = checked_frames(pred, target, data_range=data_range, mask=mask)
    if variant in ("standard", "masked_mean"):
        return _standard(pred / data_range, target / data_range, mask)
    pred, target = (mathieu.black_out(frames, mask) * (2 / data_range) for frames in (pred, target))
    pred_w, pred_h = _backward(pred)
    target_w, target_h = _backward(target)
    if variant == "mathieu_code":
        difference = (pred_w - target_w).abs() + (pred_h - target_h).abs()
    else:
        difference = ((pred_w + pred_h) - (target_w + target_h)).abs()
    pixels = pred[0, 0].numel()  # all of them, although the border is not in the sum
    return mathieu.decibels(difference.sum(dim=(2, 3, 4)) / pixels, mask)


def _backward(frames: Tensor) -> tuple[Tensor, Tensor]:
    # Differences with the left and the upper neighbor, at the pixels strictly inside.
    along_w, along_h = spatial_gradients(frames)
    return along_w[..., 1:-1, :-1], along_h[..., :-1, 1:-1]


def _standard(pred: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
    either: tuple[Tensor | None, Tensor | None] = (None, None)
    if mask is not None:
        either = (
            mask[..., :, 1:] | mask[..., :, :-1],
            mask[..., 1:, :] | mask[..., :-1, :],
        )
    directions = zip(spatial_gradients(pred), spatial_gradients(target), either, strict=True)
    total = sum(mean_per_frame((a - b).abs(), where) for a, b, where in directions)
    return (-10 * torch.log10(torch.as_tensor(total))).clamp(max=DB_CAP)
