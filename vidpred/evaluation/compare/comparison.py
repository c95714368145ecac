"""Compare results of several methods: ranking, intervals, significance."""

from collections.abc import Mapping
from typing import Any, TypedDict

from vidpred.errors import ResultError
from vidpred.evaluation.compare.best_and_worst import ClipPoint, Extreme, clip_points, extremes
from vidpred.evaluation.compare.bootstrap import CONFIDENCE, RESAMPLES, SEED
from vidpred.evaluation.compare.common_clips import common_values, measures_of, skip_of
from vidpred.evaluation.compare.comparability import (
    cautions,
    check_alike,
    left_out,
    of_same_videos,
    with_scores,
)
from vidpred.evaluation.compare.measure_table import BASELINE, MeasureTable, measure_table
from vidpred.evaluation.compare.strata import Stratum, strata
from vidpred.evaluation.results.result import ClipCounts, Method, Result, Summary
from vidpred.evaluation.results.skipping import SkipRule

FORMAT = "vidpred comparison 1"


class Entrant(TypedDict):
    """One result file.

    Attributes:
        method: As in the file.
        file: Which file.
        clips: As in the file.
        mask: As in the file.
        provenance: As in the file.
        extras: As in the file: what was measured in addition to the protocol, such as FVD.
        as_coded: The file's own averages, by measure: over its own clips, its skip decided for it
            alone.
    """

    method: Method
    file: str
    clips: ClipCounts
    mask: dict[str, Any]
    provenance: dict[str, Any]
    extras: dict[str, Any]
    as_coded: dict[str, Summary]


class Comparison(TypedDict):
    """Everything that tables and reports show, as plain data.

    Attributes:
        format: `FORMAT`.
        protocol: The protocol of all results.
        protocol_digest: Its digest.
        measure: Key of the measure that ranks.
        baseline: `BASELINE` when it is among the methods.
        skip: The rule by which clips are left out; None when there is none.
        bootstrap: Confidence, draws and seed of the intervals.
        warnings: What a reader has to know, as sentences.
        entrants: By method, in the order of the ranking.
        measures: By key, in the protocol's order.
        strata: Clips with near-duplicate frames and clips without, by the measure that ranks; empty
            where that is not known, or all clips are of one kind.
        points: One for each clip that all methods have.
        extremes: Best and worst clips of each method.
    """

    format: str
    protocol: dict[str, Any]
    protocol_digest: str
    measure: str
    baseline: str | None
    skip: SkipRule | None
    bootstrap: dict[str, float]
    warnings: list[str]
    entrants: dict[str, Entrant]
    measures: dict[str, MeasureTable]
    strata: list[Stratum]
    points: list[ClipPoint]
    extremes: list[Extreme]


def compare(
    results: Mapping[str, Result], *, measure: str | None = None, resamples: int = RESAMPLES
) -> Comparison:
    """Compare methods on the clips that count for all of them.

    A clip counts for a measure and a frame when every method has a score there and the protocol's
    skip (by Mathieu et al.: 50 dB and more, decided for each method) leaves it to every method.
    Nothing depends on the order of results or clips.

    Args:
        results: By file name, which messages use.
        measure: Key of the measure that ranks; the protocol's first by default.
        resamples: Draws of the bootstrap.

    Returns:
        The comparison.

    Raises:
        ResultError: When the results cannot be compared: other protocols, one name twice, no common
            clip; or the measure is not among theirs.
    """
    check_alike(results)
    given, results = results, with_scores(results)
    # Sorted, so that sums and ties do not depend on the order of the command line.
    named = {r["method"]["name"]: (file, r) for file, r in results.items()}
    files = {name: named[name][0] for name in sorted(named)}
    own, apart = of_same_videos({name: named[name][1] for name in sorted(named)})
    protocol = next(iter(own.values()))["protocol"]
    keys = measures_of(protocol, own)
    chosen = _chosen_measure(measure, keys)
    videos = {row["clip"]: row["video"] for result in own.values() for row in result["rows"]}
    skip = skip_of(protocol)

    values = {key: common_values(own, key, skip) for key in keys}
    if not next(iter(values.values()))[next(iter(own))]:
        why = "compare results that were scored on the same clips"
        if apart:
            why = f"clips of the same names show other videos, such as {min(apart)}; {why}"
        raise ResultError(f"no clip is common to {', '.join(own)}; {why}")
    tables = {key: measure_table(key, own, values[key], videos, resamples) for key in keys}
    ranking, ranked = tables[chosen]["ranking"], tables[chosen]["videos"]
    baseline = BASELINE if _is_baseline(own) else None
    points = clip_points(own, values)
    return {
        "format": FORMAT,
        "protocol": protocol,
        "protocol_digest": next(iter(own.values()))["protocol_digest"],
        "measure": chosen,
        "baseline": baseline,
        "skip": skip,
        "bootstrap": {"confidence": CONFIDENCE, "draws": resamples, "seed": SEED},
        "warnings": [
            *left_out(given),
            *cautions(results, apart, ranked),
            *_gaps(own, points, tables[chosen]),
        ],
        "entrants": {
            name: {
                "method": own[name]["method"],
                "file": files[name],
                "clips": own[name]["clips"],
                "mask": own[name]["mask"],
                "provenance": own[name]["provenance"],
                "extras": own[name]["extras"],
                "as_coded": own[name]["summary"],
            }
            for name in ranking
        },
        "measures": tables,
        "strata": strata(
            own, values[chosen], lambda part: measure_table(chosen, own, part, videos, resamples)
        ),
        "points": points,
        "extremes": extremes(
            {name: own[name] for name in ranking},
            points,
            measure=chosen,
            skip=skip,
            baseline=baseline,
        ),
    }


def _chosen_measure(measure: str | None, keys: list[str]) -> str:
    if measure is None:
        return keys[0]
    if measure not in keys:
        raise ResultError(
            f"measure {measure!r} is not in all of these results; choose one of {', '.join(keys)}"
        )
    return measure


def _is_baseline(results: Mapping[str, Result]) -> bool:
    return BASELINE in results and results[BASELINE]["method"]["kind"] == "baseline"


def _gaps(results: Mapping[str, Result], points: list[ClipPoint], table: MeasureTable) -> list[str]:
    """Say when methods were scored on different clips, or few are left to rank."""
    sentences = []
    rows = {name: len(result["rows"]) for name, result in results.items()}
    if any(count != len(points) for count in rows.values()):
        said = ", ".join(f"{name} {count}" for name, count in rows.items())
        sentences.append(
            f"Methods were scored on different clips ({said}); the {len(points)} common ones rank."
        )
    if table["videos"] == 0:
        sentences.append("No clip counts for the measure that ranks, so nothing is ranked.")
    elif table["videos"] == 1:
        sentences.append("One video cannot show how sure a mean is: there are no intervals.")
    return sentences
