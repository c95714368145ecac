"""Clips of the same names that show other videos."""

import pytest
from hand_made_results import PSNR, compared, result

from vidpred.errors import ResultError


def test_clips_that_show_other_videos_are_named_and_left_out() -> None:
    one = result("one", {"a": [1, 1], "b": [2, 2], "c": [3, 3]})
    two = result("two", {"a": [2, 2], "b": [3, 3], "c": [90, 90]})
    assert compared(one, two)["measures"][PSNR]["scores"]["two"]["mean"] == pytest.approx(95 / 3)
    two["rows"][2]["motion"] = [9.0 * motion for motion in two["rows"][2]["motion"]]
    comparison = compared(one, two)
    assert comparison["measures"][PSNR]["scores"]["two"]["mean"] == pytest.approx(2.5)
    assert comparison["warnings"][0].startswith("1 clip, such as c, of the same name moves")
    two["rows"][1]["motion"] = two["rows"][2]["motion"]
    with pytest.raises(ResultError, match="are of different videos: 2 of 3 clips"):
        compared(one, two)
