"""The contract of predictors with latent variables that are trained by the evidence lower bound."""

from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from vidpred.models.predictor import Condition


class PosteriorPrediction(NamedTuple):
    """What a network with latent variables predicts when it is shown the answer.

    Attributes:
        pred: Predicted frames from latents that were drawn from the posterior, shape
            (B, T, C, H, W) in [0, 1], differentiable.
        kl: Divergence KL(posterior || prior) of the latents, shape (B, T), in nats a clip and
            frame, at least 0. Latents of a whole clip: its divergence divided by T.
    """

    pred: Tensor
    kl: Tensor


@runtime_checkable
class Variational(Protocol):
    """A predictor with latent variables, as `vidpred.tasks.VariationalTask` trains them.

    Example:
        >>> from vidpred.models import CopyLastFrame
        >>> isinstance(CopyLastFrame(), Variational)
        False
    """

    def posterior(
        self, context: Tensor, target: Tensor, *, condition: Condition | None = None
    ) -> PosteriorPrediction:
        """Predict frames that the network sees, through its latents alone.

        Args:
            context: Past frames, shape (B, context_frames, C, H, W) in [0, 1].
            target: True future frames, shape (B, T, C, H, W) in [0, 1]; they reach the prediction
                through the posterior of the latents only.
            condition: See `Predictor.forward`.

        Returns:
            The prediction and what its latents cost.
        """
