"""The report's section on a benchmark: rows with their seeds pooled, and what each costs."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from vidpred.evaluation.compare.comparison import Comparison
from vidpred.evaluation.compare.pooled_seeds import Estimate
from vidpred.evaluation.compare.wording import group_of, interval, metric_name, number
from vidpred.evaluation.report.appearance import Appearance, appearances

COST_AXES: dict[str, str] = {
    "multiply_adds": "multiply-adds of a frame",
    "parameters": "parameters",
    "seconds_per_frame": "seconds a frame",
    "own_memory": "peak memory, bytes",
    "training_seconds": "seconds of training",
}
"""What quality is plotted against, by key."""


class CostedRow(TypedDict):
    """A row of a benchmark.

    Attributes:
        name: Of the row.
        method: One of the comparison's methods that is of this row, whose look it has.
        seeds: Trainings.
        scores: By measure, over seeds and videos.
        costs: By key of `COST_AXES`; None where it is not known.
        cells: What else the table shows, in words, by `CostedRows.heads`.
    """

    name: str
    method: str
    seeds: int
    scores: Mapping[str, Estimate]
    costs: Mapping[str, float | None]
    cells: Sequence[str]


class CostedRows(TypedDict):
    """A benchmark, as its report shows it.

    Attributes:
        about: What was done, in a sentence.
        heads: Of the columns after those of the measures.
        rows: Best first.
        notes: What a reader has to know of the costs.
    """

    about: str
    heads: Sequence[str]
    rows: Sequence[CostedRow]
    notes: Sequence[str]


class SectionCell(TypedDict):
    """One number.

    Attributes:
        text: The number.
        interval: Its interval, in words; may be empty.
        sort: What sorting goes by; None comes last.
    """

    text: str
    interval: str
    sort: float | None


class SectionRow(TypedDict):
    """A line of the table.

    Attributes:
        name: Of the row.
        look: Its look.
        seeds: Trainings.
        scores: A cell for each measure.
        cells: The rest, in words.
    """

    name: str
    look: Appearance
    seeds: int
    scores: list[SectionCell]
    cells: Sequence[str]


class RowsSection(TypedDict):
    """What the template shows.

    Attributes:
        about: What was done.
        measures: Heads of the measures.
        heads: Heads after these.
        rows: Lines.
        notes: Below the table.
    """

    about: str
    measures: list[str]
    heads: Sequence[str]
    rows: list[SectionRow]
    notes: Sequence[str]


def rows_section(comparison: Comparison, benchmark: CostedRows) -> RowsSection:
    """Lay out the table: the measures of the ranking's area and convention, then the costs."""
    looks = appearances(comparison)
    keys = [key for key in group_of(comparison, comparison["measure"]) if _known(benchmark, key)]
    return {
        "about": benchmark["about"],
        "measures": [metric_name(key) for key in keys],
        "heads": benchmark["heads"],
        "rows": [
            {
                "name": row["name"],
                "look": looks[row["method"]],
                "seeds": row["seeds"],
                "scores": [
                    {
                        "text": number(row["scores"][key]["mean"], key),
                        "interval": interval(row["scores"][key]["interval"], key),
                        "sort": row["scores"][key]["mean"],
                    }
                    for key in keys
                ],
                "cells": row["cells"],
            }
            for row in benchmark["rows"]
        ],
        "notes": benchmark["notes"],
    }


def rows_plot(comparison: Comparison, benchmark: CostedRows) -> dict[str, Any]:
    """Collect what the plot of quality against cost draws; its keys are what report.js reads."""
    looks = appearances(comparison)
    rows = benchmark["rows"]
    return {
        "axes": {
            key: name
            for key, name in COST_AXES.items()
            if sum(bool(row["costs"].get(key)) for row in rows) > 1
        },
        "rows": [
            {
                **looks[row["method"]],
                "name": row["name"],
                "costs": dict(row["costs"]),
                "scores": dict(row["scores"]),
            }
            for row in rows
        ],
    }


def _known(benchmark: CostedRows, key: str) -> bool:
    return all(key in row["scores"] for row in benchmark["rows"])
