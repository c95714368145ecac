"""Several trainings of each row: pooled means, their intervals, and the paper's orderings."""

import copy
import itertools
import math
from typing import Any

import numpy as np
import pytest
from synthetic_results import synthetic_results

from vidpred.evaluation.compare.comparison import compare
from vidpred.evaluation.compare.pooled_rows import Claim, pooled_rows, pooled_rows_markdown
from vidpred.evaluation.compare.pooled_seeds import pool_seeds
from vidpred.evaluation.results.result import Result

CLAIMS = [
    Claim("l2", "single_scale_l2", "psnr", "several scales are better than one"),
    Claim("l1", "l2", "sharpness", "l1 is sharper than l2"),
    Claim("adv_gdl", "gdl_l1", "sharpness", "Adv+GDL is sharper than GDL l1"),
]
PSNR = "psnr.masked_mean.moving"


def trainings() -> dict[str, list[Result]]:
    """Rows of two seeds each, whose scores differ by what is added here, and baselines."""
    found = {result["method"]["name"]: result for result in synthetic_results(num_videos=30)}
    rows: dict[str, list[Result]] = {
        name: [found[name]] for name in ("copy_last", "linear", "optical_flow")
    }
    for row, gain in (("l2", 0.0), ("l1", 0.3), ("gdl_l1", 0.6), ("adv_gdl", 0.9)):
        rows[row] = [shifted(found["l2"], gain + seed) for seed in (-0.1, 0.1)]
    return rows


def shifted(result: Result, gain: float) -> Result:
    changed = copy.deepcopy(result)
    for row in changed["rows"]:
        for key, values in row["values"].items():
            row["values"][key] = [None if v is None else v + gain for v in values]
    return changed


def measure_of(rows: dict[str, list[Result]]) -> str:
    return next(iter(pool_seeds(rows, resamples=10)))


def markdown_of(rows: dict[str, list[Result]]) -> str:
    return pooled_rows_markdown(pooled_rows(rows, claims=CLAIMS), "Ablation")


def test_means_are_those_of_the_trainings() -> None:
    rows = trainings()
    key = measure_of(rows)
    pooled = pool_seeds(rows, [("l1", "l2")], resamples=2000)[key]
    flat = {}
    for row, results in rows.items():
        for k, result in enumerate(results):
            flat[f"{row}/{k}"] = copy.deepcopy(result)
            flat[f"{row}/{k}"]["method"]["name"] = f"{row}/{k}"
    alone = compare(flat, measure=key)["measures"][key]
    assert pooled["clips"] == alone["clips"]
    for row in ("l2", "adv_gdl"):
        means = [alone["scores"][f"{row}/{k}"]["mean"] for k in range(2)]
        assert pooled["scores"][row]["by_seed"] == pytest.approx(means)
        assert pooled["scores"][row]["mean"] == pytest.approx(np.mean(means))
    assert pooled["differences"]["l1", "l2"]["mean"] == pytest.approx(0.3)
    # A row whose trainings are one has the interval of the videos alone.
    theirs = alone["scores"]["copy_last/0"]["interval"]
    ours = pooled["scores"]["copy_last"]["interval"]
    assert ours is not None
    assert theirs is not None
    # Of other draws; 90 % of them would be narrower by 8 % of the width on each side.
    assert ours == pytest.approx(theirs, abs=0.04 * (theirs[1] - theirs[0]))


def test_seeds_widen_the_interval_of_a_difference() -> None:
    rows = trainings()
    key = measure_of(rows)
    # Paired over videos nothing but the seeds is left: two of each row, 0.2 dB apart.
    difference = pool_seeds(rows, [("l1", "l2")], resamples=4000)[key]["differences"]["l1", "l2"]
    interval = difference["interval"]
    assert interval is not None
    # Of two seeds a draw takes the same one twice in half of the cases: 0.3 +- 0.2 at the most.
    assert interval == pytest.approx((0.1, 0.5), abs=0.02)
    one_seed = {row: results[:1] for row, results in rows.items()}
    certain = pool_seeds(one_seed, [("l1", "l2")], resamples=500)[key]["differences"]["l1", "l2"]
    assert certain["interval"] == pytest.approx((0.3, 0.3))


def test_an_interval_over_seeds_is_that_of_all_ways_to_draw_them() -> None:
    plain = trainings()["l2"][0]
    seeds = (0.0, 0.1, 0.3, 0.7)  # what each adds, to the first frame alone
    four = [copy.deepcopy(plain) for _ in seeds]
    for result, added in zip(four, seeds, strict=True):
        for row in result["rows"]:
            values = row["values"][PSNR]
            row["values"][PSNR] = [v if t or v is None else v + added for t, v in enumerate(values)]
    pooled = pool_seeds({"four": four, "one": [plain]}, [("four", "one")], measures=[PSNR])[PSNR]
    # Paired over videos, of which each draw has the same for both, nothing but the seeds is left.
    drawn = sorted(sum(ways) / 4 for ways in itertools.product(seeds, repeat=4))
    interval = drawn[int(0.025 * 256)], drawn[int(0.975 * 256)]
    assert interval == pytest.approx((0.05, 0.55))
    difference = pooled["differences"]["four", "one"]
    assert difference["first"]["mean"] == pytest.approx(np.mean(seeds))
    assert difference["first"]["interval"] == pytest.approx(interval)
    horizon = len(plain["rows"][0]["values"][PSNR])
    assert difference["mean"] == pytest.approx(np.mean(seeds) / horizon)
    assert difference["interval"] == pytest.approx(np.array(interval) / horizon)
    # Of the row alone, the first frame as any other.
    first = [row["values"][PSNR][0] for row in plain["rows"]]
    known = [value for value in first if value is not None]
    score = pooled["scores"]["four"]
    assert score["first"]["mean"] == pytest.approx(np.mean(known) + np.mean(seeds))
    one = pooled["scores"]["one"]["first"]["interval"]
    assert one is not None
    assert one[0] < np.mean(known) < one[1]


def test_one_video_has_no_interval() -> None:
    rows = trainings()
    for results in rows.values():
        for result in results:
            first = result["rows"][0]["video"]
            result["rows"] = [row for row in result["rows"] if row["video"] == first]
    pooled = pool_seeds(rows, resamples=10)
    for measure in pooled.values():
        assert measure["videos"] == 1
        assert all(score["interval"] is None for score in measure["scores"].values())


def test_the_tables_say_which_orderings_hold() -> None:
    rows = trainings()
    content: dict[str, Any] = pooled_rows(rows, claims=CLAIMS, facts={"batches": 100})
    text = pooled_rows_markdown(content, "Ablation")
    lines = {line.split(" | ")[0].lstrip("| "): line for line in text.splitlines() if "|" in line}
    assert lines["l1 is sharper than l2"].endswith("| holds |")
    assert lines["Adv+GDL is sharper than GDL l1"].endswith("| holds |")
    assert "several scales are better than one" not in lines  # that row was not trained
    assert "batches 100" in text
    reverse = {**rows, "l1": rows["l2"], "l2": rows["l1"]}
    text = markdown_of(reverse)
    assert "| l1 is sharper than l2 | Sharpness | \N{MINUS SIGN}0.30 [" in text
    assert "does not hold |" in text
    assert math.isfinite(content["measures"][measure_of(rows)]["scores"]["l2"]["mean"])


def test_few_seeds_decide_nothing_and_few_are_named() -> None:
    rows = trainings()
    assert "Intervals from 2 seeds are too narrow." in markdown_of(rows)
    rows["l1"] = rows["l1"][:1]
    text = markdown_of(rows)
    (line,) = (line for line in text.splitlines() if line.startswith("| l1 is sharper than l2"))
    assert line.endswith("| undecided: one seed |")
    assert "Adv+GDL is sharper than GDL l1" in text
    assert "they are over videos alone" in text
    many = {row: own * 3 if len(own) == 2 else own for row, own in trainings().items()}
    assert "too narrow" not in markdown_of(many)


def test_scores_of_several_futures_are_named() -> None:
    rows = trainings()
    samples = {"count": 3, "seed": 0, "reduce": "best_of_k", "by": None}
    for results in rows.values():
        for result in results:
            result["protocol"] = {**result["protocol"], "samples": samples}
    assert "3 futures of each clip (seed 0); the best one counts" in markdown_of(rows)


def test_rows_are_ranked_by_the_first_measure_or_left_in_their_order() -> None:
    rows = trainings()
    rows = {name: rows[name] for name in ("l2", "gdl_l1", "l1", "copy_last")}
    measures = pooled_rows(rows)["measures"]
    means = {row: score["mean"] for row, score in next(iter(measures.values()))["scores"].items()}
    assert list(pooled_rows(rows)["seeds"]) == sorted(means, key=lambda row: -means[row])
    assert list(pooled_rows(rows, ranked=False)["seeds"]) == list(rows)


def test_of_a_distance_the_lower_row_is_the_better_one() -> None:
    rows = trainings()
    for results in rows.values():
        for result in results:
            for row in result["rows"]:
                row["values"] = {"lpips.alex.whole": row["values"][PSNR]}
            result["summary"] = {"lpips.alex.whole": result["summary"][PSNR]}
            result["protocol"] = {**result["protocol"], "measures": [], "skip": None}
    content = pooled_rows(rows, claims=[Claim("l2", "l1", "lpips", "l2 is nearer than l1")])
    assert next(iter(content["seeds"])) != "adv_gdl"
    (line,) = [x for x in pooled_rows_markdown(content, "").splitlines() if "nearer" in x]
    assert line.endswith("| holds |")  # l2 is 0.3 below l1


def test_clips_with_near_duplicates_are_pooled_on_their_own() -> None:
    rows = trainings()
    assert pooled_rows(rows)["strata"] == []  # the synthetic results do not say which these are
    for results in rows.values():
        for result in results:
            for number, row in enumerate(result["rows"]):
                row["near_duplicates"] = [3] if number % 3 == 0 else []
    content = pooled_rows(rows)
    held, others = content["strata"]
    assert (held["near_duplicates"], others["near_duplicates"]) == (True, False)
    first = rows["l1"][0]["rows"]
    assert held["clips"] == len(first[::3])
    assert held["clips"] + others["clips"] == len(first)
    key = measure_of(rows)
    only = {
        row: [{**result, "rows": result["rows"][::3]} for result in results]
        for row, results in rows.items()
    }
    alone = pool_seeds(only, resamples=10)[key]["scores"]["l1"]["mean"]
    assert held["scores"]["l1"]["mean"] == pytest.approx(alone)
    assert f"{held['clips']} clips with near duplicates" in pooled_rows_markdown(content, "")
