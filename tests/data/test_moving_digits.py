"""Digits from IDX files, and the sequences that are rendered of them."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import kstest, uniform

from vidpred.data.digits_world import (
    SPEED,
    digit_places,
    generator_digest,
    render_moving_digits,
)
from vidpred.data.mnist_digits import Digits, find_digits, read_digits, split_digits
from vidpred.errors import DataError


def drawn(count: int) -> Digits:
    """Squares of 20 x 20 in the middle, each of a level of its own."""
    digits = np.zeros((count, 28, 28), np.uint8)
    digits[:, 4:24, 4:24] = (1 + np.arange(count) % 255)[:, None, None]
    return digits


def idx(digits: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    return np.array([0x803, *digits.shape], ">u4").tobytes() + digits.tobytes()


def test_idx_files_are_read_packed_or_not(tmp_path: Path) -> None:
    digits = drawn(30)
    plain = tmp_path / "t10k-images.idx3-ubyte"
    plain.write_bytes(idx(digits))
    packed = tmp_path / "train-images-idx3-ubyte.gz"
    packed.write_bytes(gzip.compress(idx(digits)))
    for name, path in (("t10k", plain), ("train", packed)):
        assert find_digits(tmp_path, name) == path  # type: ignore[arg-type]  # a loop's string
        assert np.array_equal(read_digits(path), digits)


def test_real_digits_are_those_of_torchvision(real_data: Path, tmp_path: Path) -> None:
    from torchvision.datasets.mnist import read_image_file

    path = find_digits(real_data / "other" / "mnist", "t10k")
    assert path is not None
    unpacked = tmp_path / "images"
    unpacked.write_bytes(gzip.decompress(path.read_bytes()))
    assert np.array_equal(read_digits(path), read_image_file(str(unpacked)).numpy())


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"short", "no IDX file of images"),
        (np.array([0x801, 1, 28, 28], ">u4").tobytes(), "no IDX file of images"),
        (idx(np.zeros((2, 32, 32), np.uint8)), "2 images of 32 x 32; expected gray digits of 28"),
        (idx(drawn(3))[:-1], r"2351 bytes of pixels, and 3 images of 28 x 28 have 2352"),
        (idx(drawn(0)), "0 images"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=problem):
        read_digits(path)
    packed = tmp_path / "cut.gz"
    packed.write_bytes(gzip.compress(content)[:-4])
    with pytest.raises(DataError, match="cannot be read"):
        read_digits(packed)


def test_splits_share_no_digit_and_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(drawn(250)))

    def levels(split: Any, sharing: Any = "t10k") -> set[int]:
        return set(split_digits(tmp_path, split, sharing)[:, 10, 10].tolist())

    def expected(*ends: int) -> set[int]:
        return {number + 1 for number in range(250) if number % 10 in ends}

    assert levels("test") == expected(9)
    assert levels("val") == expected(8)
    assert levels("train") == expected(*range(8))
    with pytest.raises(DataError, match="no train-images-idx3-ubyte"):
        levels("train", "official")
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(drawn(120)))
    assert levels("train", "official") == set(range(1, 101))
    assert levels("val", "official") == set(range(101, 121))
    assert len(split_digits(tmp_path, "test", "official")) == 250
    assert len(split_digits(tmp_path, "train")) == 200 + 120
    assert levels("test") == expected(9)
    with pytest.raises(DataError, match="no such folder"):
        split_digits(tmp_path / "absent", "test")


def corners(frames: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Where a lone square of 20 x 20 begins, by frame."""
    return np.array([np.argwhere(frame)[0] for frame in frames])


@pytest.mark.parametrize("bounce", ["elastic", "random"])
def test_a_digit_moves_straight_at_its_speed_and_stays_inside(bounce: Any) -> None:
    bounces = 0
    for seed in range(20):
        frames = render_moving_digits(drawn(5), (seed,), num_frames=40, num_digits=1, bounce=bounce)
        places = corners(frames)
        assert (places >= 4).all()
        assert (places <= 4 + 36).all()
        steps = np.diff(places, axis=0)
        # Whole pixels of a step of 3.6 pixels: each component is off by less than 1.
        assert (np.hypot(*steps.T) < SPEED * 36 + 2**0.5).all()
        turned = np.sign(steps[1:]) * np.sign(steps[:-1]) < 0
        bounces += int(turned.any(axis=1).sum())
    assert bounces > 20


def test_starts_and_directions_are_uniform() -> None:
    ways = [digit_places(1, (seed,), num_frames=2, side=28 + 10_000)[1] for seed in range(2000)]
    first, second = np.array(ways).transpose(1, 0, 2) / 10_000
    # Of the first step too, a start is known up to the sides that were reached.
    inside = ((first > 0) & (first < 1) & (second > 0) & (second < 1)).all(1)
    steps = (second - first)[inside]
    assert np.hypot(*steps.T) == pytest.approx(SPEED, abs=3e-4)
    starts = (first[inside] - steps).T
    kept = (starts > 0.2).all(0) & (starts < 0.8).all(0)  # from where no side is near
    for axis in starts[:, kept]:
        assert kstest(axis, uniform(0.2, 0.6).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(starts[:, kept])[0, 1]) < 0.15
    angles = np.arctan2(*steps[kept].T)
    assert kstest(angles, uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3


def test_a_digit_stops_at_a_side_and_turns_back() -> None:
    # As the released code of Srivastava et al. 2015 does: a side cuts the step that reaches it.
    bounces = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        rng.integers(3)  # which digit
        place, angle = rng.random(2).tolist(), rng.random() * 2 * np.pi
        step = [0.1 * np.sin(angle), 0.1 * np.cos(angle)]
        expected = []
        for _ in range(60):
            for axis in range(2):
                place[axis] += step[axis]
                if not 0 < place[axis] < 1:
                    place[axis] = min(max(place[axis], 0.0), 1.0)
                    step[axis] *= -1
                    bounces += 1
            expected.append([int(36 * of_axis) for of_axis in place])
        assert digit_places(3, (seed,), num_frames=60)[1].tolist() == expected
    assert bounces > 100


def test_a_reflected_digit_keeps_its_speed_and_a_random_one_does_not() -> None:
    def speeds(bounce: Any) -> set[int]:
        frames = render_moving_digits(
            drawn(1), (3,), num_frames=60, num_digits=1, side=328, bounce=bounce
        )
        steps = abs(np.diff(corners(frames), axis=0))[:, 0]
        # Of 30 pixels at most; all but those that end at a side are alike, to a pixel.
        values, counts = np.unique(steps // 2, return_counts=True)
        return set(values[counts > 2].tolist())

    assert len(speeds("elastic")) <= 2
    assert len(speeds("random")) > 3


def test_brighter_pixels_are_seen_where_digits_overlap() -> None:
    two = render_moving_digits(drawn(200), (5,), num_digits=2)
    for frame in two:
        values = np.unique(frame)
        assert len(values) <= 3
    alone = render_moving_digits(drawn(200), (5,), num_digits=1)
    # The first digit is drawn alike; a second only makes pixels brighter.
    assert (two >= alone).all()
    assert (two > alone).any()


@pytest.mark.parametrize("bounce", ["elastic", "random"])
def test_equal_seeds_give_equal_sequences_of_any_length(bounce: Any) -> None:
    digits = drawn(50)
    one = render_moving_digits(digits, (0, 2, 7), bounce=bounce)
    assert np.array_equal(one, render_moving_digits(digits, (0, 2, 7), bounce=bounce))
    assert not np.array_equal(one, render_moving_digits(digits, (0, 2, 8), bounce=bounce))
    longer = render_moving_digits(digits, (0, 2, 7), num_frames=60, bounce=bounce)
    assert np.array_equal(one, longer[:20])


def test_the_digest_changes_with_digits_and_options() -> None:
    options: dict[str, Any] = {"num_digits": 2, "side": 64, "bounce": "elastic"}
    found = {generator_digest(drawn(20), (0,), **options)}
    assert found == {generator_digest(drawn(20), (0,), **options)}
    found.add(generator_digest(drawn(21), (0,), **options))
    found.add(generator_digest(drawn(20), (1,), **options))
    for name, value in (("num_digits", 1), ("side", 80), ("bounce", "random")):
        found.add(generator_digest(drawn(20), (0,), **{**options, name: value}))
    assert len(found) == 6


def test_other_digits_and_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="expected gray digits of 28 x 28"):
        render_moving_digits(np.zeros((3, 32, 32), np.uint8), (0,))
    with pytest.raises(ValueError, match="side is 20"):
        render_moving_digits(drawn(2), (0,), side=20)
