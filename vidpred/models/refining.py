"""The contract of predictors that improve one prediction stage by stage."""

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Refining(Protocol):
    """A predictor whose stages are all trained, by `vidpred.tasks.DeepSupervisionTask`.

    Example:
        >>> from vidpred.models import CopyLastFrame
        >>> isinstance(CopyLastFrame(), Refining)
        False
    """

    def stages(self, context: Tensor) -> list[Tensor]:
        """Predict the next frames after every stage, for training: routes may be drawn.

        Args:
            context: Past frames, shape (B, context_frames, C, H, W) in [0, 1], any H and W.

        Returns:
            Predictions (B, output_frames, C, H, W) in [0, 1], differentiable, the last one last.
        """
