"""Means over clips, frame by frame."""

from vidpred.evaluation.results.averages import average


def test_there_is_no_mean_where_a_frame_has_no_score() -> None:
    assert average([[1.0, 3.0], [2.0, None]]) == {
        "mean": 2.0,
        "per_frame": [2.0, 2.0],
        "clips": [2, 1],
    }
    assert average([[1.0, 3.0], [None, None]]) == {
        "mean": None,
        "per_frame": [2.0, None],
        "clips": [2, 0],
    }
