"""Pixel-wise L1 and L2 losses."""

from typing import Literal

from torch import Tensor

from vidpred.ops.checks import require_same_shape


def lp_loss(pred: Tensor, target: Tensor, p: Literal[1, 2] = 2) -> Tensor:
    """Average |pred - target|^p over all elements.

    Source: Mathieu et al. 2016. The paper sums over pixels; like the authors' code we average, so
    that the weight depends on neither frame size nor batch size.

    Args:
        pred: Predicted frames, any shape and range.
        target: Ground truth, same shape and range.
        p: 1 for the mean absolute, 2 for the mean squared difference.

    Returns:
        Scalar, float32 at least.

    Raises:
        ValueError: When the shapes differ or p is neither 1 nor 2.
    """
    require_same_shape(pred, target)
    if p not in (1, 2):
        raise ValueError(f"p is {p}; expected 1 or 2")
    # Half precision would lose small differences in the sum over a frame.
    difference = pred.float() - target.float()
    return difference.abs().mean() if p == 1 else difference.square().mean()
