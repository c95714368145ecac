"""The baselines by their names, as commands and result files know them."""

from collections.abc import Callable

from vidpred.models.baselines import CopyLastFrame, LinearExtrapolation, OpticalFlowExtrapolation
from vidpred.models.duplicate_aware import DuplicateAwareFlowExtrapolation
from vidpred.models.predictor import Predictor

BASELINES: dict[str, Callable[[], Predictor]] = {
    "copy_last": CopyLastFrame,
    "linear": LinearExtrapolation,
    "optical_flow": OpticalFlowExtrapolation,
    "optical_flow_dup": DuplicateAwareFlowExtrapolation,
}
"""Predictors without parameters, by name; each is built with the fewest context frames it needs."""


def baseline(name: str) -> Predictor:
    """Build a baseline, in evaluation mode.

    Args:
        name: One of `BASELINES`.

    Raises:
        KeyError: For another name.
        vidpred.errors.VidpredError: When it needs OpenCV and that is not installed.

    Example:
        >>> import torch
        >>> baseline("copy_last")(torch.rand(1, 1, 3, 8, 8), horizon=2).shape
        torch.Size([1, 2, 3, 8, 8])
    """
    return BASELINES[name]().eval()
