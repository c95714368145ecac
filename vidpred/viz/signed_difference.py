"""How much brighter or darker a prediction is than the truth, as one color on nothing."""

import torch
from torch import Tensor

from vidpred.ops.checks import require_same_shape
from vidpred.ops.frame_format import to_gray

DIFFERENCE_GAIN = 3
"""Differences are multiplied by this before they are shown, and the picture says so."""

TOO_DARK = (43, 123, 214)  # blue
TOO_BRIGHT = (222, 59, 69)  # red


def signed_difference(pred: Tensor, target: Tensor, *, gain: float = DIFFERENCE_GAIN) -> Tensor:
    """Show where a prediction is too bright (red) and where it is too dark (blue).

    The color is opaque where the brightness differs by `1 / gain` of full scale or more, and
    transparent where it does not differ, so that the picture suits light and dark pages alike.
    Brightness is the luma of ITU-R BT.601; colors of equal brightness do not differ.

    Args:
        pred: Predicted frames, shape (..., C, H, W) in [0, 1], C 1 or 3.
        target: Ground truth, same shape and range.
        gain: Factor of the difference, above 0.

    Returns:
        RGBA, uint8, shape (..., 4, H, W).

    Raises:
        ValueError: For shapes that differ.

    Example:
        >>> pred, target = torch.full((1, 1, 1), 0.6), torch.full((1, 1, 1), 0.5)
        >>> signed_difference(pred, target).flatten().tolist()
        [222, 59, 69, 77]
    """
    require_same_shape(pred, target)
    difference = to_gray(pred.detach().float() - target.detach().float())
    # 77 = round(0.1 * 3 * 255) in the example.
    opacity = (difference.abs() * gain).clamp(max=1).mul(255).round()
    bright, dark = (difference.new_tensor(color)[:, None, None] for color in (TOO_BRIGHT, TOO_DARK))
    color = torch.where(difference > 0, bright, dark)
    return torch.cat((color, opacity), dim=-3).to(torch.uint8)
