"""Frames that a conversion of the rate repeated are found, with their pattern."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vidpred.data.doctor import repeated_frames as under_test
from vidpred.data.doctor.repeated_frames import pattern, repeated_frames
from vidpred.data.index.video_index import VideoIndex
from vidpred.video import VideoInfo, write_video


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One video at its own rate, one of 10 frames a second shown at 15: every third is a repeat."""
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 255, (32, 80, 3), dtype=np.uint8)
    moving = [texture[:, 2 * k : 2 * k + 32] for k in range(16)]
    converted = [moving[2 * k // 3] for k in range(16)]
    for name, frames in (("true", moving), ("converted", converted)):
        path = tmp_path / "set" / "cls" / f"{name}.avi"
        path.parent.mkdir(parents=True, exist_ok=True)
        clip = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).contiguous()
        write_video(path, clip, fps=15)
    return tmp_path / "set"


def test_the_repeats_are_named_once_decoded_and_remembered(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with VideoIndex(root, cache=tmp_path / "cache") as index:
        index.refresh(workers=1)
        infos = {n: i for n, i in index.known().items() if isinstance(i, VideoInfo)}
        (found,) = repeated_frames(index, infos, workers=1, progress=None)
        # 2k // 3 repeats a value at k = 1, 4, 7, 10 of the first twelve.
        assert found.items == ("cls/converted.avi: frames 1, 4, 7, 10 (every 3)",)
        assert found.summary.startswith("1 of 2 videos repeat frames")
        assert not found.fault

        def never(*_: Any, **__: Any) -> None:
            pytest.fail("decoded again")

        monkeypatch.setattr(under_test, "read_clip", never)
        assert repeated_frames(index, infos, workers=1, progress=None) == [found]


def test_an_uneven_pattern_is_said_as_it_is() -> None:
    assert pattern([0, 2, 5, 7, 10]) == "frames 0, 2, 5, 7, 10 (every 2 or 3)"
