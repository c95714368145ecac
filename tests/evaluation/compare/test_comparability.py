"""What a reader has to know before trusting a comparison."""

from hand_made_results import compared, result

from vidpred.evaluation.compare.comparability import FEW_VIDEOS

FEW = "Intervals from 3 videos are too narrow; no more count for every method."


def test_intervals_from_the_few_videos_that_methods_share_are_too_narrow() -> None:
    count = FEW_VIDEOS + 3
    one = result("one", {f"{k}_0": [10.0 + k, 10.0] for k in range(count)})
    two = result("two", {f"{k}_0": [11.0 + k, 11.0] for k in range(FEW_VIDEOS, FEW_VIDEOS + count)})
    assert FEW in compared(one, two)["warnings"]


def test_intervals_from_the_few_videos_that_are_not_skipped_are_too_narrow() -> None:
    scores = {f"{k}_0": [40.0 + 20 * (k > 2)] * 2 for k in range(FEW_VIDEOS + 3)}
    still, moving = result("still", scores, skip_at=50), result("moving", scores, skip_at=50)
    assert FEW in compared(still, moving)["warnings"]
    whole = compared(still, moving, measure="psnr.standard.whole")
    assert not any("too narrow" in warning for warning in whole["warnings"])
