"""Mean, best and worst of several futures, averaged over the clips that count for all methods."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from vidpred.evaluation.results.averages import mean
from vidpred.evaluation.results.result import Result
from vidpred.evaluation.samples import REDUCTIONS

REDUCTION_NAMES = {"mean": "mean", "best_of_k": "best", "worst_of_k": "worst"}


class SampledScore(TypedDict):
    """One method by one measure, by each reduction of its futures.

    Attributes:
        count: Futures of a clip that were scored: K, or 1 of a method that has one.
        mean: Mean over frames of the mean over clips; None when one of them is None.
        best_of_k: The same of the best future of each clip.
        worst_of_k: The same of the worst one.
        per_frame: By reduction, the mean over clips at each frame.
    """

    count: int
    mean: float | None
    best_of_k: float | None
    worst_of_k: float | None
    per_frame: dict[str, list[float | None]]


def sampled_scores(
    results: Mapping[str, Result],
    key: str,
    values: Mapping[str, Mapping[str, Sequence[float | None]]],
) -> dict[str, SampledScore]:
    """Average each reduction over the clips and frames that count for the one that ranks.

    Args:
        results: By method, of one protocol.
        key: Of the measure.
        values: By method and clip, the scores that count; see `common_values`.

    Returns:
        By method; empty without `samples` in the protocol, or for a measure that is no matter of
        futures, such as a likelihood.
    """
    found: dict[str, SampledScore] = {}
    for name, result in results.items():
        rows = {row["clip"]: row for row in result["rows"] if "samples" in row}
        clips = [clip for clip in values[name] if clip in rows]
        if not clips or key not in rows[clips[0]]["samples"]["values"][REDUCTIONS[0]]:
            continue
        horizon = len(values[name][clips[0]])
        means: dict[str, float | None] = {}
        curves: dict[str, list[float | None]] = {}
        for reduction in REDUCTIONS:
            per_frame = [
                mean(
                    [
                        score
                        for clip in clips
                        if values[name][clip][t] is not None
                        and (score := rows[clip]["samples"]["values"][reduction][key][t])
                        is not None
                    ]
                )
                for t in range(horizon)
            ]
            curves[reduction] = per_frame
            known = [value for value in per_frame if value is not None]
            means[reduction] = mean(known) if len(known) == horizon else None
        found[name] = {
            "count": max(rows[clip]["samples"]["count"] for clip in clips),
            "mean": means["mean"],
            "best_of_k": means["best_of_k"],
            "worst_of_k": means["worst_of_k"],
            "per_frame": curves,
        }
    return found


def samples_in_words(samples: Mapping[str, Any]) -> str:
    """Say how futures are drawn and which of them counts.

    Args:
        samples: The protocol's field.

    Returns:
        A sentence, such as "10 futures of each clip (seed 0); the best one counts, chosen by each
        measure for itself.".
    """
    by = samples.get("by")
    if samples["reduce"] == "mean":
        counts = "their mean score counts"
    else:
        chosen = "each measure for itself" if by is None else by["metric"].replace("_", " ").upper()
        end = REDUCTION_NAMES[samples["reduce"]]
        counts = f"the {end} one counts, chosen by {chosen} over all frames"
    return f"{samples['count']} futures of each clip (seed {samples['seed']}); {counts}."
