"""Result files that were edited are refused, before anything is made of them."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hand_made_results import PSNR, protocol
from hand_made_results import result as hand_made
from synthetic_results import make_result

from vidpred.errors import ResultError
from vidpred.evaluation.results.averages import summarize_samples
from vidpred.evaluation.results.gathering import read_results
from vidpred.evaluation.results.reading import read_result
from vidpred.evaluation.samples import REDUCTIONS
from vidpred.files import write_json


@pytest.fixture
def whole() -> dict[str, Any]:
    """A result of three futures a clip, with a distance."""
    rows = hand_made("one", {"a_1": [20.0, 21.0], "a_2": [22.0, 23.0], "b_1": [24.0, 25.0]})["rows"]
    for row in rows:
        row["samples"] = {"count": 3, "values": {each: {**row["values"]} for each in REDUCTIONS}}
    samples = {"count": 3, "seed": 0, "reduce": "mean", "by": None}
    made = make_result("one", {**protocol(), "samples": samples}, rows)
    made["samples"] = summarize_samples(rows, keys=[], skip=None, horizon=2)
    made["extras"] = {"fvd": {"network": "abc", "value": 12.34, "clips": 3}}
    plain: dict[str, Any] = json.loads(json.dumps(made))
    return plain


def no_count(result: dict[str, Any]) -> None:
    result["rows"][0]["samples"]["count"] = None


def no_best(result: dict[str, Any]) -> None:
    del result["rows"][0]["samples"]["values"]["best_of_k"][PSNR]


def no_clips_of_distance(result: dict[str, Any]) -> None:
    result["extras"]["fvd"]["clips"] = None


def another_video(result: dict[str, Any]) -> None:
    result["rows"][0]["video"] = "c"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (no_count, "the number of futures of a_1 is no number"),
        (no_best, "the futures of a_1 have other measures at best or worst"),
        (no_clips_of_distance, "extras.fvd.clips is no number"),
        (another_video, "the number of its videos does not belong to its rows"),
    ],
)
def test_an_edited_result_is_refused(
    edit: Callable[[dict[str, Any]], None], message: str, whole: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(whole))
    assert read_result(path) == whole
    edit(whole)
    path.write_text(json.dumps(whole))
    with pytest.raises(ResultError, match=rf"one\.json: not as it was written .*{message}"):
        read_result(path)


def test_a_pipe_in_a_folder_of_results_is_not_waited_for(
    whole: dict[str, Any], tmp_path: Path
) -> None:
    write_json(tmp_path / "one.json", whole)
    os.mkfifo(tmp_path / "pipe.json")  # no one writes into it
    assert list(read_results([tmp_path])) == [str(tmp_path / "one.json")]
