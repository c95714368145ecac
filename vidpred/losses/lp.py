"""Pixel-wise L1 and L2 losses."""

from functools import partial
from typing import Literal

from jsonargparse.typing import NonNegativeFloat
from torch import Tensor

from vidpred.losses.base import Frames, PredictionLoss, by_scale
from vidpred.ops.checks import require_same_shape, require_weight


def lp_loss(pred: Tensor, target: Tensor, p: Literal[1, 2] = 2) -> Tensor:
    """Average `|pred - target|^p` over all elements.

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

    Example:
        >>> import torch
        >>> lp_loss(torch.zeros(2, 2), torch.full((2, 2), 0.5))
        tensor(0.2500)
    """
    require_same_shape(pred, target)
    require_power(p)
    # Half precision would lose small differences in the sum over a frame.
    difference = pred.float() - target.float()
    return difference.abs().mean() if p == 1 else difference.square().mean()


class LpLoss(PredictionLoss):
    """`lp_loss` as a term: the mean of `|pred - target|^p`.

    Args:
        p: 1 or 2.
        weight: Of the term, at least 0.
        name: Of the term; two losses that are combined need different ones.

    Raises:
        ValueError: When p is neither 1 nor 2, or the weight negative, NaN or infinite.

    Example:
        >>> import torch
        >>> LpLoss(p=1)(torch.zeros(1, 1, 1, 2, 2), torch.full((1, 1, 1, 2, 2), 0.5))
        {'lp_loss': tensor(0.5000)}
    """

    def __init__(
        self, p: Literal[1, 2] = 2, weight: NonNegativeFloat = 1.0, *, name: str = "lp_loss"
    ) -> None:
        super().__init__()
        require_power(p)
        require_weight("weight", weight)
        self.p: Literal[1, 2] = p
        self.name = name
        self.weights = {name: float(weight)}

    def terms(self, preds: Frames, targets: Frames) -> dict[str, Tensor]:
        """Give the one term; see `PredictionLoss.terms`."""
        if not self.weights[self.name]:
            return {}
        return {self.name: by_scale(partial(lp_loss, p=self.p), preds, targets)}


def require_power(p: int) -> None:
    """Refuse powers other than 1 and 2."""
    if p not in (1, 2):
        raise ValueError(f"p is {p}; expected 1 or 2")
