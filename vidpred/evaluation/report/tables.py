"""What the report's tables hold, cell by cell."""

from collections.abc import Sequence
from typing import TypedDict

from vidpred.evaluation.compare.bootstrap import Interval
from vidpred.evaluation.compare.comparison import Comparison
from vidpred.evaluation.compare.measure_table import MethodScore
from vidpred.evaluation.compare.wording import (
    area_name,
    clips_by_frame,
    groups,
    interval,
    metric_name,
    number,
    variant_name,
)
from vidpred.evaluation.report.appearance import Appearance, appearances

_PAD = 4.0  # of 100, next to the outermost whiskers


class Whisker(TypedDict):
    """A mean and its interval on a scale of 0 to 100 that a column shares.

    Attributes:
        at: The mean.
        low: Lower bound.
        high: Upper bound.
        mark: What it is held against: the baseline's mean, or no gain; None for nothing.
    """

    at: float
    low: float
    high: float
    mark: float | None


class Cell(TypedDict):
    """One number.

    Attributes:
        sort: What sorting goes by; None comes last.
        text: The number.
        interval: Its interval, in words; may be empty.
        whisker: Its picture; None without a number.
        state: "best", "tied" (not significantly different from it) or "".
    """

    sort: float | None
    text: str
    interval: str
    whisker: Whisker | None
    state: str


class Column(TypedDict):
    """Head of a column.

    Attributes:
        key: The measure.
        name: Such as "PSNR".
        note: Unit and direction.
        gain: Whether the column holds gains over the baseline.
        better: "descending" or "ascending": the order that begins with the best.
    """

    key: str
    name: str
    note: str
    gain: bool
    better: str


class Row(TypedDict):
    """One method.

    Attributes:
        rank: By the table's first measure.
        name: The method.
        look: Its look.
        cells: By column.
    """

    rank: int
    name: str
    look: Appearance
    cells: list[Cell]


class RankingTable(TypedDict):
    """Methods by the measures of one area and convention.

    Attributes:
        id: Of the element.
        caption: What it shows.
        clips: On how many clips.
        measures: Keys of its measures.
        columns: Heads.
        rows: Best first.
    """

    id: str
    caption: str
    clips: str
    measures: list[str]
    columns: list[Column]
    rows: list[Row]


class CodedRow(TypedDict):
    """One method's own averages.

    Attributes:
        name: The method.
        look: Its look.
        frames: For each measure, the means by frame.
        clips: Clips by frame.
    """

    name: str
    look: Appearance
    frames: list[list[str]]
    clips: list[str]


class CodedTable(TypedDict):
    """The scores as coded, of one area and convention.

    Attributes:
        caption: What it shows.
        heads: Names of the measures.
        rows: By method.
    """

    caption: str
    heads: list[str]
    rows: list[CodedRow]


def ranking_tables(comparison: Comparison) -> list[RankingTable]:
    """Build a table for each group of measures; the one with the ranking measure comes first."""
    tables = [_ranking_table(comparison, k, keys) for k, keys in enumerate(groups(comparison))]
    return sorted(tables, key=lambda table: comparison["measure"] not in table["measures"])


def as_coded_tables(comparison: Comparison) -> list[CodedTable]:
    """Build the tables of the methods' own averages, for the measures that the skip concerns."""
    skip = comparison["skip"]
    if skip is None:
        return []
    looks, measures = appearances(comparison), comparison["measures"]
    tables: list[CodedTable] = []
    for keys in groups(comparison):
        if measures[keys[0]]["area"] != skip["area"]:
            continue
        rows: list[CodedRow] = []
        for name, look in looks.items():
            summaries = [comparison["entrants"][name]["as_coded"][key] for key in keys]
            rows.append(
                {
                    "name": name,
                    "look": look,
                    "frames": [
                        [number(value, key) for value in summary["per_frame"]]
                        for summary, key in zip(summaries, keys, strict=True)
                    ],
                    "clips": [str(count) for count in summaries[0]["clips"]],
                }
            )
        tables.append(
            {
                "caption": _caption(comparison, keys[0]),
                "heads": [_head(comparison, key) for key in keys],
                "rows": rows,
            }
        )
    return tables


def _ranking_table(comparison: Comparison, index: int, keys: list[str]) -> RankingTable:
    measures, looks = comparison["measures"], appearances(comparison)
    first = comparison["measure"] if comparison["measure"] in keys else keys[0]
    ranking = measures[first]["ranking"]
    columns: list[Column] = []
    cells: list[list[Cell]] = []
    for key in [first, *(key for key in keys if key != first)]:
        table = measures[key]
        better = "descending" if table["higher_is_better"] else "ascending"
        note = " · ".join(
            filter(None, (table["unit"], "" if table["higher_is_better"] else "lower is better"))
        )
        columns.append(
            {"key": key, "name": metric_name(key), "note": note, "gain": False, "better": better}
        )
        cells.append(_value_cells(comparison, key, ranking))
        if comparison["baseline"]:
            columns.append(
                {
                    "key": key,
                    "name": f"{metric_name(key)} gain",
                    "note": "over copy last",
                    "gain": True,
                    "better": "descending",
                }
            )
            cells.append(_gain_cells(comparison, key, ranking))
    rows: list[Row] = [
        {
            "rank": rank,
            "name": name,
            "look": looks[name],
            "cells": [column[rank - 1] for column in cells],
        }
        for rank, name in enumerate(ranking, start=1)
    ]
    return {
        "id": f"table-{index}",
        "caption": _caption(comparison, keys[0]),
        "clips": clips_by_frame(measures[first]["clips"]),
        "measures": keys,
        "columns": columns,
        "rows": rows,
    }


def _value_cells(comparison: Comparison, key: str, ranking: Sequence[str]) -> list[Cell]:
    table, baseline = comparison["measures"][key], comparison["baseline"]
    scores = [table["scores"][name] for name in ranking]
    mark = table["scores"][baseline]["mean"] if baseline else None
    whiskers = _whiskers([s["mean"] for s in scores], [s["interval"] for s in scores], mark)
    best = table["ranking"][0]
    return [
        {
            "sort": score["mean"],
            "text": number(score["mean"], key),
            "interval": interval(score["interval"], key),
            "whisker": whisker,
            "state": _state(score, name == best),
        }
        for name, score, whisker in zip(ranking, scores, whiskers, strict=True)
    ]


def _gain_cells(comparison: Comparison, key: str, ranking: Sequence[str]) -> list[Cell]:
    scores = [comparison["measures"][key]["scores"][name] for name in ranking]
    whiskers = _whiskers([s["gain"] for s in scores], [s["gain_interval"] for s in scores], 0.0)
    return [
        {
            "sort": score["gain"],
            "text": number(score["gain"], key, signed=True),
            "interval": interval(score["gain_interval"], key, signed=True),
            "whisker": None if name == comparison["baseline"] else whisker,
            "state": "",
        }
        for name, score, whisker in zip(ranking, scores, whiskers, strict=True)
    ]


def _state(score: MethodScore, best: bool) -> str:
    if score["mean"] is None:
        return ""
    return "best" if best else "tied" if score["as_good_as_best"] else ""


def _whiskers(
    means: Sequence[float | None], bounds: Sequence[Interval | None], mark: float | None
) -> list[Whisker | None]:
    """Bring a column's numbers to one scale."""
    known = [mean for mean in means if mean is not None]
    known += [bound for pair in bounds if pair for bound in pair]
    known += [] if mark is None else [mark]
    if not known:
        return [None] * len(means)
    low, span = min(known), max(known) - min(known)

    def place(value: float) -> float:
        return round(_PAD + (100 - 2 * _PAD) * ((value - low) / span if span else 0.5), 2)

    return [
        None
        if mean is None
        else {
            "at": place(mean),
            "low": place(pair[0] if pair else mean),
            "high": place(pair[1] if pair else mean),
            "mark": None if mark is None else place(mark),
        }
        for mean, pair in zip(means, bounds, strict=True)
    ]


def _caption(comparison: Comparison, key: str) -> str:
    table = comparison["measures"][key]
    area = area_name(table["area"])
    return f"{area[0].upper()}{area[1:]}, {variant_name(table['variant'])}"


def _head(comparison: Comparison, key: str) -> str:
    unit = comparison["measures"][key]["unit"]
    return metric_name(key) + (f" ({unit})" if unit else "")
