"""Which clips count for every method, measure by measure and frame by frame."""

from collections.abc import Mapping
from typing import Any, TypedDict

from vidpred.errors import ResultError
from vidpred.evaluation.results.result import ClipRow, Result

LOWER_IS_BETTER = frozenset({"lpips", "fvd"})
_IN_DECIBELS = frozenset({"psnr", "sharpness"})


class MeasureInfo(TypedDict):
    """What a measure's key says.

    Attributes:
        metric: Such as "psnr".
        variant: By which convention.
        area: "whole" or "moving".
        higher_is_better: False for distances.
        unit: "dB" or "".
    """

    metric: str
    variant: str
    area: str
    higher_is_better: bool
    unit: str


class Skip(TypedDict):
    """Which clips the protocol leaves out, by method and frame.

    Attributes:
        measure: Key of the measure that decides.
        area: Its area; all measures of this area leave the clip out.
        at_least: Scores from here on are left out, and missing ones too.
    """

    measure: str
    area: str
    at_least: float


def describe_measure(key: str) -> MeasureInfo:
    """Take a key such as "psnr.mathieu_code.moving" apart.

    Raises:
        ResultError: When it has another form.
    """
    metric, _, rest = key.partition(".")
    variant, _, area = rest.rpartition(".")
    if not (metric and variant and area):
        raise ResultError(f"measure {key!r}; expected metric.variant.area; score again")
    return {
        "metric": metric,
        "variant": variant,
        "area": area,
        "higher_is_better": metric not in LOWER_IS_BETTER,
        "unit": "dB" if metric in _IN_DECIBELS else "",
    }


def measures_of(protocol: Mapping[str, Any], results: Mapping[str, Result]) -> list[str]:
    """List the keys that all results have, the protocol's first, in its order.

    Raises:
        ResultError: When there is none.
    """
    shared = set.intersection(*(set(result["summary"]) for result in results.values()))
    listed = [_key(measure) for measure in protocol.get("measures") or []]
    keys = [key for key in dict.fromkeys(listed) if key in shared]
    keys += sorted(shared - set(keys))
    if not keys:
        raise ResultError("these results have no measure in common; score again with one protocol")
    return keys


def skip_of(protocol: Mapping[str, Any]) -> Skip | None:
    """Read the protocol's skip."""
    rule = protocol.get("skip")
    if not rule:
        return None
    key = _key(rule["measure"])
    return {
        "measure": key,
        "area": describe_measure(key)["area"],
        "at_least": float(rule["at_least"]),
    }


def common_values(
    results: Mapping[str, Result], key: str, skip: Skip | None
) -> dict[str, dict[str, list[float | None]]]:
    """Give the scores that count for every method.

    Args:
        results: By method.
        key: Of the measure.
        skip: The protocol's rule; it applies to measures of its area.

    Returns:
        By method and clip (sorted, those that all methods have), T scores; None where the clip does
        not count at that frame, for all methods alike.

    Raises:
        ResultError: When results differ in the number of frames.
    """
    rows = {name: {row["clip"]: row for row in r["rows"]} for name, r in results.items()}
    clips = sorted(set.intersection(*(set(own) for own in rows.values())))
    applies = skip is not None and skip["area"] == describe_measure(key)["area"]
    values: dict[str, dict[str, list[float | None]]] = {name: {} for name in results}
    for clip in clips:
        counts = [_counts(own[clip], key, skip if applies else None) for own in rows.values()]
        if len({len(own) for own in counts}) != 1:
            raise ResultError(
                f"clip {clip} has {sorted({len(own) for own in counts})} predicted frames in these "
                "results; expected as many in each; score again"
            )
        for_all = [all(frame) for frame in zip(*counts, strict=True)]
        for name, own in rows.items():
            scores = own[clip]["values"][key]
            values[name][clip] = [s if c else None for s, c in zip(scores, for_all, strict=True)]
    return values


def _counts(row: ClipRow, key: str, skip: Skip | None) -> list[bool]:
    scores = row["values"].get(key)
    if scores is None:
        raise ResultError(f"clip {row['clip']} has no scores by {key}; score again")
    counts = [score is not None for score in scores]
    if skip is None:
        return counts
    decides = row["values"][skip["measure"]]
    return [
        counted and value is not None and value < skip["at_least"]
        for counted, value in zip(counts, decides, strict=True)
    ]


def _key(measure: Any) -> str:
    """Name a protocol's measure: the key itself, or a mapping with the defaults of `Measure`."""
    if isinstance(measure, str):
        return measure
    return ".".join(
        (measure["metric"], measure.get("variant", "standard"), measure.get("area", "whole"))
    )
