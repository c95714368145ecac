"""Gains and leads have the sign that a reader expects, whatever the direction of the measure."""

from typing import Any

import pytest

from vidpred.evaluation.compare.measure_table import BASELINE, MeasureTable, measure_table


def table(key: str, **scores: list[float]) -> MeasureTable:
    """Methods with one score for each of some clips, of a video each."""
    values: Any = {name: {f"c{k}": [v] for k, v in enumerate(own)} for name, own in scores.items()}
    results: Any = {name: {"rows": []} for name in scores}
    videos = {clip: f"v{clip}" for clip in values[BASELINE]}
    return measure_table(key, results, values, videos, resamples=2000)


@pytest.mark.parametrize(("key", "sign"), [("psnr.standard.whole", 1), ("lpips.alexnet.whole", -1)])
def test_better_is_positive_and_a_lead_is_of_the_best(key: str, sign: int) -> None:
    # Of two videos, whose draws reach from one to the other.
    scores = {BASELINE: [10.0, 20.0], "middle": [11.0, 23.0], "best": [14.0, 24.0]}
    found = table(key, **{name: [sign * v for v in own] for name, own in scores.items()})
    assert found["ranking"] == ["best", "middle", BASELINE]
    middle, best = found["scores"]["middle"], found["scores"]["best"]
    assert (middle["gain"], middle["gain_interval"]) == (2, (1, 3))
    assert (middle["lead_of_best"], middle["lead_interval"]) == (2, (1, 3))
    assert middle["as_good_as_best"] is False
    assert (best["lead_of_best"], best["lead_interval"]) == (0, (0, 0))
    assert best["as_good_as_best"] is True
    assert found["scores"][BASELINE]["gain_interval"] == (0, 0)


def test_equal_methods_are_ranked_by_name_and_as_good_as_each_other() -> None:
    found = table("ssim.standard.whole", **{BASELINE: [1.0, 2.0], "b": [1.5, 3.0], "a": [1.5, 3.0]})
    assert found["ranking"] == ["a", "b", BASELINE]
    assert all(found["scores"][name]["as_good_as_best"] for name in "ab")
