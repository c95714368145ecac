"""Reconstruction losses at every scale, and how the scales add up."""

from collections.abc import Sequence
from typing import Literal

import torch
from jsonargparse.typing import NonNegativeFloat
from torch import Tensor

from vidpred.losses.base import Frames, PredictionLoss
from vidpred.losses.gradient_difference import gradient_difference_loss, require_alpha
from vidpred.losses.lp import lp_loss, require_power
from vidpred.ops.checks import require_weight


def sum_over_scales(terms: Tensor, scale_weights: Sequence[float] | None) -> Tensor:
    """Add up one loss term over the scales.

    Args:
        terms: One value a scale, shape (S,), coarsest first; a scalar has no scales and stays.
        scale_weights: S weights, or None for the paper's plain sum.

    Returns:
        Scalar.

    Raises:
        ValueError: When there are more or fewer weights than scales.

    Example:
        >>> import torch
        >>> sum_over_scales(torch.tensor([1.0, 2.0, 3.0]), [0.0, 1.0, 2.0])
        tensor(8.)
    """
    if not terms.ndim:
        return terms
    if scale_weights is None:
        return terms.sum()
    if len(scale_weights) != len(terms):
        raise ValueError(
            f"{len(scale_weights)} scale_weights for {len(terms)} scales; expected one a scale"
        )
    # Not by a tensor of weights: a GPU would wait for it to be copied.
    return torch.stack([w * term for w, term in zip(scale_weights, terms, strict=True)]).sum()


class MultiScaleLoss(PredictionLoss):
    """Weighted lp and gradient difference losses, each a mean over elements at every scale.

    Source: Mathieu et al. 2016: `lp_weight * L_p + gradient_difference_weight * L_gdl`, summed over
    the scales. The frames are in [-1, 1], where the paper's weights live.

    Args:
        p: 1 or 2, the power of the pixel loss.
        lp_weight: Weight of the pixel loss; at least 0.
        gradient_difference_weight: Weight of the gradient difference loss; at least 0.
        alpha: Power in the gradient difference loss; at least 1.
        scale_weights: One weight a scale, coarsest first, for every term (the adversarial too);
            None is 1 each.

    Raises:
        ValueError: When a weight is negative, NaN or infinite, or alpha is below 1.

    Example:
        >>> import torch
        >>> preds = [torch.zeros(1, 1, 3, 4, 4), torch.zeros(1, 1, 3, 8, 8)]
        >>> targets = [torch.ones(1, 1, 3, 4, 4), torch.full((1, 1, 3, 8, 8), 0.5)]
        >>> MultiScaleLoss(p=1).terms(preds, targets)
        {'lp_loss': tensor([1.0000, 0.5000])}
    """

    def __init__(
        self,
        *,
        p: Literal[1, 2] = 2,
        lp_weight: NonNegativeFloat = 1.0,
        gradient_difference_weight: NonNegativeFloat = 0.0,
        alpha: float = 1.0,
        scale_weights: Sequence[NonNegativeFloat] | None = None,
    ) -> None:
        super().__init__()
        require_power(p)
        require_weight("lp_weight", lp_weight)
        require_weight("gradient_difference_weight", gradient_difference_weight)
        require_alpha(alpha)
        for k, weight in enumerate(scale_weights or []):
            require_weight(f"scale_weights[{k}]", weight)
        self.p = p
        self.alpha = alpha
        self.scale_weights = scale_weights
        self.weights = {
            "lp_loss": lp_weight,
            "gradient_difference_loss": gradient_difference_weight,
        }

    def forward(self, preds: Frames, targets: Frames) -> Tensor:  # type: ignore[override] # as 0.1
        """Add up all terms with their weights; takes what `terms` takes, gives a scalar."""
        total = torch.zeros((), device=preds[0].device)
        for name, term in self.terms(preds, targets).items():
            total = total + self.weights[name] * sum_over_scales(term, self.scale_weights)
        return total

    def terms(self, preds: Frames, targets: Frames) -> dict[str, Tensor]:
        """Compare predictions with targets at every scale.

        Args:
            preds: S tensors (B, T, C, h, w) in [-1, 1], coarsest first.
            targets: S tensors of the same shapes and range.

        Returns:
            The terms by name, each of shape (S,) before its weights, which are in `weights`. A term
            whose weight is 0 is not computed.
        """
        terms: dict[str, Tensor] = {}
        pairs = list(zip(preds, targets, strict=True))
        if self.weights["lp_loss"]:
            terms["lp_loss"] = torch.stack([lp_loss(p, t, self.p) for p, t in pairs])
        if self.weights["gradient_difference_loss"]:
            terms["gradient_difference_loss"] = torch.stack(
                [gradient_difference_loss(p, t, self.alpha) for p, t in pairs]
            )
        return terms
