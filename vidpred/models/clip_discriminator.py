"""The contract of discriminators, which score whether frames follow the known ones."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn


class ClipDiscriminator(nn.Module, ABC):
    """Scores true and predicted frames after known ones, at one or several scales.

    What `vidpred.tasks.AdversarialTask` trains against; with `vidpred.models.Predictor` of any
    kind.

    Attributes:
        num_scales: S, at least 1; the coarsest first, each of twice the size of the one before.
        context_frames: Known frames that it sees.
        output_frames: Frames that it scores.
        batch_dependent: Whether the score of a clip depends on the others of its batch, as with
            batch norm or minibatch discrimination. Then true and predicted frames are scored in
            calls of their own: statistics of both together would give away which is which.
    """

    num_scales: int
    context_frames: int
    output_frames: int
    batch_dependent: bool = False

    @abstractmethod
    def forward(self, context: Tensor, candidates: Sequence[Tensor]) -> list[Tensor]:
        """Score one candidate a scale.

        Args:
            context: Known frames at full size, shape (B, context_frames, C, H, W) in [-1, 1].
            candidates: S tensors (B, output_frames, C, h, w) in [-1, 1], coarsest first, true or
                predicted.

        Returns:
            S tensors of logits (B, P), higher for more real.
        """

    def features(self, context: Tensor, candidates: Sequence[Tensor]) -> Tensor:
        """Give features for a classifier, as `vidpred probe` takes them; defined where there are.

        Args:
            context: As for `forward`.
            candidates: As for `forward`.

        Returns:
            Shape (B, F), of each clip by itself.
        """
        raise NotImplementedError(
            f"{type(self).__name__} says not what its features are; expected it to define "
            "features(context, candidates), which gives (B, F)"
        )

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values."""
