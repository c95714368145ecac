"""Bootstrap intervals: closed forms, pairing, clusters, and that order never matters."""

import random
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy import stats

from vidpred.evaluation.compare.bootstrap import PairedScores, bootstrap_intervals, paired_scores

Values = dict[str, dict[str, list[float | None]]]


def one_clip_each(values: Mapping[str, Sequence[float]]) -> PairedScores:
    """Videos of one clip and one frame."""
    count = len(next(iter(values.values())))
    clips = [(f"c{k:03d}", f"v{k:03d}") for k in range(count)]
    return paired_scores(
        clips,
        {
            name: {clip: [value] for (clip, _), value in zip(clips, own, strict=True)}
            for name, own in values.items()
        },
    )


def test_a_mean_is_over_clips_of_each_frame() -> None:
    clips = [("a1", "a"), ("a2", "a"), ("b1", "b")]
    values: Values = {"m": {"a1": [1, 10], "a2": [2, None], "b1": [6, 20]}}
    scores = paired_scores(clips, values)
    assert scores.videos == ("a", "b")
    assert scores.counts.tolist() == [[2, 1], [1, 1]]
    assert scores.sums.tolist() == [[[3, 10], [6, 20]]]
    assert scores.per_frame.tolist() == [[3, 15]]


def test_the_interval_of_many_videos_is_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(0).normal(20, 3, 400)
    sure = bootstrap_intervals(one_clip_each({"m": values.tolist()}))
    half = stats.norm.ppf(0.975) * values.std() / np.sqrt(len(values))
    low, high = sure.mean[0] or (0, 0)
    # The bounds of 10,000 draws are themselves drawn: 3 % of the half width is four of their
    # standard errors.
    assert low == pytest.approx(values.mean() - half, abs=0.03 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.03 * half)


def test_two_videos_have_three_possible_means() -> None:
    # Draws give 0, 5 or 10 with probabilities 1/4, 1/2, 1/4, so 95 % reach from 0 to 10.
    sure = bootstrap_intervals(one_clip_each({"m": [0, 10]}))
    assert sure.mean == [(0, 10)]


def test_the_mean_over_frames_has_an_interval_of_its_own() -> None:
    # Of two videos: each frame's interval reaches from one to the other, and so does the mean's.
    values: Values = {"m": {"a": [0, 10], "b": [10, 30]}, "n": {"a": [1, 2], "b": [3, 4]}}
    sure = bootstrap_intervals(paired_scores([("a", "v"), ("b", "w")], values), baseline="n")
    assert sure.per_frame == [[(0, 10), (10, 30)], [(1, 3), (2, 4)]]
    assert sure.mean == [(5, 20), (1.5, 3.5)]
    assert sure.over_baseline == [(3.5, 16.5), (0, 0)]


def test_agrees_with_scipy_on_one_clip_a_video() -> None:
    values = np.random.default_rng(1).normal(size=25)
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(0)
    ).confidence_interval
    (ours,) = bootstrap_intervals(one_clip_each({"m": values.tolist()})).mean
    assert ours == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_clips_of_a_video_are_drawn_together() -> None:
    # Four videos of 30 equal clips each know no more than four clips do.
    base = [1.0, 2.0, 3.0, 4.0]
    alone = one_clip_each({"m": base})
    clips = [(f"c{v}_{k}", f"v{v:03d}") for v in range(4) for k in range(30)]
    many = paired_scores(clips, {"m": {clip: [base[int(clip[1])]] for clip, _ in clips}})
    assert bootstrap_intervals(many).mean[0] == pytest.approx(bootstrap_intervals(alone).mean[0])


def test_a_video_weighs_as_many_clips_as_it_has() -> None:
    clips = [("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b")]
    scores = paired_scores(clips, {"m": {"a1": [0], "a2": [0], "a3": [0], "b1": [4]}})
    assert scores.per_frame.tolist() == [[1]]


def test_differences_are_paired() -> None:
    rng = np.random.default_rng(0)
    hard = rng.normal(20, 5, 50)
    better = hard + 0.5 + rng.normal(0, 0.01, 50)
    scores = one_clip_each({"base": hard.tolist(), "better": better.tolist()})
    sure = bootstrap_intervals(scores, baseline="base", best="better")
    (low, high) = sure.over_baseline[1] or (0, 0)
    # Videos differ by 5 dB, methods by 0.5: only on equal draws can that be seen.
    assert 0.49 < low < high < 0.51
    overlap = sure.mean[0], sure.mean[1]
    assert overlap[0]
    assert overlap[1]
    assert overlap[0][1] > overlap[1][0]
    assert sure.over_best[0] == pytest.approx((-high, -low))


def test_a_method_against_itself_gains_nothing() -> None:
    scores = one_clip_each({"a": [1.1, 2.7, 3.3], "b": [1.1, 2.7, 3.3]})
    sure = bootstrap_intervals(scores, baseline="a", best="b")
    assert sure.over_baseline == [(0, 0), (0, 0)]
    assert sure.over_best == [(0, 0), (0, 0)]


def test_one_video_has_no_interval() -> None:
    scores = paired_scores([("a", "v"), ("b", "v")], {"m": {"a": [1, 2], "b": [3, 4]}})
    sure = bootstrap_intervals(scores, baseline="m", best="m")
    assert scores.per_frame.tolist() == [[2, 3]]
    assert sure.per_frame == [[None, None]]
    assert sure.mean == sure.over_baseline == sure.over_best == [None]


def test_no_interval_where_a_draw_can_be_empty() -> None:
    # At the second frame one of two videos has no score: a quarter of the draws know nothing.
    scores = paired_scores([("a", "v"), ("b", "w")], {"m": {"a": [1, 2], "b": [3, None]}})
    sure = bootstrap_intervals(scores)
    assert sure.per_frame == [[(1, 3), None]]
    assert sure.mean == [None]


def test_videos_without_scores_are_left_out() -> None:
    values: Values = {"m": {"a": [1], "b": [None], "c": [3]}}
    scores = paired_scores([("a", "v"), ("b", "w"), ("c", "x")], values)
    assert scores.videos == ("v", "x")
    empty = paired_scores([("b", "w")], {"m": {"b": [None]}})
    assert empty.videos == ()
    assert bootstrap_intervals(empty).mean == [None]


def test_order_of_clips_is_not_in_the_last_digit() -> None:
    rng = np.random.default_rng(2)
    clips = [(f"c{k}", f"v{k % 13}") for k in range(60)]
    values = {m: {c: [float(v) for v in rng.normal(20, 4, 3)] for c, _ in clips} for m in "ab"}
    first = paired_scores(clips, values)
    for seed in (1, 2):
        shuffled = random.Random(seed).sample(clips, len(clips))
        other = paired_scores(shuffled, {m: {c: values[m][c] for c, _ in shuffled} for m in "ab"})
        assert other.per_frame.tolist() == first.per_frame.tolist()
        assert bootstrap_intervals(other, baseline="a") == bootstrap_intervals(first, baseline="a")


def test_refusals() -> None:
    with pytest.raises(ValueError, match="at different clips of video 'v'"):
        paired_scores([("c", "v")], {"a": {"c": [1]}, "b": {"c": [None]}})
    scores = one_clip_each({"a": [1, 2]})
    with pytest.raises(ValueError, match="baseline is 'x'; expected one of a"):
        bootstrap_intervals(scores, baseline="x")
    with pytest.raises(ValueError, match="resamples is 0; expected at least 1"):
        bootstrap_intervals(scores, resamples=0)
