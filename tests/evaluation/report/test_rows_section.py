"""The report's section on a benchmark: pooled scores, costs, and what the plot draws."""

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from synthetic_results import synthetic_results

from vidpred.evaluation.compare.comparison import Comparison, compare
from vidpred.evaluation.compare.pooled_seeds import pool_seeds
from vidpred.evaluation.report.page import render
from vidpred.evaluation.report.rows_section import CostedRow, CostedRows, rows_plot, rows_section


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    results = {f"{r['method']['name']}.json": r for r in synthetic_results(num_videos=10)}
    return compare(results, resamples=50)


@pytest.fixture(scope="module")
def rows() -> CostedRows:
    results = {r["method"]["name"]: [r] for r in synthetic_results(num_videos=10)}
    pooled = pool_seeds(results, resamples=50)
    found: list[CostedRow] = [
        {
            "name": f"row of {name}",
            "method": name,
            "seeds": 2,
            "scores": {key: measure["scores"][name] for key, measure in pooled.items()},
            "costs": {"parameters": 0 if name == "copy_last" else 10 ** (k + 3)},
            "cells": [f"{k} <b>"],
        }
        for k, name in enumerate(results)
    ]
    return {"about": "What was done.", "heads": ["parameters"], "rows": found, "notes": ["Note."]}


def test_the_table_has_the_pooled_scores_and_the_looks_of_the_methods(
    comparison: Comparison, rows: CostedRows
) -> None:
    section = rows_section(comparison, rows)
    assert [row["name"] for row in section["rows"]] == [row["name"] for row in rows["rows"]]
    assert "PSNR" in section["measures"]
    for row, given in zip(section["rows"], rows["rows"], strict=True):
        assert row["seeds"] == 2
        mean = given["scores"][comparison["measure"]]["mean"]
        assert mean in {cell["sort"] for cell in row["scores"]}
        assert (row["look"]["kind"] == "baseline") is (
            comparison["entrants"][given["method"]]["method"]["kind"] == "baseline"
        )


def test_a_cost_that_one_row_alone_has_is_no_axis(comparison: Comparison, rows: CostedRows) -> None:
    assert list(rows_plot(comparison, rows)["axes"]) == ["parameters"]
    alone: CostedRows = {**rows, "rows": rows["rows"][:1]}
    assert rows_plot(comparison, alone)["axes"] == {}


def test_the_page_holds_the_section_for_a_benchmark_alone(
    comparison: Comparison, rows: CostedRows
) -> None:
    assert 'id="rows"' not in render(comparison)
    page = render(comparison, benchmark=rows)
    section = page[page.index('<section id="rows"') : page.index('<section id="curves"')]
    assert 'href="#rows"' in page
    assert "What was done." in section
    assert "row of copy_<wbr>last" in section
    assert "0 &lt;b&gt;" in section  # a user's words are no markup
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert found is not None
    assert json.loads(found[1])["benchmark"]["rows"][0]["costs"].keys() == {"parameters"}


@pytest.mark.slow
@pytest.mark.parametrize("decades", [1, 3])
def test_costs_on_the_axis_of_a_phone_can_be_read(
    comparison: Comparison, rows: CostedRows, decades: int, browser: Any, tmp_path: Path
) -> None:
    costs = [0, *(5e7 * 10 ** (decades * k / 3) for k in range(4))]
    pairs = zip(rows["rows"], costs, strict=True)
    spread: CostedRows = {
        **rows,
        "rows": [{**row, "costs": {"parameters": cost}} for row, cost in pairs],
    }
    path = tmp_path / "report.html"
    path.write_text(render(comparison, benchmark=spread), encoding="utf-8")
    context = browser.new_context(viewport={"width": 360, "height": 780})
    page = context.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("#rows-plot .xtick text")
    labels = page.locator("#rows-plot .xtick text").evaluate_all(
        "all => all.map((e) => [e.textContent, e.getBoundingClientRect().toJSON()])"
    )
    context.close()
    shown = {name: box for name, box in labels if box["width"]}  # others are off the axis
    assert list(shown) == (["50M", "100M", "200M", "500M"], ["100M", "1G", "10G"])[decades == 3]
    for left, right in pairwise(shown.values()):
        assert left["right"] < right["left"]
        assert left["top"] == pytest.approx(right["top"], abs=1)
