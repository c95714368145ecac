"""What the report's tables of several futures hold: worst, mean and best of K."""

from typing import TypedDict

from vidpred.evaluation.compare.comparison import Comparison
from vidpred.evaluation.compare.sampled import samples_in_words
from vidpred.evaluation.compare.wording import (
    area_name,
    groups,
    metric_name,
    number,
    variant_name,
)
from vidpred.evaluation.report.appearance import Appearance, appearances


class SampledRow(TypedDict):
    """One method.

    Attributes:
        name: The method.
        look: Its look.
        count: K, or 1 of a method that has one future.
        cells: By measure, worst, mean and best; three dashes where there is none.
    """

    name: str
    look: Appearance
    count: str
    cells: list[list[str]]


class SampledTable(TypedDict):
    """Methods by the measures of one area and convention.

    Attributes:
        caption: What it shows.
        heads: Names of the measures with unit and direction.
        rows: By method, in the order of the ranking.
    """

    caption: str
    heads: list[str]
    rows: list[SampledRow]


def about_samples(comparison: Comparison) -> str:
    """Say how futures are drawn and which counts; empty where the protocol draws none."""
    samples = comparison["protocol"].get("samples")
    return samples_in_words(samples) if samples else ""


def sampled_tables(comparison: Comparison) -> list[SampledTable]:
    """Build a table for each group of measures; none where the protocol draws no futures."""
    measures, looks = comparison["measures"], appearances(comparison)
    tables: list[SampledTable] = []
    for group in groups(comparison):
        keys = [key for key in group if any(s["samples"] for s in measures[key]["scores"].values())]
        if not keys:
            continue
        rows: list[SampledRow] = []
        for name, look in looks.items():
            scores = [measures[key]["scores"][name]["samples"] for key in keys]
            rows.append(
                {
                    "name": name,
                    "look": look,
                    "count": next((str(score["count"]) for score in scores if score), ""),
                    "cells": [
                        [
                            number(value, key)
                            for value in (
                                (None, None, None)
                                if score is None
                                else (score["worst_of_k"], score["mean"], score["best_of_k"])
                            )
                        ]
                        for score, key in zip(scores, keys, strict=True)
                    ],
                }
            )
        table = measures[keys[0]]
        area = area_name(table["area"])
        tables.append(
            {
                "caption": f"{area[0].upper()}{area[1:]}, {variant_name(table['variant'])}",
                "heads": [_head(comparison, key) for key in keys],
                "rows": rows,
            }
        )
    return tables


def _head(comparison: Comparison, key: str) -> str:
    table = comparison["measures"][key]
    notes = [table["unit"], "" if table["higher_is_better"] else "lower is better"]
    note = ", ".join(filter(None, notes))
    return metric_name(key) + (f" ({note})" if note else "")
