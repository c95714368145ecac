"""Several futures of one clip: how many, from which seed, and which of their scores count."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jsonargparse.typing import NonNegativeInt, PositiveInt

from vidpred.evaluation.measures import LIKELIHOOD_METRICS, Measure
from vidpred.ops import named_generator
from vidpred.ops.checks import require_positive

Reduction = Literal["mean", "best_of_k", "worst_of_k"]

REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)


@dataclass(frozen=True)
class Samples:
    """Futures that are drawn of each clip, and how their scores become the clip's.

    Best and worst are whole futures: the one with the best (worst) mean over frames. The best of K
    grows with K, so scores of different K do not compare.

    Source of the best of K: Denton and Fergus 2018 (SVG) choose the best of 100 futures for each
    measure by itself, which is `by: null`.

    Attributes:
        count: K, futures a clip.
        seed: With the clip's name and the number of the future it seeds the generator, so that a
            score depends on neither the order of clips, nor the batch, nor an interruption, and
            the first futures of a larger K are those of a smaller one.
        reduce: What counts as the clip's score: the mean over the futures, or that of the best or
            the worst one. Results hold all three.
        by: The measure that chooses the best and the worst future, for all measures alike; None
            lets each measure choose by itself.
    """

    count: PositiveInt
    seed: NonNegativeInt = 0
    reduce: Reduction = "mean"
    by: Measure | None = None

    def __post_init__(self) -> None:
        require_positive("samples.count", self.count)
        if self.seed < 0:
            raise ValueError(f"samples.seed is {self.seed}; expected a number that is at least 0")
        if self.reduce not in REDUCTIONS:
            raise ValueError(
                f"samples.reduce is {self.reduce!r}; expected one of {', '.join(REDUCTIONS)}"
            )
        if self.by is not None and self.by.metric in LIKELIHOOD_METRICS:
            raise ValueError(
                f"samples.by is {self.by.key}, a likelihood, which all futures of a clip share; "
                "expected a measure of predicted frames, such as psnr"
            )

    def generator(self, clip: str, index: int) -> torch.Generator:
        """Give the source of randomness of one future.

        Args:
            clip: Name of the clip.
            index: Number of the future, counted from 0.

        Returns:
            A generator on the CPU: predictors on a GPU draw the same numbers from it.

        Example:
            >>> samples = Samples(count=2, seed=1)
            >>> one, same, other = (samples.generator("clip", k).initial_seed() for k in (0, 0, 1))
            >>> one == same, one == other
            (True, False)
        """
        return named_generator(self.seed, clip, index)
