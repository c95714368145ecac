"""The contract of predictors that know how likely a future is."""

from typing import Protocol, runtime_checkable

from torch import Tensor

from vidpred.models.predictor import Condition


@runtime_checkable
class Likelihood(Protocol):
    """A predictor that knows how likely a future is.

    Example:
        >>> from vidpred.models import CopyLastFrame
        >>> isinstance(CopyLastFrame(), Likelihood)
        False
    """

    def log_prob(
        self, context: Tensor, target: Tensor, *, condition: Condition | None = None
    ) -> Tensor:
        """Give the log-likelihood of true future frames.

        Args:
            context: Past frames, shape (B, context_frames, C, H, W) in [0, 1].
            target: True future frames, shape (B, T, C, H, W) in [0, 1], T at least 1.
            condition: See `Predictor.forward`.

        Returns:
            Shape (B, T), in nats: of each frame given all frames before it, summed over channels
            and pixels. Comparable between predictors only when they give probabilities of the same
            values, such as 256 levels.
        """
