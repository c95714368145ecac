"""What a prediction has to be to be measured."""

import torch
from torch import Tensor

from vidpred.errors import NetworkError, TrainingDivergedError
from vidpred.ops.checks import RANGE_TOLERANCE


def require_prediction(pred: Tensor, network: str, batches_seen: int) -> None:
    """Refuse predictions that are no frames in [0, 1].

    Args:
        pred: Predicted frames, any shape.
        network: Name of the class that gave them.
        batches_seen: Training batches so far.

    Raises:
        TrainingDivergedError: When a value is not finite.
        NetworkError: When one is not in [0, 1], or not finite before any training.
    """
    low, high = torch.aminmax(pred)
    if not (low.isfinite() and high.isfinite()):
        if not batches_seen:
            raise NetworkError(
                f"{network}.step gave values that are not finite for a "
                "finite context, before any training; expected frames in [0, 1]: look for a "
                "division by zero, a log or a sqrt in it"
            )
        raise TrainingDivergedError(["prediction"], batches_seen)
    if low < -RANGE_TOLERANCE or high > 1 + RANGE_TOLERANCE:
        raise NetworkError(
            f"{network} predicts values from {low:.4g} to {high:.4g}; "
            "expected frames in [0, 1]: end its step with .clamp(0, 1) or a sigmoid"
        )
