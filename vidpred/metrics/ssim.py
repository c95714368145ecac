"""Structural similarity."""

import math
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from vidpred.metrics import mathieu
from vidpred.metrics.inputs import (
    checked_frames,
    mean_per_frame,
    require_mask,
    require_masked,
    require_variant,
)
from vidpred.ops.frame_format import to_gray

SSIMVariant = Literal["standard", "masked_mean", "mathieu_code"]

# Wang et al. 2004, section III.C.
WINDOW = 11
SIGMA = 1.5
K1 = 0.01
K2 = 0.03


def ssim(
    pred: Tensor,
    target: Tensor,
    *,
    data_range: float,
    variant: SSIMVariant = "standard",
    mask: Tensor | None = None,
) -> Tensor:
    """Compare local means, contrasts and structures; 1 is best.

    `standard` is Wang et al. 2004: Gaussian window of 11 x 11, sigma 1.5, K1 0.01, K2 0.03, only
    where the window lies inside the frame, each channel alone, then the mean of the map; with a
    mask, the mean where the window's center moves. `masked_mean` is `standard` that insists on a
    mask. `mathieu_code` is what the code of Mathieu et al. 2016 computes: Rec. 601 luminance (a
    single channel is taken as luminance), a window that runs over the border into zeros ("full"
    convolution, a map of H + 10 by W + 10), and static pixels that are black in both frames.

    Both the whole frame and its moving area need the same map: `ssim_map` and `ssim_of_map` give
    the two for the price of one.

    Args:
        pred: Predicted frames, shape (B, T, C, H, W), values in [0, data_range]; H and W at least
            11.
        target: Ground truth, same shape and range.
        data_range: Full scale of the frames.
        variant: The convention; `mathieu_code` takes C = 1 or 3.
        mask: Boolean, shape (B, T, 1, H, W), true where moving; None measures the whole frame.

    Returns:
        Similarity per clip and frame, shape (B, T), at most 1; NaN where the mask is empty, for
        `standard` and `masked_mean` also where it is empty further than 5 pixels from the border.

    Raises:
        ValueError: For input that cannot be scored; see `vidpred.metrics.inputs.checked_frames`.

    Example:
        >>> import torch
        >>> frames = torch.rand(1, 2, 3, 32, 32)
        >>> ssim(frames, frames, data_range=1.0)
        tensor([[1., 1.]])
    """
    require_variant(variant, get_args(SSIMVariant))
    require_masked(variant, mask)
    pred, target = checked_frames(pred, target, data_range=data_range, mask=mask, minimum=WINDOW)
    pred, target = pred / data_range, target / data_range
    if variant != "mathieu_code":
        return _mean_of_map(_map(pred, target), mask)
    padding = (WINDOW - 1,) * 4
    pred, target = (
        F.pad(_luminance(mathieu.black_out(frames, mask)), padding) for frames in (pred, target)
    )
    mean = _similarity_map(pred, target).mean(dim=(2, 3, 4))
    return mathieu.without_still_frames(mean, mask)


def ssim_map(pred: Tensor, target: Tensor, *, data_range: float) -> Tensor:
    """Give the similarity of `standard` at each place, for several means or for a picture.

    Args:
        pred: Predicted frames, shape (B, T, C, H, W), values in [0, data_range]; H and W at least
            11.
        target: Ground truth, same shape and range.
        data_range: Full scale of the frames.

    Returns:
        Mean over channels, shape (B, T, 1, H - 10, W - 10), at most 1; the first place is the
        window whose center is in row 5 and column 5.

    Raises:
        ValueError: For input that cannot be scored; see `vidpred.metrics.inputs.checked_frames`.

    Example:
        >>> import torch
        >>> frames = torch.rand(1, 2, 3, 32, 32)
        >>> ssim_map(frames, frames, data_range=1.0).shape
        torch.Size([1, 2, 1, 22, 22])
    """
    pred, target = checked_frames(pred, target, data_range=data_range, mask=None, minimum=WINDOW)
    return _map(pred / data_range, target / data_range)


def ssim_of_map(similarity: Tensor, mask: Tensor | None = None) -> Tensor:
    """Average a map of `ssim_map`: the `standard` value without a mask, `masked_mean` with one.

    Args:
        similarity: What `ssim_map` gave, shape (B, T, 1, H - 10, W - 10).
        mask: Boolean, shape (B, T, 1, H, W), true where moving; None for all places.

    Returns:
        Shape (B, T), the same to the bit as `ssim` of these frames.

    Raises:
        ValueError: When the mask is not boolean or does not belong to frames of that size.

    Example:
        >>> import torch
        >>> similarity = torch.tensor([0.0, 1.0]).repeat(8).expand(1, 1, 1, 16, 16)
        >>> ssim_of_map(similarity)
        tensor([[0.5000]])
    """
    if mask is not None:
        b, t, _, h, w = similarity.shape
        require_mask(mask, (b, t, 1, h + WINDOW - 1, w + WINDOW - 1))
    return _mean_of_map(similarity, mask)


def _map(pred: Tensor, target: Tensor) -> Tensor:
    return _similarity_map(pred, target).mean(dim=2, keepdim=True)


def _mean_of_map(similarity: Tensor, mask: Tensor | None) -> Tensor:
    border = WINDOW // 2
    inside = None if mask is None else mask[..., border:-border, border:-border]
    return mean_per_frame(similarity, inside)


def _luminance(frames: Tensor) -> Tensor:
    if frames.shape[2] not in (1, 3):
        raise ValueError(
            f"frames have {frames.shape[2]} channels; expected 1 (luminance) or 3 (RGB) "
            "for variant 'mathieu_code'"
        )
    return to_gray(frames)


def _similarity_map(a: Tensor, b: Tensor) -> Tensor:
    """Give the similarity at every place where the window lies inside the frame.

    Wang's two factors `(2xy + c) / (x^2 + y^2 + c)` are computed as `1 - (x - y)^2 / (x^2 + y^2 +
    c)`, and variances around the frame's mean. This is the same, but `E[x^2] - E[x]^2` cancels: on
    bright flat frames the usual form is wrong by 2e-4 in float32.

    Args:
        a: Shape (..., H, W), values in [0, 1].
        b: Same shape and range.

    Returns:
        Shape (..., H - 10, W - 10).
    """
    difference = a - b
    center = a.mean(dim=(-2, -1), keepdim=True)
    a, b = a - center, b - center
    moments = torch.stack((a, difference, a.square() + b.square(), difference.square()))
    mean_a, mean_difference, squares, difference_squares = _blur(moments).unbind()
    mean_b = mean_a - mean_difference
    variances = squares - mean_a.square() - mean_b.square()
    variance_of_difference = difference_squares - mean_difference.square()
    luminance = 1 - mean_difference.square() / (
        (mean_a + center).square() + (mean_b + center).square() + K1**2
    )
    return luminance * (1 - variance_of_difference / (variances + K2**2))


def _blur(frames: Tensor) -> Tensor:
    # Sums of shifted frames, not convolutions: those may run in TF32 on a GPU, or in half precision
    # under autocast.
    weights = [math.exp(-((k - WINDOW // 2) ** 2) / (2 * SIGMA**2)) for k in range(WINDOW)]
    for dim in (-1, -2):
        size = frames.shape[dim] - WINDOW + 1
        blurred = torch.zeros_like(frames.narrow(dim, 0, size))
        for k, weight in enumerate(weights):
            blurred.add_(frames.narrow(dim, k, size), alpha=weight / sum(weights))
        frames = blurred
    return frames
