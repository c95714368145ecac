"""Several trainings of each kind, side by side: how much is due to chance, in seeds and videos.

What is drawn again is both the videos, as in `vidpred.evaluation.compare.bootstrap`, and the seeds
of each kind: a network trained again is another draw, as a video more is.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from vidpred.evaluation.compare.bootstrap import (
    CONFIDENCE,
    RESAMPLES,
    SEED,
    Interval,
    paired_scores,
)
from vidpred.evaluation.compare.common_clips import common_values, lacking, measures_of, skip_of
from vidpred.evaluation.compare.comparability import of_same_videos
from vidpred.evaluation.results.result import Result

Array = npt.NDArray[np.float64]

_BATCH = 500  # draws at a time, which bounds the memory


class Estimate(TypedDict):
    """A mean and how sure it is.

    Attributes:
        mean: Over seeds, videos and frames; None where no clip counts.
        interval: 95 %, percentiles; None with one video.
    """

    mean: float | None
    interval: Interval | None


class KindScore(Estimate):
    """One kind of training by one measure.

    Attributes:
        first: The same for the first predicted frame alone.
        by_seed: Mean of each training.
    """

    first: Estimate
    by_seed: list[float | None]


class PooledMeasure(TypedDict):
    """All kinds by one measure, on the clips that count for every training.

    Attributes:
        clips: How many these are, by frame.
        videos: From how many videos.
        scores: By kind.
        differences: By (kind, other kind), kind minus other, paired over videos.
    """

    clips: list[int]
    videos: int
    scores: dict[str, KindScore]
    differences: dict[tuple[str, str], KindScore]


def pool_seeds(
    kinds: Mapping[str, Sequence[Result]],
    pairs: Sequence[tuple[str, str]] = (),
    *,
    measures: Collection[str] | None = None,
    resamples: int = RESAMPLES,
) -> dict[str, PooledMeasure]:
    """Average the trainings of each kind, and say how sure the averages are.

    Args:
        kinds: By name, the results of its trainings, one a seed, all by one protocol. A kind with
            one result (a baseline) has no seeds to draw.
        pairs: Kinds that are to be compared.
        measures: Keys of those wanted; None is all.
        resamples: How many draws of videos and seeds.

    Returns:
        By measure, the protocol's first in its order. With few seeds, intervals are too narrow: two
        or three trainings say little of how much trainings differ.

    Raises:
        ResultError: When results have no measure in common.
    """
    names = {f"{kind}/{k}": kind for kind, results in kinds.items() for k in range(len(results))}
    flat, _ = of_same_videos(
        {f"{kind}/{k}": result for kind, own in kinds.items() for k, result in enumerate(own)}
    )
    protocol = next(iter(flat.values()))["protocol"]
    videos = {row["clip"]: row["video"] for result in flat.values() for row in result["rows"]}
    pooled: dict[str, PooledMeasure] = {}
    for key in measures_of(protocol, flat):
        if measures is not None and key not in measures:
            continue
        if lacking(flat, key):
            continue  # a baseline has no likelihood, and nothing to be paired
        values = common_values(flat, key, skip_of(protocol))
        clips = list(next(iter(values.values())))
        scores = paired_scores([(clip, videos[clip]) for clip in clips], values)
        sums = {
            kind: np.stack([scores.sums[k] for k, name in enumerate(names) if names[name] == kind])
            for kind in kinds
        }
        pooled[key] = _pool(sums, scores.counts, pairs, resamples)
    return pooled


def _pool(
    sums: Mapping[str, Array],
    counts: Array,
    pairs: Sequence[tuple[str, str]],
    resamples: int,
) -> PooledMeasure:
    num_videos, horizon = counts.shape
    nothing: KindScore = {
        "mean": None,
        "interval": None,
        "first": {"mean": None, "interval": None},
        "by_seed": [],
    }
    table: PooledMeasure = {
        "clips": [int(count) for count in counts.sum(axis=0)],
        "videos": num_videos,
        "scores": dict.fromkeys(sums, nothing),
        "differences": dict.fromkeys(pairs, nothing),
    }
    if num_videos == 0 or horizon == 0:
        return table
    with np.errstate(invalid="ignore", divide="ignore"):
        exact = {kind: own.sum(axis=1) / counts.sum(axis=0) for kind, own in sums.items()}
    drawn = _draws(sums, counts, resamples) if num_videos > 1 else None
    for kind, seeds in exact.items():
        table["scores"][kind] = _score(
            seeds.mean(axis=0), None if drawn is None else drawn[kind], seeds
        )
    for one, other in pairs:
        table["differences"][one, other] = _score(
            exact[one].mean(axis=0) - exact[other].mean(axis=0),
            None if drawn is None else drawn[one] - drawn[other],
            np.empty((0, horizon)),
        )
    return table


def _draws(sums: Mapping[str, Array], counts: Array, resamples: int) -> dict[str, Array]:
    """Draw videos, the same for all kinds, and seeds, each kind its own: (resamples, T) by kind."""
    rng = np.random.default_rng(SEED)
    num_videos = len(counts)
    found: dict[str, list[Array]] = {kind: [] for kind in sums}
    for first in range(0, resamples, _BATCH):
        size = min(_BATCH, resamples - first)
        how_often = rng.multinomial(num_videos, np.full(num_videos, 1 / num_videos), size=size)
        with np.errstate(invalid="ignore", divide="ignore"):
            totals = how_often @ counts
            for kind, own in sums.items():
                seeds = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), size=size)
                per_seed = np.einsum("rv,svt->rst", how_often, own) / totals[:, None]
                found[kind].append(np.einsum("rs,rst->rt", seeds / len(own), per_seed))
    return {kind: np.concatenate(parts) for kind, parts in found.items()}


def _score(per_frame: Array, drawn: Array | None, seeds: Array) -> KindScore:
    return {
        **_estimate(per_frame.mean(), None if drawn is None else drawn.mean(axis=1)),
        "first": _estimate(per_frame[0], None if drawn is None else drawn[:, 0]),
        "by_seed": [_number(value) for value in seeds.mean(axis=1)],
    }


def _estimate(mean: float, drawn: Array | None) -> Estimate:
    interval: Interval | None = None
    if drawn is not None and np.isfinite(drawn).all():
        tail = 100 * (1 - CONFIDENCE) / 2
        low, high = np.percentile(drawn, [tail, 100 - tail])
        interval = (float(low), float(high))
    return {"mean": _number(mean), "interval": interval}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
