"""The temporal-difference loss of TAU: where, in a frame, it changes most."""

from functools import partial

from jsonargparse.typing import NonNegativeFloat, PositiveFloat
from torch import Tensor

from vidpred.losses.base import Frames, PredictionLoss, by_scale
from vidpred.ops.checks import require_frames, require_same_shape, require_weight

TEMPERATURE = 0.1
"""Of the softmax over all values of a difference, as in the paper, for frames in [0, 1]."""


def differential_divergence_loss(
    pred: Tensor, target: Tensor, temperature: float = TEMPERATURE
) -> Tensor:
    """Compare the changes between successive frames as distributions over pixels.

    `mean KL(softmax((pred_t+1 - pred_t) / temperature) || softmax((target_t+1 - target_t) /
    temperature)) / (C H W)`: a frame's change by the softmax is a distribution over its C H W
    values.

    Source: Tan et al. 2023, "Temporal Attention Unit" (arXiv 2206.12126), differential divergence
    regularization. The mean is over values too, as in the authors' code, where it is added to a
    mean squared difference; there a constant keeps logarithms finite, here log-softmax does, and a
    single change counts as well.

    Args:
        pred: Predicted frames, shape (B, T, C, H, W) in [0, 1], T at least 2.
        target: Ground truth, same shape and range.
        temperature: Above 0; the lower, the more the largest changes count.

    Returns:
        Scalar, float32 at least; 0 when all changes agree up to a constant for each frame.

    Raises:
        ValueError: When shapes differ, there is one frame, or the temperature is not above 0.

    Example:
        >>> import torch
        >>> pred, target = torch.zeros(1, 2, 1, 1, 2), torch.zeros(1, 2, 1, 1, 2)
        >>> target[0, 1, 0, 0, 0] = 0.1  # softmax of (1, 0); the prediction's is (1/2, 1/2)
        >>> round(differential_divergence_loss(pred, target).item(), 4)
        0.0601
    """
    require_same_shape(pred, target)
    require_frames("pred", pred)
    _require_temperature(temperature)
    if pred.shape[1] < 2:
        raise ValueError(
            "pred has 1 frame; expected at least 2, between which there is a change: train with "
            "horizon 2 or more"
        )
    ours, true = (
        (frames.float().diff(dim=1).flatten(2) / temperature).log_softmax(-1)
        for frames in (pred, target)
    )
    return (ours.exp() * (ours - true)).mean()


class DifferentialDivergenceLoss(PredictionLoss):
    """`differential_divergence_loss` as a term; combine it with `LpLoss` by `CombinedLoss`.

    Args:
        weight: Of the term, at least 0; the paper's is 0.1.
        temperature: Above 0.

    Raises:
        ValueError: When the weight is negative, NaN or infinite, or the temperature not above 0.

    Example:
        >>> import torch
        >>> frames = torch.rand(1, 3, 1, 4, 4)
        >>> DifferentialDivergenceLoss()(frames, frames)
        {'differential_divergence': tensor(0.)}
    """

    def __init__(
        self, weight: NonNegativeFloat = 0.1, temperature: PositiveFloat = TEMPERATURE
    ) -> None:
        super().__init__()
        require_weight("weight", weight)
        _require_temperature(temperature)
        self.temperature = float(temperature)
        self.weights = {"differential_divergence": float(weight)}

    def terms(self, preds: Frames, targets: Frames) -> dict[str, Tensor]:
        """Give the one term; see `PredictionLoss.terms`."""
        if not self.weights["differential_divergence"]:
            return {}
        loss = partial(differential_divergence_loss, temperature=self.temperature)
        return {"differential_divergence": by_scale(loss, preds, targets)}


def _require_temperature(temperature: float) -> None:
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; expected a number above 0")
