"""The one rule of skipped clips: which scores of a clip count."""

from typing import TypedDict

from vidpred.evaluation.protocol import Skip
from vidpred.evaluation.results.result import ClipRow


class SkipRule(TypedDict):
    """A protocol's `Skip` in plain values: clips are left out by method and frame.

    Attributes:
        measure: Key of the measure that decides.
        area: Its area; all measures of this area leave the clip out.
        at_least: Scores from here on are left out, and missing ones too.
    """

    measure: str
    area: str
    at_least: float


def rule_of(skip: Skip | None) -> SkipRule | None:
    """Give the rule of a protocol; None when it leaves nothing out."""
    if skip is None:
        return None
    return {"measure": skip.measure.key, "area": skip.measure.area, "at_least": skip.at_least}


def counted(row: ClipRow, key: str, rule: SkipRule | None) -> list[float | None]:
    """Give a clip's scores by frame; None where it does not count.

    Args:
        row: Scores of the clip.
        key: Of the measure; one that the row does not have counts nowhere.
        rule: Leaves the clip out in the area of its measure.
    """
    scores = row["values"].get(key) or [None] * len(row["motion"])
    if rule is None or not key.endswith(f".{rule['area']}"):
        return scores
    deciding = row["values"][rule["measure"]]
    return [
        None if other is None or other >= rule["at_least"] else score
        for score, other in zip(scores, deciding, strict=True)
    ]
