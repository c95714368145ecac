"""Arrays next to a video, cut exactly as its frames are."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vidpred.errors import VideoError
from vidpred.video.conditions import (
    clip_conditions,
    conditions_path,
    has_conditions,
    read_conditions,
    write_conditions,
)


def test_rows_are_those_of_the_frames(tmp_path: Path) -> None:
    video = tmp_path / "drive.avi"
    actions = np.arange(20, dtype=np.float64).reshape(10, 2)
    write_conditions(video, {"actions": actions, "gear": np.arange(10, dtype=np.uint8)})
    assert conditions_path(video).name == "drive.avi.conditions.npz"
    found = clip_conditions(video, 3, 3, frame_step=2)
    assert found["actions"].dtype == torch.float32
    assert found["actions"].tolist() == [[6, 7], [10, 11], [14, 15]]  # frames 3, 5 and 7
    assert found["gear"].dtype == torch.int64
    assert found["gear"].tolist() == [3, 5, 7]


def test_a_video_without_conditions_has_none(tmp_path: Path) -> None:
    assert not has_conditions(tmp_path / "a.avi")
    assert clip_conditions(tmp_path / "a.avi", 0, 4) == {}


def test_truth_values_stay_truth_values(tmp_path: Path) -> None:
    write_conditions(tmp_path / "a.avi", {"brake": torch.tensor([True, False])})
    assert clip_conditions(tmp_path / "a.avi", 0, 2)["brake"].dtype == torch.bool


def test_too_few_rows_are_named(tmp_path: Path) -> None:
    write_conditions(tmp_path / "a.avi", {"actions": np.zeros((5, 1))})
    with pytest.raises(VideoError, match="'actions' has 5 rows, and frame 5 was asked for"):
        clip_conditions(tmp_path / "a.avi", 2, 4)


def test_what_is_no_file_of_arrays_is_named(tmp_path: Path) -> None:
    path = conditions_path(tmp_path / "a.avi")
    path.write_bytes(b"not a zip file")
    with pytest.raises(VideoError, match=r"a\.avi\.conditions\.npz: cannot be read as arrays"):
        read_conditions(tmp_path / "a.avi")
    np.savez(path, actions=np.zeros(3))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(VideoError, match="cannot be read as arrays"):
        read_conditions(tmp_path / "a.avi")


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (np.array(["left", "right"]), "expected numbers with a row for each frame"),
        (np.array(3.0), "expected numbers with a row for each frame"),
        (np.empty((0, 2)), "expected numbers with a row for each frame"),
        (np.array([0.0, np.nan]), "not finite at frame 1"),
        (np.array([0.0, 1.0, np.inf]), "not finite at frame 2"),
        (np.array([0.0, 1e300]), "not finite at frame 1; expected finite numbers that float32"),
        (np.array([0, 2**64 - 1], np.uint64), "expected numbers that int64 holds"),
        (np.array([None, 1], dtype=object), "cannot be read as arrays|expected numbers"),
    ],
)
def test_what_is_no_finite_number_is_refused(
    tmp_path: Path, rows: np.ndarray[tuple[int, ...], np.dtype[np.generic]], problem: str
) -> None:
    with pytest.raises(ValueError, match="expected"):
        write_conditions(tmp_path / "a.avi", {"actions": rows})
    np.savez(conditions_path(tmp_path / "a.avi"), actions=rows)
    with pytest.raises(VideoError, match=problem):
        read_conditions(tmp_path / "a.avi")


def test_archives_that_are_made_up_are_named(tmp_path: Path) -> None:
    path = conditions_path(tmp_path / "a.avi")
    np.savez(path, actions=np.zeros(3))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("notes", "no array")
    with pytest.raises(VideoError, match="notes is no array"):
        read_conditions(tmp_path / "a.avi")
    np.savez_compressed(path, actions=np.random.default_rng(0).random(999))
    content = bytearray(path.read_bytes())
    content[200:260] = b"\xff" * 60
    path.write_bytes(content)
    with pytest.raises(VideoError, match="cannot be read as arrays"):
        read_conditions(tmp_path / "a.avi")
    for shape in (b"((((", b"(%d,)}" % 10**30):
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + b"\n"
        length = len(header).to_bytes(2, "little")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("actions.npy", np.lib.format.magic(1, 0) + length + header)
        with pytest.raises(VideoError, match="cannot be read as arrays"):
            read_conditions(tmp_path / "a.avi")


def test_what_is_there_stays_until_all_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = tmp_path / "drive.avi"
    write_conditions(video, {"gear": np.arange(3)})

    def full(file: Any, **_: Any) -> None:
        file.write(b"PK")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        write_conditions(video, {"gear": np.arange(5)})
    assert len(read_conditions(video)["gear"]) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["drive.avi.conditions.npz"]
