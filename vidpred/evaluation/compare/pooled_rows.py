"""Rows of a table that were trained alike and are measured alike: seeds pooled, in words."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass
from typing import Any, TypedDict

from vidpred.evaluation.compare.common_clips import describe_measure
from vidpred.evaluation.compare.comparability import FEW_VIDEOS
from vidpred.evaluation.compare.markdown import markdown_table
from vidpred.evaluation.compare.pooled_seeds import Estimate, KindScore, PooledMeasure, pool_seeds
from vidpred.evaluation.compare.sampled import samples_in_words
from vidpred.evaluation.compare.strata import holds_near_duplicates
from vidpred.evaluation.compare.wording import (
    area_name,
    clips_by_frame,
    interval,
    metric_name,
    number,
    variant_name,
)
from vidpred.evaluation.results.result import Result

FEW_SEEDS = 5
"""Below this many, a bootstrap over seeds is too narrow: with two or three, equal rows differ
significantly in 9 to 25 % of simulated cases."""


@dataclass(frozen=True)
class Claim:
    """What somebody says of two rows, to be held against the scores of the first frame.

    Attributes:
        better: The row that is said to be ahead.
        worse: The row behind it.
        metric: In what, such as psnr.
        claim: In words.
    """

    better: str
    worse: str
    metric: str
    claim: str


class PooledStratum(TypedDict):
    """Some of the clips, by the measure that ranks.

    Attributes:
        near_duplicates: Whether these are the clips with near-duplicate frames, or those without.
        clips: How many there are.
        scores: By row.
    """

    near_duplicates: bool
    clips: int
    scores: dict[str, KindScore]


def pooled_rows(
    rows: Mapping[str, Sequence[Result]],
    *,
    claims: Sequence[Claim] = (),
    facts: Mapping[str, object] | None = None,
    ranked: bool = True,
) -> dict[str, Any]:
    """Gather the numbers of a table as plain data.

    Args:
        rows: By row, the results of its seeds, all by one protocol; baselines have one.
        claims: To be held against the scores; those about rows that are not there are left out.
        facts: What was done, such as batches and batch size; kept with the numbers.
        ranked: Sort rows by the protocol's first measure, best first.

    Returns:
        Facts, protocol with digest, seeds by row, pooled scores and differences by measure, claims,
        and the clips with and without near-duplicate frames.

    Raises:
        ResultError: When results have no measure in common.
    """
    claims = [claim for claim in claims if {claim.better, claim.worse} <= rows.keys()]
    pooled = pool_seeds(rows, sorted({(claim.better, claim.worse) for claim in claims}))
    first = next(iter(rows.values()))[0]
    order = list(rows)
    if ranked:
        order = _best_first(pooled)
    return {
        "facts": dict(facts or {}),
        "protocol": first["protocol"],
        "protocol_digest": first["protocol_digest"],
        "seeds": {row: len(rows[row]) for row in order},
        "kinds": {row: rows[row][0]["method"]["kind"] for row in order},
        "measures": {
            key: {
                **measure,
                "differences": {
                    f"{one} - {other}": score
                    for (one, other), score in measure["differences"].items()
                },
            }
            for key, measure in pooled.items()
        },
        "claims": [asdict(claim) for claim in claims],
        "strata": _strata(rows, next(iter(pooled))),
    }


def _best_first(pooled: Mapping[str, PooledMeasure]) -> list[str]:
    key = next(iter(pooled))
    sign = -1 if describe_measure(key)["higher_is_better"] else 1
    means = {row: score["mean"] for row, score in pooled[key]["scores"].items()}
    known = {row: mean for row, mean in means.items() if mean is not None}
    return sorted(known, key=lambda row: (sign * known[row], row)) + [
        row for row in means if row not in known
    ]


def _strata(rows: Mapping[str, Sequence[Result]], key: str) -> list[PooledStratum]:
    """Pool clips with near duplicates and clips without apart; nothing when all are of one kind."""
    held = holds_near_duplicates(
        {f"{row}/{k}": result for row, results in rows.items() for k, result in enumerate(results)}
    )
    if set(held.values()) != {True, False}:
        return []
    found: list[PooledStratum] = []
    for wanted in (True, False):
        clips = {clip for clip, holds in held.items() if holds is wanted}
        part = {row: [_only(result, clips) for result in own] for row, own in rows.items()}
        pooled = pool_seeds(part, measures=[key])[key]
        found.append({"near_duplicates": wanted, "clips": len(clips), "scores": pooled["scores"]})
    return found


def _only(result: Result, clips: set[str]) -> Result:
    kept = copy(result)
    kept["rows"] = [row for row in result["rows"] if row["clip"] in clips]
    return kept


def pooled_rows_markdown(content: Mapping[str, Any], title: str) -> str:
    """Write the tables: scores by row, near duplicates apart, then what is claimed.

    Args:
        content: What `pooled_rows` gave.
        title: Before the protocol's name in the heading.

    Returns:
        Markdown, ending in a newline.
    """
    measures: dict[str, PooledMeasure] = content["measures"]
    leading = next(iter(measures))
    info = describe_measure(leading)
    keys = leading_measures(content)
    facts = [f"{name} {value}" for name, value in content["facts"].items()]
    shown = measures[leading]
    parts = [
        f"### {title}: {content['protocol'].get('name', '')}",
        f"{area_name(info['area'])}, {variant_name(info['variant'])} · protocol "
        f"`{content['protocol_digest'][:10]}`" + (f" · {', '.join(facts)}" if facts else ""),
        _scores(content, measures, keys, first=True),
        _scores(content, measures, keys, first=False),
        f"Means over seeds and videos; [95 % interval], draws of {shown['videos']} videos and of "
        f"the seeds. Every number is over the clips that count for all trainings: "
        f"{clips_by_frame(shown['clips'])}." + _narrow(content, shown["videos"]),
        _sampled(content),
        _strata_table(content, leading),
        _claims(content, measures, keys),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def leading_measures(content: Mapping[str, Any]) -> list[str]:
    """Give the keys of the area and convention of the measure that ranks."""
    measures: dict[str, PooledMeasure] = content["measures"]
    info = describe_measure(next(iter(measures)))
    return [
        key
        for key in measures
        if describe_measure(key)["area"] == info["area"]
        and describe_measure(key)["variant"] == info["variant"]
    ]


def _scores(
    content: Mapping[str, Any],
    measures: Mapping[str, PooledMeasure],
    keys: Sequence[str],
    *,
    first: bool,
) -> str:
    what = "first predicted frame" if first else "all predicted frames"
    heads = [what, "seeds", *(metric_name(key) for key in keys)]
    found: dict[str, list[Estimate]] = {}
    for row in content["seeds"]:
        scores: list[KindScore] = [measures[key]["scores"][row] for key in keys]
        found[row] = [score["first"] if first else score for score in scores]
    sign = -1 if describe_measure(keys[0])["higher_is_better"] else 1

    def place(row: str) -> tuple[bool, float]:
        mean = found[row][0]["mean"]
        return mean is None, sign * (mean or 0.0)

    rows = [
        [row, str(content["seeds"][row]), *map(_cell, found[row], keys)]
        for row in sorted(found, key=place)
    ]
    return markdown_table(heads, rows)


def _cell(estimate: Estimate, key: str, *, signed: bool = False) -> str:
    sure = interval(estimate["interval"], key, signed=signed)
    return f"{number(estimate['mean'], key, signed=signed)} {sure}".strip()


def _strata_table(content: Mapping[str, Any], key: str) -> str:
    """Show clips with and without near-duplicate frames apart, by the measure that ranks."""
    found: list[PooledStratum] = content["strata"]
    if not found:
        return ""
    heads = [f"{metric_name(key)}, all predicted frames"]
    heads += [
        f"{part['clips']} clips {'with' if part['near_duplicates'] else 'without'} near duplicates"
        for part in found
    ]
    rows = [[row, *(_cell(part["scores"][row], key) for part in found)] for row in content["seeds"]]
    return markdown_table(heads, rows)


def _claims(
    content: Mapping[str, Any], measures: Mapping[str, PooledMeasure], keys: Sequence[str]
) -> str:
    rows = []
    for claim in content["claims"]:
        key = next((k for k in keys if describe_measure(k)["metric"] == claim["metric"]), None)
        if key is None:
            continue
        differences: Mapping[Any, KindScore] = measures[key]["differences"]
        first = differences[f"{claim['better']} - {claim['worse']}"]["first"]
        holds = _holds(first, higher_is_better=describe_measure(key)["higher_is_better"])
        if 1 in (_seeds(content).get(claim[row]) for row in ("better", "worse")):
            holds = "undecided: one seed"
        rows.append([claim["claim"], metric_name(key), _cell(first, key, signed=True), holds])
    if not rows:
        return ""
    heads = ["what is claimed, first frame", "measure", "difference", "here"]
    return markdown_table(heads, rows)


def _seeds(content: Mapping[str, Any]) -> dict[str, int]:
    """Give the seeds of each row that was trained."""
    kinds = content.get("kinds", {})
    return {row: n for row, n in content["seeds"].items() if kinds.get(row) != "baseline"}


def _narrow(content: Mapping[str, Any], videos: int) -> str:
    """Say what the intervals leave out."""
    said = ""
    if 1 < videos < FEW_VIDEOS:
        said += f" Intervals from {videos} videos are too narrow."
    fewest = min(_seeds(content).values(), default=FEW_SEEDS)
    if fewest == 1:
        said += " Of rows with one seed they are over videos alone, and say nothing of other seeds."
    elif fewest < FEW_SEEDS:
        said += f" Intervals from {fewest} seeds are too narrow."
    return said


def _sampled(content: Mapping[str, Any]) -> str:
    samples = content["protocol"].get("samples")
    return "" if not samples else f"Of stochastic rows: {samples_in_words(samples)}"


def _holds(difference: Estimate, *, higher_is_better: bool) -> str:
    sure = difference["interval"]
    if difference["mean"] is None or sure is None:
        return "not significant"
    low, high = sure if higher_is_better else (-sure[1], -sure[0])
    if low > 0:
        return "holds"
    return "does not hold" if high < 0 else "not significant"
