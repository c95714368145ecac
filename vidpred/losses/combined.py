"""Several losses of predicted frames as one."""

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from vidpred.losses.base import Frames, PredictionLoss


class CombinedLoss(PredictionLoss):
    """The terms of several losses, each with the weight that its loss gives it.

    In YAML: `class_path: vidpred.losses.CombinedLoss, init_args: {losses: [{class_path:
    vidpred.losses.LpLoss, init_args: {p: 1}}, {class_path:
    vidpred.losses.GradientDifferenceLoss}]}`.

    Args:
        losses: At least one.

    Raises:
        ValueError: When there is none, or two have a term of the same name.

    Example:
        >>> import torch
        >>> from vidpred.losses import GradientDifferenceLoss, LpLoss
        >>> loss = CombinedLoss([LpLoss(1), GradientDifferenceLoss(weight=0.5)])
        >>> sorted(loss(torch.zeros(1, 1, 3, 4, 4), torch.ones(1, 1, 3, 4, 4)))
        ['gradient_difference_loss', 'lp_loss']
        >>> loss.weights
        {'lp_loss': 1.0, 'gradient_difference_loss': 0.5}
    """

    def __init__(self, losses: Sequence[PredictionLoss]) -> None:
        super().__init__()
        if not losses:
            raise ValueError("losses are empty; expected at least one loss")
        names = [name for loss in losses for name in loss.weights]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"two of the losses have a term {', '.join(twice)}; expected a name for each, such "
                "as LpLoss(p=1, name='l1_loss')"
            )
        self.losses = nn.ModuleList(losses)
        self.weights = {name: weight for loss in losses for name, weight in loss.weights.items()}

    def terms(self, preds: Frames, targets: Frames) -> dict[str, Tensor]:
        """Give the terms of all losses; see `PredictionLoss.terms`."""
        return {
            name: term
            for loss in self.losses
            for name, term in cast(PredictionLoss, loss).checked_terms(preds, targets).items()
        }
