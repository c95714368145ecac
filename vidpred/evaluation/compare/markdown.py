"""A comparison as Markdown, small enough for a README."""

import re
from collections.abc import Sequence

from vidpred.evaluation.compare.comparison import Comparison
from vidpred.evaluation.compare.sampled import samples_in_words
from vidpred.evaluation.compare.strata import about_strata, stratum_name
from vidpred.evaluation.compare.wording import (
    area_name,
    clips_by_frame,
    coverage,
    distances,
    footnotes,
    group_of,
    interval,
    metric_name,
    number,
    ruins,
    variant_name,
    verdict,
)
from vidpred.plain import counted

TIED = "≈"
"""After a score that is not significantly different from the best one."""


def markdown(comparison: Comparison) -> str:
    """Write the tables and what a reader has to know.

    Args:
        comparison: What `compare` gave.

    Returns:
        Markdown, ending in a newline: the verdict, the ranking on common clips, the scores as coded
        when the protocol skips clips, notes.
    """
    protocol, measure = comparison["protocol"], comparison["measure"]
    table = comparison["measures"][measure]
    parts = [
        f"### {_plain(str(protocol.get('name', 'results')))}",
        f"{coverage(comparison)} · {area_name(table['area'])}, {variant_name(table['variant'])} · "
        f"protocol `{comparison['protocol_digest'][:10]}`",
        " ".join(_plain(sentence) for sentence in verdict(comparison)),
        _ranking(comparison),
        _legend(comparison),
        *(_plain(note) for note in footnotes(comparison, group_of(comparison, measure))),
        *_sampled(comparison),
        *_strata(comparison),
        *(_plain(sentence) for sentence in distances(comparison)),
    ]
    if comparison["skip"]:
        parts.append(_as_coded(comparison))
    warnings = ruins(comparison) + comparison["warnings"]
    if warnings:
        parts.append("\n".join(f"- {_plain(warning)}" for warning in warnings))
    return "\n\n".join(parts) + "\n"


def _ranking(comparison: Comparison) -> str:
    keys = group_of(comparison, comparison["measure"])
    # The measure that ranks comes first.
    keys.sort(key=lambda key: key != comparison["measure"])
    measures, first = comparison["measures"], comparison["measure"]
    heads = ["", "method", *(_head(comparison, key) for key in keys)]
    if comparison["baseline"]:
        heads.append(f"gain over copy last, {metric_name(first)}")
    rows = []
    for rank, name in enumerate(measures[first]["ranking"], start=1):
        cells = [str(rank), _plain(name)]
        for key in keys:
            score = measures[key]["scores"][name]
            text = number(score["mean"], key)
            if score["mean"] is not None and name == measures[key]["ranking"][0]:
                text = f"**{text}**"
            elif score["as_good_as_best"]:
                text += f" {TIED}"
            cells.append(f"{text} {interval(score['interval'], key)}".strip())
        if comparison["baseline"]:
            score = measures[first]["scores"][name]
            sure = interval(score["gain_interval"], first, signed=True)
            cells.append(f"{number(score['gain'], first, signed=True)} {sure}".strip())
        rows.append(cells)
    return markdown_table(heads, rows)


def _legend(comparison: Comparison) -> str:
    table = comparison["measures"][comparison["measure"]]
    sure = comparison["bootstrap"]
    intervals = (
        f"[95 % interval], {sure['draws']:,.0f} paired bootstrap draws of {table['videos']} "
        f"videos; **best**; {TIED} not significantly different from the best"
        if any(score["interval"] for score in table["scores"].values())
        else "**best**"
    )
    return (
        f"Mean over {counted(len(table['clips']), 'predicted frame')}; {intervals}. Ranked on what "
        f"counts for all: {clips_by_frame(table['clips'])}."
    )


def _sampled(comparison: Comparison) -> list[str]:
    """Show worst, mean and best of several futures."""
    samples = comparison["protocol"].get("samples")
    if not samples:
        return []
    measures = comparison["measures"]
    keys = [
        key
        for key in group_of(comparison, comparison["measure"])
        if any(score["samples"] for score in measures[key]["scores"].values())
    ]
    rows = []
    for name in comparison["entrants"]:
        found = [measures[key]["scores"][name]["samples"] for key in keys]
        cells = [
            "\N{EN DASH}"
            if score is None
            else " / ".join(
                number(value, key)
                for value in (score["worst_of_k"], score["mean"], score["best_of_k"])
            )
            for score, key in zip(found, keys, strict=True)
        ]
        count = next((str(score["count"]) for score in found if score), "\N{EN DASH}")
        rows.append([_plain(name), count, *cells])
    heads = ["worst / mean / best", "K", *(_head(comparison, key) for key in keys)]
    return [
        f"Protocol: {samples_in_words(samples)} Scores of different K do not compare: the best of "
        "more futures is better.",
        markdown_table(heads, rows),
    ]


def _strata(comparison: Comparison) -> list[str]:
    """Show clips with and without near-duplicate frames apart, by the measure that ranks."""
    found, key = comparison["strata"], comparison["measure"]
    if not found:
        return []
    heads = [_head(comparison, key)]
    for stratum in found:
        heads.append(stratum_name(stratum))
        heads += ["gain over copy last"] if comparison["baseline"] else []
    rows = []
    for name in comparison["entrants"]:
        cells = [_plain(name)]
        for stratum in found:
            score = stratum["table"]["scores"][name]
            cells.append(f"{number(score['mean'], key)} {interval(score['interval'], key)}".strip())
            if comparison["baseline"]:
                sure = interval(score["gain_interval"], key, signed=True)
                cells.append(f"{number(score['gain'], key, signed=True)} {sure}".strip())
        rows.append(cells)
    return [about_strata(found), markdown_table(heads, rows)]


def _as_coded(comparison: Comparison) -> str:
    skip = comparison["skip"]
    assert skip is not None
    keys = group_of(comparison, comparison["measure"])
    rows = []
    for name, entrant in comparison["entrants"].items():
        summaries = [entrant["as_coded"][key] for key in keys]
        clips = ", ".join(str(count) for count in summaries[0]["clips"])
        rows.append([_plain(name), *map(_frames, summaries, keys), clips])
    heads = ["as coded, by frame", *(_head(comparison, key) for key in keys), "clips"]
    return (
        f"As coded, clips at or above {skip['at_least']:g} in {metric_name(skip['measure'])} are "
        "skipped for each method alone, so methods are averaged over different clips:\n\n"
        + markdown_table(heads, rows)
    )


def _frames(summary: object, key: str) -> str:
    assert isinstance(summary, dict)
    return " / ".join(number(value, key) for value in summary["per_frame"])


def _head(comparison: Comparison, key: str) -> str:
    table = comparison["measures"][key]
    arrow = "" if table["higher_is_better"] else " ↓"
    return metric_name(key) + (f", {table['unit']}" if table["unit"] else "") + arrow


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay cells out as a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _plain(text: str) -> str:
    """Keep a name from becoming markup."""
    text = re.sub(r"([\\|*`<>])", r"\\\1", text)
    # Brackets are markup in front of an address alone; intervals have them too.
    text = re.sub(r"\](?=[(\[:])", r"\]", text)
    # Underscores inside a word are no markup.
    text = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\_", text)
    return " ".join(text.split())
