"""Gradient difference loss (GDL): edges as sharp as the true ones."""

import math

from torch import Tensor

from vidpred.ops.checks import require_same_shape
from vidpred.ops.gradients import spatial_gradients


def gradient_difference_loss(pred: Tensor, target: Tensor, alpha: float = 1.0) -> Tensor:
    """Penalise edges that are sharper or softer than the true ones.

    Source: Mathieu et al. 2016, gradient difference loss:
    `||Y[i,j] - Y[i-1,j]| - |P[i,j] - P[i-1,j]||^alpha`, and the same along j. The paper sums over
    pixels; we average each direction on its own and add both, so that the weight depends on neither
    frame size nor batch size.

    Args:
        pred: Predicted frames, shape (..., H, W) with H and W at least 2.
        target: Ground truth, same shape and range.
        alpha: Power of each difference; at least 1.

    Returns:
        Scalar, float32 at least; 0 when all absolute spatial differences agree.

    Raises:
        ValueError: When the shapes differ, the frames are smaller than 2 x 2, or alpha is below 1.

    Example:
        >>> import torch
        >>> edge = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
        >>> gradient_difference_loss(edge + 0.5, edge)
        tensor(0.)
        >>> gradient_difference_loss(torch.zeros(2, 2), edge)
        tensor(1.)
    """
    require_same_shape(pred, target)
    if not (math.isfinite(alpha) and alpha >= 1):
        raise ValueError(f"alpha is {alpha}; expected a finite number that is at least 1")
    pred_w, pred_h = spatial_gradients(pred.float())
    target_w, target_h = spatial_gradients(target.float())
    along_w = (target_w - pred_w).abs()
    along_h = (target_h - pred_h).abs()
    if alpha != 1:
        along_w, along_h = along_w.pow(alpha), along_h.pow(alpha)
    return along_w.mean() + along_h.mean()
