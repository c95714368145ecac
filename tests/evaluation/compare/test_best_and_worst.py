"""Which clips a report shows."""

from hand_made_results import PSNR, result

from vidpred.evaluation.compare.best_and_worst import clip_points, extremes


def test_of_a_distance_the_best_clips_are_the_nearest() -> None:
    one = result("one", {"a": [1, 1], "b": [2, 2]})
    key = "lpips.alex.whole"
    for row in one["rows"]:
        row["values"][key] = row["values"][PSNR]
    values = {key: {"one": {row["clip"]: row["values"][key] for row in one["rows"]}}}
    points = clip_points({"one": one}, values)
    found = extremes({"one": one}, points, measure=key, skip=None, baseline=None)
    assert [(e["end"], e["clip"], e["amount"]) for e in found] == [
        ("best", "a", 1),
        ("worst", "b", 2),
    ]
