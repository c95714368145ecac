"""Scores that a file carries: what `vidpred test` measured, each with its protocol."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from vidpred.errors import ExportError
from vidpred.evaluation.compare.common_clips import common_values, measures_of, skip_of
from vidpred.evaluation.compare.comparability import of_same_videos
from vidpred.evaluation.results.averages import average
from vidpred.evaluation.results.result import ClipCounts, Result, Summary
from vidpred.files import file_sha256
from vidpred.models import BASELINES
from vidpred.storage import SavedPredictor

THIS = "this"
"""Name of the predictor among the columns of its own card."""

_COUNTS = (
    *("videos_expected", "videos_listed", "videos_scored", "clips_listed", "clips_scored"),
    *("list_digest", "scored_digest"),
)


class Score(TypedDict):
    """What one protocol measured.

    Attributes:
        protocol: The whole protocol as plain values.
        protocol_digest: SHA-256 of what decides numbers in it.
        clips: How much of the clip list was measured; see `ClipCounts`, without names.
        summary: Of the predictor, by measure key.
        baselines: By name, the summaries of those that were measured on the same clips.
        common: The same of the predictor (`THIS`) and of the baselines, averaged over the clips
            that the protocol's skip leaves to all of them: these compare, where `summary` and
            `baselines` may be of different clips. Absent in files of version 0.1.
        measured: Date, device, versions and commit of the measurement.
    """

    protocol: dict[str, Any]
    protocol_digest: str
    clips: dict[str, int | str | None]
    summary: dict[str, Summary]
    baselines: dict[str, dict[str, Summary]]
    measured: dict[str, Any]
    common: NotRequired[dict[str, dict[str, Summary]]]


def scores_of(saved: SavedPredictor, results: Mapping[str, Result]) -> list[Score]:
    """Give what result files say of a predictor; results of others are left out.

    Args:
        saved: The predictor; its file is the one that was tested.
        results: By path; see `vidpred.evaluation.results.gathering.read_results`.

    Raises:
        ExportError: When none of them is of this file, or two are of one protocol and clip list.
    """
    digest = file_sha256(saved.path)
    found: dict[tuple[str, str], Score] = {}
    for path, result in results.items():
        if result["method"]["details"].get("sha256") != digest:
            continue
        key = _of_what(result)
        if key in found:
            raise ExportError(
                f"{path}: another result says what {saved.path} scores under "
                f"{result['protocol']['name']}; give one of them"
            )
        others = {
            other["method"]["name"]: other
            for other in results.values()
            if other["method"]["name"] in BASELINES and _of_what(other) == key
        }
        found[key] = {
            "protocol": result["protocol"],
            "protocol_digest": result["protocol_digest"],
            "clips": _counts(result["clips"]),
            "summary": result["summary"],
            "baselines": {name: other["summary"] for name, other in others.items()},
            "measured": result["provenance"],
            "common": _on_common_clips({THIS: result, **others}),
        }
    if results and not found:
        named = ", ".join(sorted(Path(path).name for path in results))
        raise ExportError(
            f"--results: none of them ({named}) is of {saved.path}, by its SHA-256; expected what "
            "`vidpred test` wrote for this very file"
        )
    return list(found.values())


def _on_common_clips(results: Mapping[str, Result]) -> dict[str, dict[str, Summary]]:
    """Average each measure over the clips that count for all methods; by method and measure."""
    results, _ = of_same_videos(results)
    protocol = next(iter(results.values()))["protocol"]
    found: dict[str, dict[str, Summary]] = {name: {} for name in results}
    for key in measures_of(protocol, results):
        for name, clips in common_values(results, key, skip_of(protocol)).items():
            horizon = protocol["clips"]["horizon"]
            by_frame = [[scores[t] for scores in clips.values()] for t in range(horizon)]
            found[name][key] = average(by_frame)
    return found


def drawn_futures(saved: SavedPredictor, score: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give the protocol's `samples` where a score is of drawn futures; None where it is not."""
    stochastic = (saved.frames or {}).get("stochastic")
    samples: dict[str, Any] | None = score["protocol"].get("samples")
    return samples if stochastic else None


def merged(old: list[dict[str, Any]], new: list[Score]) -> list[dict[str, Any]]:
    """Keep scores that a file carried where nothing newer is said of their protocol and clips."""

    def key(score: Mapping[str, Any]) -> tuple[str, str]:
        return score["protocol_digest"], score["clips"]["scored_digest"]

    fresh = {key(score) for score in new}
    return [*(score for score in old if key(score) not in fresh), *map(dict, new)]


def _of_what(result: Result) -> tuple[str, str]:
    return result["protocol_digest"], result["clips"]["scored_digest"]


def _counts(clips: ClipCounts) -> dict[str, int | str | None]:
    return {name: clips[name] for name in _COUNTS}  # type: ignore[literal-required]  # names above
