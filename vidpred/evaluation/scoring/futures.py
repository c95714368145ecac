"""Scores of a clip's futures, taken one future at a time: the memory does not grow with K."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from vidpred.evaluation.samples import Reduction, Samples
from vidpred.ops import unit_to_uint8

FAN = 6
"""Futures of a clip that are kept for pictures, at most."""

Scores = dict[str, Tensor]
"""By measure, float64 on the CPU, shape (B, T); NaN where a clip has no score."""


@dataclass(frozen=True)
class FutureScores:
    """What K futures of B clips scored.

    Attributes:
        values: What counts, by the protocol's reduction.
        reduced: Mean, best and worst of the futures; None without `samples` in the protocol.
        first: The first future of each clip, shape (B, T, C, H, W).
        shown: The future that represents each clip in pictures: the first one, or the one that the
            reduction chooses.
        count: K, futures that were scored.
        fan: The first futures of each clip, at most `FAN`, as uint8 on the CPU, shape
            (k, B, T, C, H, W).
    """

    values: Scores
    reduced: dict[Reduction, Scores] | None
    first: Tensor
    shown: Tensor
    count: int
    fan: Tensor


def score_futures(
    futures: Iterable[Tensor],
    measure: Callable[[Tensor], Scores],
    *,
    samples: Samples | None,
    ranking: str,
    higher_is_better: Callable[[str], bool],
) -> FutureScores:
    """Score futures as they come.

    Args:
        futures: In chunks of shape (k, B, T, C, H, W), the k of all chunks adding up to K.
        measure: Gives the scores of one future of all clips, shape (B, T, C, H, W).
        samples: The protocol's reduction; None expects one future.
        ranking: Measure that chooses the future that is shown, where `samples.by` says nothing.
        higher_is_better: Direction of a measure.

    Returns:
        The scores.

    Raises:
        ValueError: For no future.
    """
    single = (future for chunk in futures for future in chunk)
    first = next(single, None)
    if first is None:
        raise ValueError("a method gave no future; expected at least one of each clip")
    scores = measure(first)
    if samples is None:
        return FutureScores(scores, None, first, first, 1, _levels(first)[None])
    by = None if samples.by is None else samples.by.key
    chooses = _Chooser(by, ranking, higher_is_better)
    sums = {key: score.clone() for key, score in scores.items()}
    best, worst = (_Extreme(scores, first, chooses, sign) for sign in (1, -1))
    count, fan = 1, [_levels(first)]
    for future in single:
        scores = measure(future)
        for key, score in scores.items():
            sums[key] += score
        best.add(scores, future)
        worst.add(scores, future)
        count += 1
        if len(fan) < FAN:
            fan.append(_levels(future))
    reduced: dict[Reduction, Scores] = {
        "mean": {key: total / count for key, total in sums.items()},
        "best_of_k": best.scores,
        "worst_of_k": worst.scores,
    }
    shown = {"mean": first, "best_of_k": best.shown, "worst_of_k": worst.shown}
    chosen = samples.reduce
    return FutureScores(reduced[chosen], reduced, first, shown[chosen], count, torch.stack(fan))


def _levels(future: Tensor) -> Tensor:
    return unit_to_uint8(future.detach().cpu())


@dataclass(frozen=True)
class _Chooser:
    """By which measure a future is chosen.

    Attributes:
        by: For all measures; None where each chooses for itself.
        ranking: Then, for pictures.
        higher_is_better: Direction of a measure.
    """

    by: str | None
    ranking: str
    higher_is_better: Callable[[str], bool]

    def merits(self, scores: Scores) -> Scores:
        """Give for each deciding measure how good a future is, shape (B,): the larger the better.

        NaN where a clip has no score at any frame: it decides nothing.
        """
        keys = scores if self.by is None else [self.by]
        return {
            key: scores[key].nanmean(dim=1) * (1 if self.higher_is_better(key) else -1)
            for key in keys
        }


class _Extreme:
    """The best (sign 1) or the worst (-1) future so far, clip by clip; of equal ones the first.

    Attributes:
        scores: By measure, those of the future that is chosen for it.
        shown: Its frames.
    """

    def __init__(self, scores: Scores, future: Tensor, chooser: _Chooser, sign: int) -> None:
        self._chooser = chooser
        self._sign = sign
        self._merits = chooser.merits(scores)
        self.scores = dict(scores)
        self.shown = future

    def add(self, scores: Scores, future: Tensor) -> None:
        """Take another future of each clip into account."""
        replaces: dict[str, Tensor] = {}
        for key, merit in self._chooser.merits(scores).items():
            replaces[key] = self._sign * merit > self._sign * self._merits[key]
            self._merits[key] = torch.where(replaces[key], merit, self._merits[key])
        for key, score in scores.items():
            chosen = replaces[self._chooser.by or key][:, None]
            self.scores[key] = torch.where(chosen, score, self.scores[key])
        deciding = replaces.get(self._chooser.by or self._chooser.ranking)
        if deciding is not None:
            chosen = deciding.to(future.device)[:, None, None, None, None]
            self.shown = torch.where(chosen, future, self.shown)
