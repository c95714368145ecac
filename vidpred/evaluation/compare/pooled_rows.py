"""The rows of the paper's table, trained alike and measured alike, in words."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from vidpred.evaluation.compare.common_clips import describe_measure
from vidpred.evaluation.compare.markdown import markdown_table
from vidpred.evaluation.compare.pooled_seeds import Estimate, KindScore, PooledMeasure, pool_seeds
from vidpred.evaluation.compare.wording import (
    area_name,
    clips_by_frame,
    interval,
    metric_name,
    number,
    variant_name,
)
from vidpred.evaluation.results.result import Result

FORMAT = "vidpred ablation 1"


class Ordering(NamedTuple):
    """What the paper's table says of two rows.

    Attributes:
        better: The row that is ahead there.
        worse: The row behind it.
        metric: In what.
        claim: In words.
    """

    better: str
    worse: str
    metric: str
    claim: str


ORDERINGS = (
    Ordering("l2", "single_scale_l2", "psnr", "several scales are better than one"),
    Ordering("l1", "l2", "sharpness", "l1 is sharper than l2"),
    Ordering("gdl_l1", "l1", "sharpness", "GDL l1 is sharper than l1"),
    Ordering("adv_gdl", "gdl_l1", "sharpness", "Adv+GDL is sharper than GDL l1"),
    Ordering("adv_gdl", "adv", "sharpness", "Adv+GDL is sharper than Adv"),
    Ordering("adv_gdl", "copy_last", "psnr", "Adv+GDL is better than copying the last frame"),
    Ordering("adv_gdl", "optical_flow", "psnr", "Adv+GDL is better than optical flow"),
)
"""Orderings of the paper's table (recalled, not verified), and what a predictor is for."""


def ablation(rows: Mapping[str, Sequence[Result]], **facts: object) -> dict[str, Any]:
    """Gather the numbers of an ablation as plain data.

    Args:
        rows: By row of the table, the results of its seeds; baselines have one.
        facts: What was done, such as batches and batch size; kept with the numbers.

    Returns:
        Format, facts, protocol with digest, pooled scores and differences by measure.

    Raises:
        ResultError: When results have no measure in common.
    """
    pairs = {(o.better, o.worse) for o in ORDERINGS if {o.better, o.worse} <= rows.keys()}
    pooled = pool_seeds(rows, sorted(pairs))
    first = next(iter(rows.values()))[0]
    return {
        "format": FORMAT,
        "facts": facts,
        "protocol": first["protocol"],
        "protocol_digest": first["protocol_digest"],
        "seeds": {row: len(results) for row, results in rows.items()},
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
    }


def ablation_markdown(content: Mapping[str, Any]) -> str:
    """Write the tables: scores by row, then the orderings that the paper's table has.

    Args:
        content: What `ablation` gave.

    Returns:
        Markdown, ending in a newline.
    """
    measures: dict[str, PooledMeasure] = content["measures"]
    leading = next(iter(measures))
    info = describe_measure(leading)
    keys = [
        key
        for key in measures
        if describe_measure(key)["area"] == info["area"]
        and describe_measure(key)["variant"] == info["variant"]
    ]
    facts = ", ".join(f"{name} {value}" for name, value in content["facts"].items())
    shown = measures[leading]
    parts = [
        f"### Ablation: {content['protocol'].get('name', '')}",
        f"{area_name(info['area'])}, {variant_name(info['variant'])} · protocol "
        f"`{content['protocol_digest'][:10]}` · {facts}",
        _scores(content, measures, keys, first=True),
        _scores(content, measures, keys, first=False),
        f"Means over seeds and videos; [95 % interval], draws of {shown['videos']} videos and of "
        f"the seeds. Every number is over the clips that count for all trainings: "
        f"{clips_by_frame(shown['clips'])}.",
        _orderings(measures, keys),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _scores(
    content: Mapping[str, Any],
    measures: Mapping[str, PooledMeasure],
    keys: Sequence[str],
    *,
    first: bool,
) -> str:
    what = "first predicted frame" if first else "all predicted frames"
    heads = [what, "seeds", *(metric_name(key) for key in keys)]
    rows = []
    for row, seeds in content["seeds"].items():
        cells = [row, str(seeds)]
        for key in keys:
            score: KindScore = measures[key]["scores"][row]
            cells.append(_cell(score["first"] if first else score, key))
        rows.append(cells)
    return markdown_table(heads, rows)


def _cell(estimate: Estimate, key: str, *, signed: bool = False) -> str:
    sure = interval(estimate["interval"], key, signed=signed)
    return f"{number(estimate['mean'], key, signed=signed)} {sure}".strip()


def _orderings(measures: Mapping[str, PooledMeasure], keys: Sequence[str]) -> str:
    rows = []
    for ordering in ORDERINGS:
        key = next((k for k in keys if describe_measure(k)["metric"] == ordering.metric), None)
        if key is None:
            continue
        differences: Mapping[Any, KindScore] = measures[key]["differences"]
        score = differences.get(f"{ordering.better} - {ordering.worse}")
        if score is None:
            continue
        rows.append(
            [
                ordering.claim,
                metric_name(key),
                _cell(score["first"], key, signed=True),
                _holds(score["first"]),
            ]
        )
    if not rows:
        return ""
    heads = ["what the paper's table says, first frame", "measure", "difference", "here"]
    return markdown_table(heads, rows)


def _holds(difference: Estimate) -> str:
    sure = difference["interval"]
    if difference["mean"] is None or sure is None:
        return "not significant"
    if sure[0] > 0:
        return "holds"
    return "does not hold" if sure[1] < 0 else "not significant"
