"""Clips with near-duplicate frames, on their own: there, methods differ for another reason.

Where a conversion of the frame rate repeated frames, to predict well is to guess whether the next
frame repeats the last one. A method may be ahead by that alone.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

from vidpred.evaluation.compare.measure_table import MeasureTable
from vidpred.evaluation.results.result import Result

Values = Mapping[str, Mapping[str, list[float | None]]]


class Stratum(TypedDict):
    """All methods on some of the clips.

    Attributes:
        near_duplicates: Whether these are the clips with near-duplicate frames, or those without.
        clips: How many there are, also where some do not count.
        table: By the measure that ranks.
    """

    near_duplicates: bool
    clips: int
    table: MeasureTable


def strata(
    results: Mapping[str, Result], values: Values, table: Callable[[Values], MeasureTable]
) -> list[Stratum]:
    """Split the common clips by whether their frames hold near duplicates.

    Args:
        results: By method; those of version 0.1 do not say it, so that one newer result decides.
        values: By method and clip, the scores that count.
        table: Makes the table of some of the clips.

    Returns:
        The clips with near duplicates, then those without; nothing when no result says which these
        are, or there are none of either kind.
    """
    held = holds_near_duplicates(results)
    found: list[Stratum] = []
    for wanted in (True, False):
        clips = [clip for clip in next(iter(values.values())) if held.get(clip) is wanted]
        if not clips:
            return []
        own = {name: {clip: scores[clip] for clip in clips} for name, scores in values.items()}
        found.append({"near_duplicates": wanted, "clips": len(clips), "table": table(own)})
    return found


def holds_near_duplicates(results: Mapping[str, Result]) -> dict[str, bool]:
    """Say of each clip of which a result knows it whether its frames hold near duplicates."""
    found: dict[str, bool] = {}
    for result in results.values():
        for row in result["rows"]:
            frames = row.get("near_duplicates")
            if frames is not None:
                found.setdefault(row["clip"], bool(frames))
    return found


def stratum_name(stratum: Stratum) -> str:
    """Name a stratum, such as "26 clips with near duplicates"."""
    side = "with" if stratum["near_duplicates"] else "without"
    count = stratum["clips"]
    return f"{count} {'clip' if count == 1 else 'clips'} {side} near duplicates"


def about_strata(found: Sequence[Stratum]) -> str:
    """Say what near duplicates are, and how many clips hold some."""
    count, total = found[0]["clips"], sum(stratum["clips"] for stratum in found)
    return (
        f"{count} of {total} clips hold near-duplicate frames (mean absolute luma difference from "
        "the frame before below 0.05 gray levels or 15 % of the clip's median), as conversions of "
        "the frame rate leave them."
    )
