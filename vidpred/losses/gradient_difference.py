"""Gradient difference loss (GDL): edges as sharp as the true ones."""

import math
from functools import partial

from jsonargparse.typing import NonNegativeFloat
from torch import Tensor

from vidpred.losses.base import Frames, PredictionLoss, by_scale
from vidpred.ops.checks import require_same_shape, require_weight
from vidpred.ops.gradients import spatial_gradients


def gradient_difference_loss(pred: Tensor, target: Tensor, alpha: float = 1.0) -> Tensor:
    """Penalize edges that are sharper or softer than the true ones.

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
    require_alpha(alpha)
    pred_w, pred_h = spatial_gradients(pred.float())
    target_w, target_h = spatial_gradients(target.float())
    along_w = (target_w - pred_w).abs()
    along_h = (target_h - pred_h).abs()
    if alpha != 1:
        along_w, along_h = along_w.pow(alpha), along_h.pow(alpha)
    return along_w.mean() + along_h.mean()


class GradientDifferenceLoss(PredictionLoss):
    """`gradient_difference_loss` as a term.

    Args:
        alpha: Power of each difference; at least 1.
        weight: Of the term, at least 0.

    Raises:
        ValueError: When alpha is below 1 or not finite, or the weight negative, NaN or infinite.

    Example:
        >>> import torch
        >>> edge = torch.tensor([[0.0, 1.0], [0.0, 1.0]]).expand(1, 1, 1, 2, 2)
        >>> GradientDifferenceLoss()(torch.zeros_like(edge), edge)
        {'gradient_difference_loss': tensor(1.)}
    """

    def __init__(self, alpha: float = 1.0, weight: NonNegativeFloat = 1.0) -> None:
        super().__init__()
        require_alpha(alpha)
        require_weight("weight", weight)
        self.alpha = alpha
        self.weights = {"gradient_difference_loss": float(weight)}

    def terms(self, preds: Frames, targets: Frames) -> dict[str, Tensor]:
        """Give the one term; see `PredictionLoss.terms`."""
        if not self.weights["gradient_difference_loss"]:
            return {}
        loss = partial(gradient_difference_loss, alpha=self.alpha)
        return {"gradient_difference_loss": by_scale(loss, preds, targets)}


def require_alpha(alpha: float) -> None:
    """Refuse powers below 1."""
    if not (math.isfinite(alpha) and alpha >= 1):
        raise ValueError(f"alpha is {alpha}; expected a finite number that is at least 1")
