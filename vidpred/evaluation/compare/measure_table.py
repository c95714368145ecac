"""All methods by one measure: means, intervals, gains and who is best."""

from collections.abc import Mapping
from typing import TypedDict

from vidpred.evaluation.compare.bootstrap import Interval, bootstrap_intervals, paired_scores
from vidpred.evaluation.compare.common_clips import MeasureInfo, describe_measure, lacking
from vidpred.evaluation.compare.sampled import SampledScore, sampled_scores
from vidpred.evaluation.results.result import Result

BASELINE = "copy_last"
"""The method that gains are measured against: a model that does not beat it predicts nothing."""


class MethodScore(TypedDict):
    """One method by one measure, on the clips common to all methods.

    Attributes:
        mean: Mean over frames of `per_frame`; None when one of them is None.
        interval: 95 %, of `mean`; None with one video.
        per_frame: Mean over the common clips.
        frame_intervals: 95 %, of each of them.
        gain: How much better than `BASELINE`, positive is better whatever the measure; None without
            that baseline.
        gain_interval: 95 %, paired.
        lead_of_best: How much better the best method is, at least 0.
        lead_interval: 95 %, paired.
        as_good_as_best: True when `lead_interval` covers 0: not significantly different; None when
            there is no interval.
        samples: By each reduction of several futures; None without `samples` in the protocol.
    """

    mean: float | None
    interval: Interval | None
    per_frame: list[float | None]
    frame_intervals: list[Interval | None]
    gain: float | None
    gain_interval: Interval | None
    lead_of_best: float | None
    lead_interval: Interval | None
    as_good_as_best: bool | None
    samples: SampledScore | None


class MeasureTable(MeasureInfo):
    """All methods by one measure.

    Attributes:
        clips: How many are common to all methods, by frame.
        videos: From how many videos.
        ranking: Names, best first; those without a mean last.
        lacking: Names of methods that have no likelihood, where the measure is one.
        scores: By name.
    """

    clips: list[int]
    videos: int
    ranking: list[str]
    lacking: list[str]
    scores: dict[str, MethodScore]


def measure_table(
    key: str,
    results: Mapping[str, Result],
    values: Mapping[str, Mapping[str, list[float | None]]],
    videos: Mapping[str, str],
    resamples: int,
) -> MeasureTable:
    """Average, rank and bootstrap.

    Args:
        key: Of the measure.
        results: By method.
        values: By method and clip, the scores that count; see `common_values`.
        videos: By clip, its video.
        resamples: Draws of the bootstrap.
    """
    info = describe_measure(key)
    without = lacking(results, key)
    sampled = sampled_scores(results, key, values)
    values = {name: own for name, own in values.items() if name not in without} or values
    without = [name for name in without if name not in values]
    sign = 1.0 if info["higher_is_better"] else -1.0
    clips = list(next(iter(values.values())))
    scores = paired_scores([(clip, videos[clip]) for clip in clips], values)
    horizon = max((len(frames) for frames in next(iter(values.values())).values()), default=0)
    per_frame: dict[str, list[float | None]] = {
        # Without any video the arrays have lost their horizon.
        name: [float(v) if v == v else None for v in row] if scores.videos else [None] * horizon
        for name, row in zip(scores.methods, scores.per_frame, strict=True)
    }
    means = {name: _mean(frames) for name, frames in per_frame.items()}
    known = {name: mean for name, mean in means.items() if mean is not None}
    ranking = sorted(known, key=lambda name: (-sign * known[name], name))
    ranking += [name for name in means if name not in known]
    best = ranking[0] if known else None
    baseline = BASELINE if known.get(BASELINE) is not None else None
    sure = bootstrap_intervals(scores, baseline=baseline, best=best, resamples=resamples)
    nothing: list[Interval | None] = [None] * horizon
    frame_intervals = sure.per_frame if scores.videos else [nothing for _ in means]

    def signed(interval: Interval | None, factor: float) -> Interval | None:
        if interval is None:
            return None
        low, high = sorted((factor * interval[0], factor * interval[1]))
        return (low + 0.0, high + 0.0)  # no -0.0

    def difference(one: float | None, other: str | None) -> float | None:
        return None if one is None or other is None else sign * (one - known[other]) + 0.0

    table: dict[str, MethodScore] = {}
    for k, name in enumerate(scores.methods):
        behind = difference(means[name], best)
        lead = signed(sure.over_best[k], -sign)
        table[name] = {
            "mean": means[name],
            "interval": sure.mean[k],
            "per_frame": per_frame[name],
            "frame_intervals": frame_intervals[k],
            "gain": difference(means[name], baseline),
            "gain_interval": signed(sure.over_baseline[k], sign),
            "lead_of_best": None if behind is None else -behind + 0.0,
            "lead_interval": lead,
            "as_good_as_best": None if lead is None else lead[0] <= 0 <= lead[1],
            "samples": sampled.get(name),
        }
    for name in without:
        table[name] = _no_score(horizon)
    ranking += without
    return {
        **info,
        "clips": [
            sum(frames[t] is not None for frames in next(iter(values.values())).values())
            for t in range(horizon)
        ],
        "videos": len(scores.videos),
        "ranking": ranking,
        "lacking": lacking(results, key),
        "scores": {name: table[name] for name in ranking},
    }


def _no_score(horizon: int) -> MethodScore:
    return {
        "mean": None,
        "interval": None,
        "per_frame": [None] * horizon,
        "frame_intervals": [None] * horizon,
        "gain": None,
        "gain_interval": None,
        "lead_of_best": None,
        "lead_interval": None,
        "as_good_as_best": None,
        "samples": None,
    }


def _mean(frames: list[float | None]) -> float | None:
    known = [value for value in frames if value is not None]
    return sum(known) / len(known) if known and len(known) == len(frames) else None
