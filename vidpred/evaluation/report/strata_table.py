"""What the report's table of clips with near-duplicate frames holds."""

from typing import TypedDict

from vidpred.evaluation.compare.comparison import Comparison
from vidpred.evaluation.compare.strata import about_strata, stratum_name
from vidpred.evaluation.compare.wording import interval, metric_name, number
from vidpred.evaluation.report.appearance import Appearance, appearances


class StratumRow(TypedDict):
    """One method.

    Attributes:
        name: The method.
        look: Its look.
        cells: For each stratum, the mean with its interval and the gain with its own.
    """

    name: str
    look: Appearance
    cells: list[tuple[str, str]]


class StrataTable(TypedDict):
    """Methods on clips with and without near duplicates.

    Attributes:
        about: What near duplicates are.
        measure: Name of the measure.
        heads: Of the columns.
        rows: By method, in the order of the ranking.
    """

    about: str
    measure: str
    heads: list[str]
    rows: list[StratumRow]


def strata_table(comparison: Comparison) -> StrataTable | None:
    """Build the table; None where the strata are not known."""
    found, key = comparison["strata"], comparison["measure"]
    if not found:
        return None
    heads: list[str] = []
    for stratum in found:
        heads += [stratum_name(stratum), "gain over copy last"]
    rows: list[StratumRow] = []
    for name, look in appearances(comparison).items():
        cells: list[tuple[str, str]] = []
        for stratum in found:
            score = stratum["table"]["scores"][name]
            cells.append((number(score["mean"], key), interval(score["interval"], key)))
            gain = number(score["gain"], key, signed=True)
            cells.append((gain, interval(score["gain_interval"], key, signed=True)))
        rows.append({"name": name, "look": look, "cells": cells})
    unit = comparison["measures"][key]["unit"]
    return {
        "about": about_strata(found),
        "measure": metric_name(key) + (f" ({unit})" if unit else ""),
        "heads": heads,
        "rows": rows,
    }
