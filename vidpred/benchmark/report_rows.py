"""The rows of a benchmark as its reports show them."""

from statistics import mean
from typing import Any

from vidpred.benchmark.table import (
    COST_HEADS,
    BenchmarkTable,
    RowFacts,
    cost_cells,
    cost_notes,
    problems_in_words,
)
from vidpred.evaluation.report.rows_section import CostedRow, CostedRows


def report_rows(table: BenchmarkTable, protocol: str) -> CostedRows:
    """Give the rows under one protocol, best first.

    Args:
        table: What `benchmark_table` gave.
        protocol: Name of one of its protocols.
    """
    content: dict[str, Any] = table["protocols"][protocol]
    return {
        "about": f"{table['description']} Trained: {table['budget']}. Scores are means over seeds "
        "and videos with 95 % intervals of both; below this section each training is a method of "
        "its own.",
        "heads": COST_HEADS,
        "rows": [
            _row(name, seeds, table["rows"][name], content)
            for name, seeds in content["seeds"].items()
        ],
        "notes": [*cost_notes(table), *problems_in_words(table)],
    }


def _row(name: str, seeds: int, facts: RowFacts, content: dict[str, Any]) -> CostedRow:
    cost, runs = facts["cost"], facts["trainings"]
    trained = [run["seconds"] for run in runs if run["seconds"]]
    return {
        "name": name,
        "method": f"{name}-seed{runs[0]['seed']}" if runs else name,
        "seeds": seeds,
        "scores": {
            key: {"mean": own["scores"][name]["mean"], "interval": own["scores"][name]["interval"]}
            for key, own in content["measures"].items()
        },
        "costs": {
            "multiply_adds": cost["multiply_adds"] if cost else None,
            "parameters": cost["parameters"] if cost else None,
            "seconds_per_frame": 1 / cost["frames_per_second"] if cost else None,
            "own_memory": cost["own_memory"] if cost else None,
            "training_seconds": mean(trained) if trained else None,
        },
        "cells": cost_cells(facts),
    }
