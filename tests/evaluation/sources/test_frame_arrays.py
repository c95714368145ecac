"""Arrays as the frames of a clip: layouts, ranges, types, and every kind of damage."""

import io
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from clip_reading import GREY, read, refused

from vidpred.errors import PredictionError
from vidpred.evaluation.sources.clip_folder import ClipFolder


@pytest.mark.parametrize(
    ("shape", "to_tchw"),
    [
        ((5, 8, 10), lambda a: a[:, None]),
        ((3, 8, 10), lambda a: a[:, None]),
        ((5, 8, 10, 3), lambda a: a.transpose(0, 3, 1, 2)),
        ((5, 8, 10, 1), lambda a: a.transpose(0, 3, 1, 2)),
        ((5, 3, 8, 10), lambda a: a),
        ((5, 1, 8, 10), lambda a: a),
        ((3, 3, 8, 10), lambda a: a),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_layouts_of_arrays(
    clip: Path, shape: tuple[int, ...], to_tchw: Callable[[np.ndarray], np.ndarray], order: str
) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.save(clip / "x.npy", array if order == "C" else np.asfortranarray(array))
    frames = read(clip)
    assert np.array_equal(frames.numpy(), to_tchw(array))
    assert frames.is_contiguous()


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((8, 10, 3), r"one frame \(H, W, C\), or 8 gray frames that are 3 pixels wide"),
        ((5, 3, 8, 3), r"3 x 8 pixels .* as \(T, H, W, C\), and 8 x 3 as \(T, C, H, W\)"),
        ((5, 1, 8, 3), "too small to be recognized, write them as PNG"),
        ((5, 8, 10, 4), r"shape \(5, 8, 10, 4\); expected \(T, H, W, C\) or"),
        ((1, 5, 8, 10, 3), "one clip a file"),
        ((8, 10), r"shape \(8, 10\); expected"),
        ((), r"shape \(\); expected"),
        ((0, 3, 8, 10), r"shape \(0, 3, 8, 10\) holds no pixel"),
        ((5, 0, 10), "holds no pixel|cannot be read"),
    ],
)
def test_other_shapes_are_refused(clip: Path, shape: tuple[int, ...], said: str) -> None:
    np.save(clip / "x.npy", np.zeros(shape, np.uint8))
    refused(clip, said)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
@pytest.mark.parametrize("value_range", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-0.5, 0.5)])
def test_floats_come_to_zero_one(clip: Path, dtype: str, value_range: tuple[float, float]) -> None:
    low, high = value_range
    unit = np.random.default_rng(0).random((2, 8, 10))
    unit[0, 0, :2] = 0, 1
    np.save(clip / "x.npy", (unit * (high - low) + low).astype(dtype))
    frames = ClipFolder(clip.parent, value_range=value_range).read("the clip")
    assert frames.dtype == torch.float32
    # Half precision has 11 bits, here of values up to 2 (in units of the range).
    tolerance = 1e-3 if dtype == "f2" else 1e-6
    assert np.abs(frames[:, 0].numpy() - unit).max() < tolerance
    assert frames.min() >= 0
    assert frames.max() <= 1


def test_bytes_are_bytes_whatever_the_range(clip: Path) -> None:
    np.save(clip / "x.npy", GREY[None])
    frames = ClipFolder(clip.parent, value_range=(-1, 1)).read("the clip")
    assert np.array_equal(frames[0, 0].numpy(), GREY)


@pytest.mark.parametrize(
    ("value_range", "low", "high"),
    [((0, 1), -1.0, 1.0), ((0, 1), 0.0, 255.0), ((0, 1), 0.0, 1.002), ((-1, 1), -1.01, 1.0)],
)
def test_values_outside_the_range_are_refused(
    clip: Path, value_range: tuple[float, float], low: float, high: float
) -> None:
    array = np.full((2, 8, 10), 0.5, np.float32)
    array[1, 3, 3:5] = low, high
    np.save(clip / "x.npy", array)
    said = rf"values from {low:g} to {high:g}; expected {value_range[0]} to 1: clip them"
    with pytest.raises(PredictionError, match=rf"the clip.*x\.npy: {said}"):
        ClipFolder(clip.parent, value_range=value_range).read("the clip")


def test_rounding_is_no_other_range(clip: Path) -> None:
    # A thousandth of the range is allowed and clipped.
    np.save(clip / "x.npy", np.array([[[-0.0009, 0.5, 0.25, 1.0009]]]))
    assert read(clip).flatten().tolist() == [0, 0.5, 0.25, 1]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused(clip: Path, value: float) -> None:
    array = np.full((3, 8, 10), 0.5, np.float32)
    array[2, 7, 9] = value
    np.save(clip / "x.npy", array)
    refused(clip, "frame 3 of 3 holds NaN or infinity; expected numbers from 0 to 1")


@pytest.mark.parametrize("dtype", ["i8", "u2", "c8", "?", "U1", [("a", "u1")]])
def test_other_types_are_refused(clip: Path, dtype: object) -> None:
    np.save(clip / "x.npy", np.zeros((2, 8, 10), dtype))  # type: ignore[call-overload]  # any
    refused(clip, "values of type .*; expected uint8")


class Trap:
    """Says so when a pickle is opened."""

    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return warnings.warn, ("a pickle was opened",)


def test_damaged_arrays_are_refused_and_run_nothing(clip: Path) -> None:
    file = clip / "x.npy"
    np.save(file, np.array([Trap()], dtype=object))
    refused(clip, r"x\.npy: cannot be read \(.*Python objects.*\); expected one whole array")
    np.save(file, np.zeros((2, 8, 10), np.uint8))
    whole = file.read_bytes()
    zipped = io.BytesIO()
    np.savez(zipped, a=np.zeros(3))
    for content in (b"", b"a text", whole[:-1], whole[:90], whole[:7], pickle.dumps(Trap())):
        file.write_bytes(content)
        refused(clip, r"x\.npy: cannot be read \(.+\); expected one whole array")
    file.write_bytes(zipped.getvalue())
    refused(clip, r"x\.npy: cannot be read")
    file.write_bytes(whole.replace(b"(2, 8, 10)", b"(2, 8, -9)"))
    refused(clip, r"x\.npy: cannot be read")
    file.write_bytes(whole.replace(b"{'descr'", b"{{descr'"))
    refused(clip, r"x\.npy: cannot be read")


def test_no_values_are_read_to_count(clip: Path) -> None:
    # 100 GB on paper: a hole in the file. Only its header can be read in time and memory.
    with (clip / "x.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (100_000, 1000, 1000)}
        )
        file.truncate(file.tell() + 100_000 * 1000 * 1000)
    with pytest.raises(PredictionError, match=r"x\.npy: 100000 frame\(s\); expected 2"):
        ClipFolder(clip.parent).read_pred("the clip", 2)
