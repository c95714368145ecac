"""Predictors without parameters: what a model has to beat."""

from typing import Any

from jsonargparse.typing import PositiveInt
from torch import Tensor

from vidpred.models.predictor import Predictor


class CopyLastFrame(Predictor):
    """Says that nothing moves: every future frame is the last known one.

    On whole frames of UCF101, which is mostly still, it beats many models; no score should stand
    without it.
    """

    def __init__(self, *, context_frames: PositiveInt = 1) -> None:
        super().__init__(context_frames=context_frames)

    def step(self, context: Tensor) -> Tensor:
        """Repeat the last frame; see `Predictor.step`."""
        return context[:, -1:]

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values."""
        return {"context_frames": self.context_frames}
