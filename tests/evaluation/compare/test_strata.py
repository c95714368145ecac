"""Clips with near-duplicate frames are ranked on their own."""

from typing import Any

from test_comparison import PSNR, compared, result

from vidpred.evaluation.compare.markdown import markdown
from vidpred.evaluation.compare.strata import holds_near_duplicates
from vidpred.evaluation.report.page import render
from vidpred.evaluation.results.result import Result

CLIPS = [f"v{k}" for k in range(10)]


def scored(name: str, on_duplicates: float, elsewhere: float, **options: Any) -> Result:
    """The first three clips hold near duplicates."""
    values: dict[str, list[float | None]] = {
        clip: [on_duplicates if k < 3 else elsewhere] * 2 for k, clip in enumerate(CLIPS)
    }
    return result(name, values, **options)


def marked(one: Result) -> Result:
    for row in one["rows"]:
        row["near_duplicates"] = [2, 5] if row["clip"] in CLIPS[:3] else []
    return one


def test_strata_have_tables_of_their_own() -> None:
    comparison = compared(
        marked(scored("copy_last", 30, 20, kind="baseline")),
        marked(scored("flow", 25, 24)),
    )
    with_some, without = comparison["strata"]
    assert with_some["near_duplicates"]
    assert (with_some["clips"], without["clips"]) == (3, 7)
    assert with_some["table"]["ranking"] == ["copy_last", "flow"]
    assert without["table"]["ranking"] == ["flow", "copy_last"]
    assert with_some["table"]["scores"]["flow"]["gain"] == -5
    assert without["table"]["scores"]["flow"]["gain"] == 4
    # All clips together: 3 of 10 at -5, 7 at +4.
    assert abs((comparison["measures"][PSNR]["scores"]["flow"]["gain"] or 0) - 1.3) < 1e-9
    text = markdown(comparison)
    assert "3 of 10 clips hold near-duplicate frames" in text
    assert "| 3 clips with near duplicates | gain over copy last | 7 clips without" in text
    page = render(comparison)
    assert "Clips with near-duplicate frames" in page
    assert "7 clips without near duplicates" in page


def test_results_of_0_1_compare_with_new_ones() -> None:
    old, new = scored("old", 25, 24), marked(scored("copy_last", 30, 20, kind="baseline"))
    comparison = compared(old, new)
    assert [stratum["clips"] for stratum in comparison["strata"]] == [3, 7]
    assert compared(old)["strata"] == []
    assert "near duplicates" not in markdown(compared(old))
    assert "near duplicates" not in render(compared(old))


def test_clips_of_one_kind_are_no_strata() -> None:
    one = marked(scored("flow", 25, 24))
    for row in one["rows"]:
        row["near_duplicates"] = []
    assert compared(one)["strata"] == []
    for row in one["rows"]:
        row["near_duplicates"] = None  # the known frames are not there
    assert holds_near_duplicates({"flow": one}) == {}
