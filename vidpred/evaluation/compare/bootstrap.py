"""How sure a mean over clips is: intervals from resampling whole videos.

Clips of one video are alike, so a clip more of it is hardly news; what is drawn again is videos,
each with all its clips (a cluster bootstrap). All methods are measured on the same draws, so what
makes a video hard for everybody cancels in their differences.

Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", percentile intervals; the
resampling is SciPy's.
"""

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 10_000
SEED = 0
"""Of the draws: equal clips give equal intervals, in every report."""

_BATCH = 1000  # draws at a time, which bounds the memory

Array = npt.NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True)
class PairedScores:
    """Scores of M methods on the same clips, added up within each of V videos.

    Attributes:
        methods: M names.
        videos: V names, sorted.
        sums: Sum over a video's clips that count, shape (M, V, T).
        counts: How many those are, the same for all methods, shape (V, T).
    """

    methods: tuple[str, ...]
    videos: tuple[str, ...]
    sums: Array
    counts: Array

    @property
    def per_frame(self) -> Array:
        """Mean over the clips that count, shape (M, T); NaN where none does."""
        # `fsum` and sorted videos: the order in which clips came is not in the last digit either.
        totals = np.array([[math.fsum(frame) for frame in method.T] for method in self.sums])
        with np.errstate(invalid="ignore"):
            per_frame: Array = totals / self.counts.sum(axis=0)
        return per_frame


@dataclass(frozen=True)
class Intervals:
    """95 % intervals; None with fewer than two videos, or where a draw can hold no clip.

    Attributes:
        per_frame: Of each method's mean at each frame, shape M x T.
        mean: Of each method's mean over frames, M.
        over_baseline: Of each method's mean minus the baseline's, M; None without a baseline.
        over_best: Of each method's mean minus the best method's, M; None without a best.
    """

    per_frame: list[list[Interval | None]]
    mean: list[Interval | None]
    over_baseline: list[Interval | None]
    over_best: list[Interval | None]


def paired_scores(
    clips: Iterable[tuple[str, str]],
    values: Mapping[str, Mapping[str, Sequence[float | None]]],
) -> PairedScores:
    """Add up the scores of each video's clips.

    Args:
        clips: (clip, video) of every clip, in any order.
        values: By method and clip, T scores; None where the clip does not count at that frame,
            which has to be so for all methods alike.

    Returns:
        The sums; videos without any score are left out.

    Raises:
        ValueError: When methods differ in the clips that count.
    """
    methods = tuple(values)
    by_video: dict[str, list[str]] = {}
    for clip, video in sorted(clips):
        by_video.setdefault(video, []).append(clip)
    videos: list[str] = []
    sums: list[list[list[float]]] = []
    counts: list[list[int]] = []
    for video, names in sorted(by_video.items()):
        columns = [list(zip(*(values[m][clip] for clip in names), strict=True)) for m in methods]
        counted = [[sum(v is not None for v in frame) for frame in frames] for frames in columns]
        if any(row != counted[0] for row in counted):
            raise ValueError(
                f"methods have scores at different clips of video {video!r}; "
                "expected the clips that are common to all"
            )
        if any(counted[0]):
            videos.append(video)
            counts.append(counted[0])
            sums.append(
                [[math.fsum(v for v in frame if v is not None) for frame in m] for m in columns]
            )
    horizon = len(counts[0]) if counts else 0
    return PairedScores(
        methods,
        tuple(videos),
        np.array(sums, dtype=np.float64)
        .reshape(len(videos), len(methods), horizon)
        .transpose(1, 0, 2),
        np.array(counts, dtype=np.float64).reshape(len(videos), horizon),
    )


def bootstrap_intervals(
    scores: PairedScores,
    *,
    baseline: str | None = None,
    best: str | None = None,
    resamples: int = RESAMPLES,
) -> Intervals:
    """Resample videos and see how far the means move.

    Args:
        scores: Sums by video.
        baseline: Method that `over_baseline` is measured against.
        best: Method that `over_best` is measured against.
        resamples: How many draws.

    Returns:
        Percentile intervals. A method against itself has the interval (0, 0).

    Raises:
        ValueError: For a baseline or best that is not among the methods, or no draw.
    """
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; expected at least 1")
    for role, name in (("baseline", baseline), ("best", best)):
        if name is not None and name not in scores.methods:
            raise ValueError(
                f"{role} is {name!r}; expected one of {', '.join(scores.methods)}, or None"
            )
    count, num_videos, horizon = scores.sums.shape
    nothing: list[Interval | None] = [None] * count
    if num_videos < 2 or horizon == 0:
        return Intervals([[None] * horizon for _ in scores.methods], nothing, nothing, nothing)

    # Columns: T counts, then M x T sums, so that a draw is one product with how often it holds
    # each video.
    table = np.concatenate([scores.counts, *scores.sums], axis=1)

    def statistic(drawn: npt.NDArray[np.int64], axis: int) -> Array:
        drawn = np.atleast_2d(drawn)
        totals = (_how_often(drawn, num_videos) @ table).reshape(len(drawn), 1 + count, horizon)
        with np.errstate(invalid="ignore"):
            per_frame = totals[:, 1:] / totals[:, :1]
        mean = per_frame.mean(axis=2)
        parts = [per_frame.reshape(len(drawn), -1), mean]
        parts += [mean - mean[:, [scores.methods.index(m)]] for m in (baseline, best) if m]
        quantities: Array = np.concatenate(parts, axis=1).T
        return quantities

    with warnings.catch_warnings():
        # Draws that hold no clip at a frame are expected, and end as None.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result: Any = stats.bootstrap(  # Any: the stubs know statistics of one number alone
            (np.arange(num_videos),),
            statistic,
            vectorized=True,
            axis=-1,
            n_resamples=resamples,
            batch=_BATCH,
            confidence_level=CONFIDENCE,
            method="percentile",
            rng=np.random.default_rng(SEED),
        )
    bounds = result.confidence_interval
    pairs = [_interval(low, high) for low, high in zip(bounds.low, bounds.high, strict=True)]
    frames, rest = pairs[: count * horizon], pairs[count * horizon :]
    blocks = [rest[k : k + count] for k in range(0, len(rest), count)]
    return Intervals(
        per_frame=[frames[k * horizon : (k + 1) * horizon] for k in range(count)],
        mean=blocks.pop(0),
        over_baseline=blocks.pop(0) if baseline else nothing,
        over_best=blocks.pop(0) if best else nothing,
    )


def _how_often(drawn: npt.NDArray[np.int64], num_videos: int) -> Array:
    """Count each video in each draw: indices (R, V) to counts (R, V)."""
    rows = np.arange(len(drawn))[:, None] * num_videos
    flat = np.bincount((drawn + rows).ravel(), minlength=len(drawn) * num_videos)
    return flat.reshape(len(drawn), num_videos).astype(np.float64)


def _interval(low: float, high: float) -> Interval | None:
    return (float(low), float(high)) if np.isfinite([low, high]).all() else None
