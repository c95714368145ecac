"""Comparisons: what is refused, which clips count, who is ahead."""

import json
import random
from pathlib import Path

import pytest
from hand_made_results import PSNR, SSIM, WHOLE, compared, result
from synthetic_results import synthetic_results

from vidpred.errors import ResultError
from vidpred.evaluation.compare.comparison import compare
from vidpred.evaluation.compare.markdown import markdown
from vidpred.evaluation.compare.wording import clips_by_frame, group_of, number, verdict
from vidpred.evaluation.results.gathering import read_results
from vidpred.files import write_json


def test_means_gains_and_ranking_by_hand() -> None:
    comparison = compared(
        result("copy_last", {"a": [10, 20], "b": [20, 30]}, kind="baseline"),
        result("good", {"a": [13, 21], "b": [21, 31]}),
        result("poor", {"a": [9, 19], "b": [19, 29]}),
    )
    table = comparison["measures"][PSNR]
    assert comparison["measure"] == PSNR
    assert list(comparison["entrants"]) == table["ranking"] == ["good", "copy_last", "poor"]
    good, poor = table["scores"]["good"], table["scores"]["poor"]
    assert good["per_frame"] == [17, 26]
    assert good["mean"] == 21.5
    assert good["gain"] == 1.5
    assert good["gain_interval"] == (1, 2)  # one video twice, or the other
    assert poor["gain"] == -1
    assert poor["gain_interval"] == (-1, -1)
    assert poor["lead_of_best"] == 2.5
    assert poor["as_good_as_best"] is False
    assert good["lead_of_best"] == 0
    assert good["lead_interval"] == (0, 0)
    assert good["as_good_as_best"] is True


def test_copy_last_against_itself_gains_exactly_nothing() -> None:
    comparison = compared(*synthetic_results(num_videos=12))
    for table in comparison["measures"].values():
        score = table["scores"]["copy_last"]
        assert score["gain"] == 0
        assert score["gain_interval"] == (0, 0)


def test_what_cannot_be_told_from_the_best_is_said() -> None:
    comparison = compared(
        result("copy_last", {"a": [10, 10], "b": [10, 10], "c": [10, 10]}, kind="baseline"),
        result("one", {"a": [14, 14], "b": [12, 12], "c": [13, 13]}),
        result("two", {"a": [12, 12], "b": [14, 14], "c": [12, 12]}),
    )
    scores = comparison["measures"][PSNR]["scores"]
    assert scores["two"]["as_good_as_best"] is True
    assert scores["copy_last"]["as_good_as_best"] is False
    said = " ".join(verdict(comparison))
    assert "one is best in PSNR (moving area): 13.00 dB, 3.00 dB better than copying" in said
    assert "two is not significantly different from it with 3 videos (95 %)." in said


def test_methods_are_held_against_copying() -> None:
    clips = ("a", "b", "c")
    comparison = compared(
        result("copy_last", {c: [10, 10] for c in clips}, kind="baseline"),
        result("up", {c: [11, 11] for c in clips}),
        result("even", {"a": [12, 12], "b": [8, 8], "c": [10, 10]}),
        result("down", {c: [9, 9] for c in clips}),
    )
    assert verdict(comparison)[-2] == (
        "Against copying the last frame (95 %), better: up; not significantly different: even; "
        "worse: down."
    )


def test_many_counts_are_given_by_their_range() -> None:
    assert clips_by_frame([1]) == "1 clip"
    assert clips_by_frame([9, 9, 9]) == "9 clips"
    assert clips_by_frame([50, 65]) == "50 / 65 clips, by frame"
    assert clips_by_frame([5, 4, 3, 7, 6]) == "3 to 7 clips, by frame"


def test_a_distance_is_better_when_it_is_smaller() -> None:
    results = [
        result("copy_last", {"a": [1, 1], "b": [2, 2]}, kind="baseline"),
        result("near", {"a": [0.5, 0.5], "b": [1.5, 1.5]}),
        result("far", {"a": [2, 2], "b": [3, 3]}),
    ]
    for own in results:
        for row in own["rows"]:
            row["values"]["lpips.alex.whole"] = row["values"].pop(WHOLE)
        own["summary"]["lpips.alex.whole"] = own["summary"].pop(WHOLE)
    comparison = compared(*results, measure="lpips.alex.whole")
    table = comparison["measures"]["lpips.alex.whole"]
    assert table["ranking"] == ["near", "copy_last", "far"]
    assert not table["higher_is_better"]
    assert table["scores"]["near"]["gain"] == 0.5
    assert table["scores"]["far"]["gain"] == -1
    assert table["scores"]["far"]["lead_of_best"] == 1.5
    best = [e for e in comparison["extremes"] if e["method"] == "far" and e["end"] == "best"]
    assert [e["amount"] for e in best] == [-1]


def test_the_skip_takes_clips_from_all_methods_in_its_area_alone() -> None:
    comparison = compared(
        result("copy_last", {"a": [40, 55], "b": [30, 30]}, kind="baseline", skip_at=50),
        result("model", {"a": [50, 40], "b": [32, 34]}, skip_at=50),
        # A clip at exactly the threshold is skipped, so nothing is left of "a" but nothing at all.
    )
    moving, ssim, whole = (comparison["measures"][key] for key in (PSNR, SSIM, WHOLE))
    assert moving["clips"] == ssim["clips"] == [1, 1]
    assert whole["clips"] == [2, 2]
    assert moving["scores"]["model"]["per_frame"] == [32, 34]
    assert ssim["scores"]["model"]["per_frame"] == [0.32, 0.34]
    assert whole["scores"]["model"]["per_frame"] == [41, 37]
    # As coded, each method keeps its own clips: the summary of its file.
    coded = comparison["entrants"]["model"]["as_coded"][PSNR]
    assert coded["clips"] == [1, 2]
    assert coded["per_frame"] == [32, 37]
    text = markdown(comparison)
    assert "As coded, clips at or above 50 in PSNR are skipped for each method alone" in text
    assert "| model | 32.00 / 37.00 |" in text


def test_a_missing_value_takes_the_clip_from_all_methods_at_that_frame() -> None:
    comparison = compared(
        result("one", {"a": [10, None], "b": [20, 20]}),
        result("two", {"a": [10, 90], "b": [30, 30]}),
    )
    table = comparison["measures"][PSNR]
    assert table["clips"] == [2, 1]
    assert table["scores"]["two"]["per_frame"] == [20, 30]
    assert comparison["points"][0]["values"][PSNR] == {"one": 10, "two": 10}
    assert comparison["points"][0]["motion"] == 2


def test_a_missing_value_of_the_measure_that_skips_skips() -> None:
    whole: dict[str, list[float | None]] = {"a": [10, 10], "b": [20, 20]}
    comparison = compared(
        result("one", {"a": [None, 10], "b": [20, 20]}, whole=whole, skip_at=50),
        result("two", {"a": [10, 10], "b": [20, 20]}, whole=whole, skip_at=50),
    )
    assert comparison["measures"][SSIM]["clips"] == [1, 2]
    assert comparison["measures"][WHOLE]["clips"] == [2, 2]


def test_only_common_clips_rank_and_the_reader_is_told() -> None:
    comparison = compared(
        result("one", {"a": [10, 10], "b": [20, 20]}),
        result("two", {"b": [30, 30], "c": [90, 90]}),
    )
    assert comparison["measures"][PSNR]["scores"]["two"]["mean"] == 30
    assert comparison["measures"][PSNR]["scores"]["two"]["interval"] is None
    said = " ".join(comparison["warnings"])
    assert "different clips (one 2, two 2); the 1 common ones rank" in said
    assert "The lists of clips differ" in said
    assert "One video cannot show how sure a mean is" in said


def test_order_of_files_and_clips_does_not_reach_the_last_digit() -> None:
    results = synthetic_results("mathieu2016-ucf101", num_videos=20)
    first = compared(*results)
    for seed in (1, 2):
        shuffled = json.loads(json.dumps(results))
        random.Random(seed).shuffle(shuffled)
        for own in shuffled:
            random.Random(seed).shuffle(own["rows"])
        # As text: the order of everything is the same as well.
        assert json.dumps(compared(*shuffled)) == json.dumps(first)


def test_plain_data() -> None:
    comparison = compared(*synthetic_results(num_videos=3))
    text = json.dumps(comparison, allow_nan=False)
    assert json.loads(text)["format"] == "vidpred comparison 1"


def test_extremes_are_gains_of_models() -> None:
    clips = {f"{k}_0": [10.0, 10.0] for k in range(8)}
    comparison = compared(
        result("copy_last", {k: list(v) for k, v in clips.items()}, kind="baseline"),
        result("flow", {k: list(v) for k, v in clips.items()}, kind="baseline"),
        result("model", {k: [10 + int(k[0]), 10 + int(k[0])] for k in clips}),
    )
    found = [(e["method"], e["end"], e["place"], e["clip"]) for e in comparison["extremes"]]
    assert found == [
        *(("model", "best", place, f"{8 - place}_0") for place in (1, 2, 3)),
        *(("model", "worst", place, f"{place - 1}_0") for place in (1, 2, 3)),
    ]
    assert comparison["extremes"][0]["amount"] == 7


def test_extremes_look_at_the_frames_that_count_for_the_pair() -> None:
    comparison = compared(
        result("copy_last", {"a": [40, 40], "b": [30, 30]}, kind="baseline", skip_at=50),
        result("model", {"a": [60, 44], "b": [31, 31]}, skip_at=50),
        result("still", {"a": [70, 70], "b": [32, 32]}, skip_at=50),  # has no say in the others'
    )
    best = next(e for e in comparison["extremes"] if e["method"] == "model")
    assert (best["clip"], best["amount"], best["frames"]) == ("a", 4, [1])
    assert best["scores"][PSNR] == {"model": 44, "copy_last": 40, "still": 70}
    assert all(e["clip"] == "b" for e in comparison["extremes"] if e["method"] == "still")


def test_few_clips_are_never_at_both_ends() -> None:
    comparison = compared(
        result("one", {"a": [1, 1], "b": [2, 2], "c": [3, 3]}),
    )
    found = [(e["end"], e["clip"], e["by"], e["amount"]) for e in comparison["extremes"]]
    assert found == [
        ("best", "c", "value", 3),
        ("best", "b", "value", 2),
        ("worst", "a", "value", 1),
    ]


def test_different_protocols_are_refused_field_by_field() -> None:
    one = result("one", {"a": [1, 1]})
    two = result("two", {"a": [1, 1]}, skip_at=50)
    two["protocol"]["clips"]["horizon"] = 8
    two["protocol"]["description"] = "other words"
    with pytest.raises(ResultError) as refused:
        compared(one, two)
    said = str(refused.value)
    assert "clips.horizon: 2 (one.json), 8 (two.json)" in said
    assert "skip.at_least: unset (one.json), 50 (two.json)" in said
    assert "other words" not in said
    assert "context_frames" not in said


def test_other_refusals() -> None:
    with pytest.raises(ResultError, match="no result to compare"):
        compare({})
    one = result("one", {"a": [1, 1]})
    with pytest.raises(ResultError, match=r"called 'one': x.json and y.json; leave one"):
        compare({"x.json": one, "y.json": one})
    with pytest.raises(ResultError, match="no clip is common to one, two"):
        compared(one, result("two", {"b": [1, 1]}))
    with pytest.raises(
        ResultError, match=r"'fid' is not in all .* choose one of psnr.standard.mov"
    ):
        compared(one, measure="fid")
    two = result("two", {"a": [1, 1]})
    two["rows"][0]["values"][PSNR] = [1.0]
    with pytest.raises(ResultError, match=r"clip a has \[1, 2\] predicted frames"):
        compared(one, two)


def test_the_reader_is_told_what_differs() -> None:
    one, two = result("one", {"a": [1, 1], "b": [1, 1]}), result("two", {"a": [2, 2], "b": [1, 1]})
    few = (
        "Intervals from 2 videos are too narrow; this protocol has no more: for numbers to report, "
        "take one of at least 20."
    )
    assert compared(one, two)["warnings"] == [few]
    two["mask"] = {"source": "given", "description": None}
    two["provenance"]["torch"] = "2.11.0"
    two["provenance"]["date"] = "another day"
    two["clips"]["videos_expected"] = one["clips"]["videos_expected"] = 379
    two["clips"]["failed"] = {"c": "broken"}
    two["extras"] = {"fvd": {"network": "abc", "value": 12.34, "clips": 2}}
    first, *rest = compared(one, two)["warnings"]
    assert first == "2 of 379 videos were scored: not a benchmark number."
    said = " ".join(rest)
    assert "two: c could not be scored (broken)." in said
    assert "masks differ in their source" in said
    assert "different versions of torch: 2.15.0 (one); 2.11.0 (two)" in said
    assert "another day" not in said
    assert (
        "Fréchet video distance, lower is better, each on its own clips: two 12.3 (2 clips)."
        in (markdown(compared(one, two)))
    )


def test_markdown_is_a_table_for_a_readme() -> None:
    text = markdown(compared(*synthetic_results(num_videos=10)))
    lines = text.splitlines()
    assert lines[0] == "### clean-ucf101"
    assert lines[2].startswith("10 of 379 videos, 19 clips · moving area")
    head = next(line for line in lines if line.startswith("|"))
    assert head == ("|  | method | PSNR, dB | SSIM | Sharpness, dB | gain over copy last, PSNR |")
    rows = [line for line in lines if line.startswith("| ") and line[2].isdigit()]
    assert len(rows) == 5
    assert rows[0].startswith("| 1 | adv_gdl | **")
    assert all(row.count("|") == head.count("|") for row in rows)
    assert "- 10 of 379 videos were scored: not a benchmark number." in lines


def test_names_cannot_become_markup() -> None:
    comparison = compared(result("a|b<img>_", {"a": [1, 1]}))
    assert "| a\\|b\\<img\\>\\_ |" in markdown(comparison)
    text = markdown(
        compared(result("[a](javascript:b)", {"a": [1, 1]}), result("b", {"a": [1, 1]}))
    )
    assert "[a\\](javascript:b)" in text
    assert "[a](javascript" not in text


@pytest.mark.parametrize(
    ("value", "key", "signed", "text"),
    [
        (21.346, PSNR, False, "21.35"),
        (0.8764, SSIM, False, "0.876"),
        (-0.001, PSNR, True, "0.00"),
        (1.2, PSNR, True, "+1.20"),
        (-1.2, PSNR, True, "\N{MINUS SIGN}1.20"),
        (None, PSNR, True, "\N{EN DASH}"),
    ],
)
def test_numbers(value: float | None, key: str, signed: bool, text: str) -> None:
    assert number(value, key, signed=signed) == text


def test_measures_of_one_convention_belong_together() -> None:
    comparison = compared(*synthetic_results("mathieu2016-ucf101", num_videos=3))
    assert group_of(comparison, "psnr.mathieu_code.moving") == [
        f"{metric}.mathieu_code.moving" for metric in ("psnr", "ssim", "sharpness")
    ]


def test_files_and_folders_are_read_once(tmp_path: Path) -> None:
    one, two = result("one", {"a": [1, 1]}), result("two", {"a": [2, 2]})
    write_json(tmp_path / "one.json", one)
    write_json(tmp_path / "two.json", two)
    write_json(tmp_path / "comparison.json", {"format": "vidpred comparison 1"})
    found = read_results([tmp_path, tmp_path / "one.json"])
    assert list(found) == [str(tmp_path / "one.json"), str(tmp_path / "two.json")]
    with pytest.raises(ResultError, match="there is no such file"):
        read_results([tmp_path / "three.json"])
    (tmp_path / "torn.json").write_text("{")
    with pytest.raises(ResultError, match=r"torn\.json: not a whole result file"):
        read_results([tmp_path])
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ResultError, match="no result file in this folder"):
        read_results([empty])


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("provenance", '{"date": 1e999}', "it holds 1e999, which is too large"),
        ("provenance", f'{{"date": {"1" * 400}}}', "it holds 1111111111, which is too large"),
        ("provenance", '{"date": -Infinity}', "it holds -Infinity"),
        ("extras", '{"a": 5}', "extras is no mapping of mappings"),
    ],
)
def test_values_that_no_result_holds_are_refused(
    entry: str, value: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "one.json"
    plain = result("one", {"a": [1, 1]})
    write_json(path, plain)
    assert read_results([str(path)])
    path.write_text(json.dumps({**plain, entry: "HERE"}).replace('"HERE"', value))
    with pytest.raises(ResultError, match=rf"one\.json: not .*{message}.*; score again"):
        read_results([str(path)])


def test_an_empty_result_is_left_out_and_named() -> None:
    scores: dict[str, list[float | None]] = {"a": [10, 20], "b": [20, 30]}
    good, empty = result("good", scores), result("broken", {})
    empty["clips"]["failed"] = {"a": "a: no such file"}
    comparison = compared(good, empty)
    assert list(comparison["entrants"]) == ["good"]
    told = "broken (broken.json) is left out: none of its clips could be scored (a: no such file)."
    assert told in comparison["warnings"]
    with pytest.raises(ResultError, match=r"no clip was scored in broken\.json"):
        compared(empty)


def test_few_videos_give_a_warning() -> None:
    def warnings(count: int, listed: int) -> list[str]:
        one = result("one", {f"v{k}": [k, k] for k in range(count)})
        one["clips"]["videos_listed"] = listed
        return compared(one)["warnings"]

    few = "Intervals from 19 videos are too narrow; "
    assert few + "take at least 20." in warnings(19, 40)
    assert any(
        warning.startswith(few + "this protocol has no more") for warning in warnings(19, 19)
    )
    assert not any("too narrow" in warning for warning in warnings(20, 40))


def test_what_is_given_twice_stands_once_and_names_can_be_given(tmp_path: Path) -> None:
    one, two = result("one", {"a": [1, 2]}), result("two", {"a": [2, 3]})
    for folder in ("a", "b"):
        write_json(tmp_path / folder / "one.json", one)
    write_json(tmp_path / "b" / "two.json", two)
    names = [r["method"]["name"] for r in read_results([tmp_path / "a", tmp_path / "b"]).values()]
    assert names == ["one", "two"]
    renamed = read_results([f"mine={tmp_path / 'a' / 'one.json'}", tmp_path / "b"])
    assert [r["method"]["name"] for r in renamed.values()] == ["mine", "one", "two"]
    later = read_results([tmp_path / "a", f"mine={tmp_path / 'a' / 'one.json'}"])
    assert [r["method"]["name"] for r in later.values()] == ["mine"]
    with pytest.raises(ResultError, match=r"one\.json: it has two names, 'a' and 'b'; expected"):
        read_results([f"{name}={tmp_path / 'a' / 'one.json'}" for name in "ab"])
