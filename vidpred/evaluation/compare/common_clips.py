"""Which clips count for every method, measure by measure and frame by frame."""

from collections.abc import Mapping
from typing import Any, TypedDict

from vidpred.errors import ResultError
from vidpred.evaluation.measures import LIKELIHOOD_METRICS, higher_is_better
from vidpred.evaluation.results.result import ClipRow, Result
from vidpred.evaluation.results.skipping import SkipRule, counted
from vidpred.metrics.registry import metric_info


class MeasureInfo(TypedDict):
    """What a measure's key says.

    Attributes:
        metric: Such as "psnr".
        variant: By which convention.
        area: "whole" or "moving".
        higher_is_better: False for distances.
        unit: Such as "dB"; "" for none.
    """

    metric: str
    variant: str
    area: str
    higher_is_better: bool
    unit: str


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
        "higher_is_better": higher_is_better(key),
        "unit": metric_info(metric).unit,
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


def skip_of(protocol: Mapping[str, Any]) -> SkipRule | None:
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
    results: Mapping[str, Result], key: str, skip: SkipRule | None
) -> dict[str, dict[str, list[float | None]]]:
    """Give the scores that count for every method.

    Args:
        results: By method.
        key: Of the measure.
        skip: The protocol's rule; it applies to measures of its area.

    Returns:
        By method and clip (sorted, those that all methods have), T scores; None where the clip does
        not count at that frame, for all methods alike, and everywhere for methods that are
        `lacking`, which decide nothing.

    Raises:
        ResultError: When results differ in the number of frames.
    """
    rows = {name: {row["clip"]: row for row in r["rows"]} for name, r in results.items()}
    clips = sorted(set.intersection(*(set(own) for own in rows.values())))
    values: dict[str, dict[str, list[float | None]]] = {name: {} for name in results}
    without = lacking(results, key)
    scored = [own for name, own in rows.items() if name not in without] or list(rows.values())
    for clip in clips:
        counts = [_counts(own[clip], key, skip) for own in scored]
        if len({len(own) for own in counts}) != 1:
            raise ResultError(
                f"clip {clip} has {sorted({len(own) for own in counts})} predicted frames in these "
                "results; expected as many in each; score again"
            )
        for_all = [all(frame) for frame in zip(*counts, strict=True)]
        for name, own in rows.items():
            scores: list[float | None] = (
                [None] * len(for_all) if name in without else own[clip]["values"][key]
            )
            values[name][clip] = [s if c else None for s, c in zip(scores, for_all, strict=True)]
    return values


def lacking(results: Mapping[str, Result], key: str) -> list[str]:
    """Name the methods that have no likelihood, when that is what a measure is made of.

    Args:
        results: By method.
        key: Of the measure.

    Returns:
        Names; none for measures of frames, which all methods have.
    """
    if describe_measure(key)["metric"] not in LIKELIHOOD_METRICS:
        return []
    return [
        name
        for name, result in results.items()
        if all(value is None for row in result["rows"] for value in row["values"].get(key, []))
    ]


def _counts(row: ClipRow, key: str, skip: SkipRule | None) -> list[bool]:
    if key not in row["values"]:
        raise ResultError(f"clip {row['clip']} has no scores by {key}; score again")
    return [score is not None for score in counted(row, key, skip)]


def _key(measure: Any) -> str:
    """Name a protocol's measure: the key itself, or a mapping with the defaults of `Measure`."""
    if isinstance(measure, str):
        return measure
    return ".".join(
        (measure["metric"], measure.get("variant", "standard"), measure.get("area", "whole"))
    )
