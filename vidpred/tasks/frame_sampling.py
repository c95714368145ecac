"""Whether a recurrent network reads the true or the predicted frame, as training proceeds."""

import math
from abc import ABC, abstractmethod
from typing import Literal, get_args

import torch
from jsonargparse.typing import ClosedUnitInterval, PositiveInt
from torch import Tensor

Draws = Literal["frame", "batch"]


class FrameSampling(ABC):
    """Draws which frames of a clip are read as they are; the others are read as predicted."""

    draws: Draws = "frame"

    @abstractmethod
    def probabilities(self, batch_number: int) -> tuple[float, float]:
        """Give how likely a true frame is read, in the context and after it.

        Args:
            batch_number: Of the training batch, from 1.
        """

    def draw(self, clips: int, context_frames: int, horizon: int, batch_number: int) -> Tensor:
        """Draw for the frames that are read: all of a clip but the last.

        Args:
            clips: B.
            context_frames: Known frames of a clip.
            horizon: Frames that follow.
            batch_number: Of the training batch, from 1.

        Returns:
            Boolean, shape (B, context_frames + horizon - 1), on the CPU, from PyTorch's global
            generator; the first frame is always read as it is.
        """
        of_context, later = self.probabilities(batch_number)
        likely = torch.tensor([1.0] + [of_context] * (context_frames - 1) + [later] * (horizon - 1))
        shape = (clips, len(likely)) if self.draws == "frame" else (1, 1)
        return (torch.rand(shape) < likely).expand(clips, -1)


class TeacherForcing(FrameSampling):
    """All frames are read as they are, in every batch.

    Source: Williams and Zipser 1989. The network never reads a prediction of its own, as it has to
    in use.

    Example:
        >>> TeacherForcing().draw(clips=1, context_frames=2, horizon=2, batch_number=1)
        tensor([[True, True, True]])
    """

    def probabilities(self, batch_number: int) -> tuple[float, float]:
        """See `FrameSampling.probabilities`."""
        return 1.0, 1.0


class ScheduledSampling(FrameSampling):
    """The context is read as it is; later frames less and less often, in the end never.

    Source: Bengio et al. 2015 (arXiv 1506.03099), with the linear decay of PredRNN's script.

    Args:
        start: Probability of a true frame at first; 0 is a network that reads its own predictions
            from the start.
        decay_batches: Batches after which it is 0.
        draws: Whether each frame of each clip is drawn, or one draw decides for the whole batch
            (PhyDNet).

    Raises:
        ValueError: When the probability is not in [0, 1], the batches are below 1 or `draws` is
            another word.

    Example:
        >>> schedule = ScheduledSampling(decay_batches=100)
        >>> [schedule.probabilities(batch)[1] for batch in (25, 50, 100, 200)]
        [0.75, 0.5, 0.0, 0.0]
    """

    def __init__(
        self,
        start: ClosedUnitInterval = 1.0,
        decay_batches: PositiveInt = 50_000,
        *,
        draws: Draws = "frame",
    ) -> None:
        if not 0 <= start <= 1:
            raise ValueError(f"start is {start}; expected a probability, from 0 to 1")
        if decay_batches < 1:
            raise ValueError(f"decay_batches is {decay_batches}; expected at least 1")
        if draws not in get_args(Draws):
            raise ValueError(f"draws is {draws!r}; expected frame or batch")
        self.start, self.decay_batches = float(start), int(decay_batches)
        self.draws: Draws = draws

    def probabilities(self, batch_number: int) -> tuple[float, float]:
        """See `FrameSampling.probabilities`."""
        return 1.0, self.start * max(1 - batch_number / self.decay_batches, 0.0)


class ReverseScheduledSampling(FrameSampling):
    """The context too is read as predicted, half of it at first, and in the end never.

    A network that has to bridge unknown frames of the context learns longer dynamics. Later frames
    are read as they are half of the time at first, and in the end never.

    Source: Wang et al. 2022, "PredRNN-V2" (arXiv 2103.09504), with the schedule of its script for
    Moving MNIST: probability 1/2 up to `first_batches`; then `1 - exp(-(n - first_batches) /
    alpha) / 2` in the context, and a linear decay after it; from `last_batches` 1 and 0.

    Args:
        first_batches: Batches at the first probabilities.
        last_batches: Batches after which nothing changes, more than `first_batches`.
        alpha: Batches in which the context's distance from 1 falls by a factor of e.

    Raises:
        ValueError: When the last are not more than the first, or alpha is below 1.

    Example:
        >>> schedule = ReverseScheduledSampling(100, 200, alpha=50)
        >>> [schedule.probabilities(batch) for batch in (1, 200)]
        [(0.5, 0.5), (1.0, 0.0)]
    """

    def __init__(
        self,
        first_batches: PositiveInt = 25_000,
        last_batches: PositiveInt = 50_000,
        *,
        alpha: PositiveInt = 2_500,
    ) -> None:
        if not 0 < first_batches < last_batches:
            raise ValueError(
                f"first_batches is {first_batches}, last_batches {last_batches}; expected more of "
                "the last, and at least 1 of the first"
            )
        if alpha < 1:
            raise ValueError(f"alpha is {alpha}; expected at least 1")
        self.first_batches, self.last_batches = int(first_batches), int(last_batches)
        self.alpha = int(alpha)

    def probabilities(self, batch_number: int) -> tuple[float, float]:
        """See `FrameSampling.probabilities`."""
        since = batch_number - self.first_batches
        if since < 0:
            return 0.5, 0.5
        if batch_number >= self.last_batches:
            return 1.0, 0.0
        share = since / (self.last_batches - self.first_batches)
        return 1 - 0.5 * math.exp(-since / self.alpha), 0.5 - 0.5 * share
