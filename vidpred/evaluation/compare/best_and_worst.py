"""Single clips: how each method fared on each, and the ones worth looking at."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypedDict

from vidpred.evaluation.compare.common_clips import common_values, describe_measure
from vidpred.evaluation.results.result import Result
from vidpred.evaluation.results.skipping import SkipRule

NUM_EXTREMES = 3
"""Clips shown at each end, for each method."""


class ClipPoint(TypedDict):
    """One clip that all methods were scored on.

    Attributes:
        clip: Its name.
        video: Its video.
        start: Index of its first frame; None when it is unknown.
        motion: Mean over frames of the true motion before them, percent of full scale; None when
            not known.
        values: By measure and method, the mean over the frames that count; None where none does.
    """

    clip: str
    video: str
    start: int | None
    motion: float | None
    values: dict[str, dict[str, float | None]]


class Extreme(TypedDict):
    """A clip on which a method did well or badly.

    Attributes:
        method: Which method.
        end: "best" or "worst".
        place: 1 for the very best or worst.
        clip: The clip's name.
        by: What was looked at: "gain" over the baseline, or the plain "value".
        amount: That gain (positive is better) or value, over the frames that count for this method
            and the baseline.
        frames: Indices of these frames.
        scores: By measure and method, the mean over the same frames, also where the other methods
            are skipped.
    """

    method: str
    end: Literal["best", "worst"]
    place: int
    clip: str
    by: Literal["gain", "value"]
    amount: float
    frames: list[int]
    scores: dict[str, dict[str, float | None]]


def clip_points(
    results: Mapping[str, Result],
    values: Mapping[str, Mapping[str, Mapping[str, Sequence[float | None]]]],
) -> list[ClipPoint]:
    """Average each common clip over its frames.

    Args:
        results: By method.
        values: By measure, method and clip, the scores that count.

    Returns:
        A point for each clip, sorted by name.
    """
    first = next(iter(results.values()))
    common = next(iter(next(iter(values.values())).values()))
    return [
        {
            "clip": row["clip"],
            "video": row["video"],
            "start": row["start"],
            "motion": _mean(row["motion"]),
            "values": {
                key: {name: _mean(own[row["clip"]]) for name, own in by_method.items()}
                for key, by_method in values.items()
            },
        }
        for row in sorted(first["rows"], key=lambda row: row["clip"])
        if row["clip"] in common
    ]


def extremes(
    results: Mapping[str, Result],
    points: Sequence[ClipPoint],
    *,
    measure: str,
    skip: SkipRule | None,
    baseline: str | None,
) -> list[Extreme]:
    """Find the clips at both ends, by gain over the baseline where there is one.

    A frame counts when neither this method nor the baseline is skipped there; what other methods do
    does not matter, so that an evaluation of one method finds the same clips.

    Args:
        results: By method, in the order of the answer.
        points: All common clips.
        measure: Key of the measure.
        skip: The protocol's rule.
        baseline: The method that gains are measured against.

    Returns:
        For each method, the best clips, then the worst; never one clip at both ends. Baselines are
        looked at only when there is nothing else.
    """
    others = [name for name in results if name != baseline]
    models = [name for name in others if results[name]["method"]["kind"] != "baseline"]
    sign = 1.0 if describe_measure(measure)["higher_is_better"] else -1.0
    found: list[Extreme] = []
    for name in models or others or list(results):
        against = baseline if name != baseline else None
        pair = {key: results[key] for key in (name, against) if key is not None}
        values = common_values(pair, measure, skip)
        amounts: list[tuple[float, str]] = []  # the better, the larger
        for point in points:
            value = _mean(values[name][point["clip"]])
            other = _mean(values[against][point["clip"]]) if against else 0.0
            if value is not None and other is not None:
                amounts.append((sign * (value - other), point["clip"]))
        ordered = sorted(amounts, key=lambda pair: (-pair[0], pair[1]))
        num_best = min(NUM_EXTREMES, (len(ordered) + 1) // 2)
        num_worst = min(NUM_EXTREMES, len(ordered) // 2)
        ends: tuple[tuple[Literal["best", "worst"], list[tuple[float, str]]], ...] = (
            ("best", ordered[:num_best]),
            ("worst", ordered[::-1][:num_worst]),
        )
        for end, pairs in ends:
            for place, (amount, clip) in enumerate(pairs, start=1):
                frames = [t for t, v in enumerate(values[name][clip]) if v is not None]
                found.append(
                    {
                        "method": name,
                        "end": end,
                        "place": place,
                        "clip": clip,
                        "by": "gain" if against else "value",
                        "amount": amount if against else sign * amount,
                        "frames": frames,
                        "scores": _scores(results, clip, frames, points[0]["values"]),
                    }
                )
    return found


def _scores(
    results: Mapping[str, Result], clip: str, frames: Sequence[int], measures: Iterable[str]
) -> dict[str, dict[str, float | None]]:
    rows = {
        name: next(row for row in result["rows"] if row["clip"] == clip)
        for name, result in results.items()
    }
    return {
        key: {
            name: _mean([row["values"][key][frame] for frame in frames])
            for name, row in rows.items()
        }
        for key in measures
    }


def _mean(frames: Sequence[float | None]) -> float | None:
    known = [value for value in frames if value is not None]
    return sum(known) / len(known) if known else None
