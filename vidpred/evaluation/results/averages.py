"""From scores of clips to a score of a method, the same whatever the order of the clips."""

import math
from collections.abc import Iterable, Sequence

from vidpred.evaluation.protocol import Skip
from vidpred.evaluation.results.result import ClipRow, Summary
from vidpred.evaluation.results.skipping import counted, rule_of
from vidpred.evaluation.samples import REDUCTIONS


def summarize(
    rows: Iterable[ClipRow], *, keys: Iterable[str], skip: Skip | None, horizon: int
) -> dict[str, Summary]:
    """Average each measure over clips as a protocol says.

    Args:
        rows: Scores of clips.
        keys: Measures of the protocol.
        skip: What it leaves out.
        horizon: Frames of a prediction.

    Returns:
        By measure key, those besides the protocol's included.
    """
    ordered = sorted(rows, key=lambda row: row["clip"])
    measured = dict.fromkeys(key for row in ordered for key in row["values"])
    summaries = {}
    for key in dict.fromkeys([*keys, *measured]):
        clips = [counted(row, key, rule_of(skip)) for row in ordered]
        frames = range(horizon)
        summaries[key] = average([[clip[frame] for clip in clips] for frame in frames])
    return summaries


def summarize_samples(
    rows: Sequence[ClipRow], *, keys: Iterable[str], skip: Skip | None, horizon: int
) -> dict[str, dict[str, Summary]]:
    """Average each reduction of several futures as `summarize` does; the skip decides for each.

    Args:
        rows: Scores of clips, all with `samples`.
        keys: Measures of the protocol.
        skip: What it leaves out.
        horizon: Frames of a prediction.

    Returns:
        By reduction and measure key; measures that are no matter of futures are left out.
    """
    keys = list(keys)
    found: dict[str, dict[str, Summary]] = {}
    for reduction in REDUCTIONS:
        reduced = [reduced_to(row, reduction) for row in rows]
        sampled = {key for row in rows for key in row["samples"]["values"][reduction]}
        summaries = summarize(reduced, keys=keys, skip=skip, horizon=horizon)
        found[reduction] = {key: s for key, s in summaries.items() if key in sampled}
    return found


def reduced_to(row: ClipRow, reduction: str) -> ClipRow:
    """Give a row whose values are those of another reduction of its futures."""
    return {**row, "values": row["values"] | row["samples"]["values"][reduction]}


def average(by_frame: Sequence[Sequence[float | None]]) -> Summary:
    """Average one measure.

    Args:
        by_frame: For each predicted frame, the clips' scores; None where one does not count.
    """
    known = [[value for value in values if value is not None] for values in by_frame]
    per_frame = [mean(values) for values in known]
    whole = [value for value in per_frame if value is not None]
    return {
        "mean": mean(whole) if len(whole) == len(per_frame) else None,
        "per_frame": per_frame,
        "clips": [len(values) for values in known],
    }


def mean(values: Sequence[float]) -> float | None:
    """Give the mean, exact to the last digit in any order; None of nothing."""
    return math.fsum(values) / len(values) if values else None
