from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from vidpred.data.patches import (
    MOTION_TRIES,
    PATCH_MOTION_THRESHOLD,
    choose_patches,
    motion_of_crop,
)
from vidpred.video import read_clip_array

Pixels = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]


def motions(
    before: Pixels, after: Pixels, tops: Integers, lefts: Integers, size: int
) -> npt.NDArray[np.float64]:
    return np.array(
        [
            motion_of_crop(before, after, y, x, size)
            for y, x in zip(tops.tolist(), lefts.tolist(), strict=True)
        ]
    )


def test_motion_is_the_root_mean_square_of_the_crop() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.integers(0, 256, (2, 30, 41, 3), dtype=np.uint8)
    tops, lefts = rng.integers(0, 30 - 8 + 1, 50), rng.integers(0, 41 - 8 + 1, 50)
    # The definition, crop by crop in floating point.
    expected = [
        np.sqrt(
            np.mean((after[y : y + 8, x : x + 8] / 255 - before[y : y + 8, x : x + 8] / 255) ** 2)
        )
        for y, x in zip(tops, lefts, strict=True)
    ]
    found = motions(before, after, tops, lefts, 8)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_full_contrast_is_one_and_stillness_zero() -> None:
    black = np.zeros((240, 320, 3), np.uint8)
    assert motion_of_crop(black, black + 255, 0, 0, 240) == pytest.approx(1)
    assert motion_of_crop(black, black, 0, 0, 240) == 0


def test_moving_patches_are_preferred() -> None:
    before = np.zeros((240, 320, 3), np.uint8)
    after = before.copy()
    after[96:176, 128:192] = 60  # a fifteenth of the frame
    rng = np.random.default_rng(0)
    chosen = choose_patches(before, after, size=32, count=500, threshold=0.02, rng=rng)
    tops, lefts, accepted = np.array(chosen).T
    moves = motions(before, after, tops, lefts, 32) > 0.02
    assert np.array_equal(moves, accepted)
    rows, columns = rng.integers(0, 209, 20000), rng.integers(0, 289, 20000)
    by_chance = (motions(before, after, rows, columns, 32) > 0.02).mean()
    # One try succeeds with probability p, the best of 25 with 1 - (1 - p) ** 25.
    assert by_chance < 0.25
    assert moves.mean() == pytest.approx(1 - (1 - by_chance) ** MOTION_TRIES, abs=0.02)


def test_the_first_crop_that_moves_is_taken_and_else_the_last() -> None:
    still = np.zeros((64, 64, 3), np.uint8)
    draws = np.random.default_rng(3)
    tops, lefts = draws.integers(33, size=(1, 25)), draws.integers(33, size=(1, 25))
    last = choose_patches(
        still, still, size=32, count=1, threshold=0.0, rng=np.random.default_rng(3)
    )
    assert last == [(tops[0, -1], lefts[0, -1], False)]
    moving = choose_patches(
        still, still + 255, size=32, count=1, threshold=0.5, rng=np.random.default_rng(3)
    )
    assert moving == [(tops[0, 0], lefts[0, 0], True)]


def test_corners_reach_the_borders_and_stay_inside() -> None:
    still = np.zeros((33, 34, 3), np.uint8)
    rng = np.random.default_rng(0)
    corners = choose_patches(still, still, size=32, count=300, threshold=0, rng=rng)
    assert set(corners) == {(y, x, False) for y in range(2) for x in range(3)}


@pytest.mark.slow
def test_default_threshold_passes_the_moving_half_of_real_crops(real_data: Path) -> None:
    rng = np.random.default_rng(0)
    passed = []
    for path in sorted((real_data / "ucf101" / "UCF-101").glob("*/*.avi")):
        before, after = read_clip_array(path, int(rng.integers(0, 45)), 2)
        tops, lefts = rng.integers(0, 240 - 31, 40), rng.integers(0, 320 - 31, 40)
        passed.append(motions(before, after, tops, lefts, 32) > PATCH_MOTION_THRESHOLD)
    # 0.47 of the 257 clips that the default was chosen on, 0.44 of 528.
    assert np.mean(passed) == pytest.approx(0.455, abs=0.03)
