"""From scores of clips to a score of a method, the same whatever the order of the clips."""

import math
from collections.abc import Iterable, Sequence

from vidpred.evaluation.protocol import Protocol, Skip
from vidpred.evaluation.results import ClipRow, Summary


def summarize(rows: Iterable[ClipRow], protocol: Protocol) -> dict[str, Summary]:
    """Average each measure over clips as the protocol says.

    Args:
        rows: Scores of clips.
        protocol: What was measured, and what is skipped.

    Returns:
        By measure key, those beside the protocol included.
    """
    ordered = sorted(rows, key=lambda row: row["clip"])
    measured = dict.fromkeys(key for row in ordered for key in row["values"])
    return {
        key: _summary(
            [
                [row["values"][key][frame] for row in _counted(ordered, key, frame, protocol.skip)]
                for frame in range(protocol.clips.horizon)
            ]
        )
        for key in dict.fromkeys([*(measure.key for measure in protocol.measures), *measured])
    }


def _counted(rows: Sequence[ClipRow], key: str, frame: int, skip: Skip | None) -> Iterable[ClipRow]:
    """Leave out what the protocol skips; it skips in the area of its measure."""
    for row in rows:
        if key not in row["values"] or row["values"][key][frame] is None:
            continue
        if skip is not None and key.endswith(f".{skip.measure.area}"):
            deciding = row["values"][skip.measure.key][frame]
            if deciding is None or deciding >= skip.at_least:
                continue
        yield row


def _summary(by_frame: Sequence[Sequence[float | None]]) -> Summary:
    per_frame = [mean([value for value in values if value is not None]) for values in by_frame]
    known = [value for value in per_frame if value is not None]
    return {
        "mean": mean(known) if len(known) == len(per_frame) else None,
        "per_frame": per_frame,
        "clips": [len(values) for values in by_frame],
    }


def mean(values: Sequence[float]) -> float | None:
    """Give the mean, exact to the last digit in any order; None of nothing."""
    return math.fsum(values) / len(values) if values else None
