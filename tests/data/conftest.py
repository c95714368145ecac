"""A small rendered set, and small videos to build other sets of."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from vidpred.data import write_moving_shapes
from vidpred.video import write_video

MakeVideo = Callable[..., Path]


@pytest.fixture(scope="session")
def toy_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four classes, 3 groups, 2 clips of 12 frames, 48 x 64."""
    root = tmp_path_factory.mktemp("toy") / "set"
    return write_moving_shapes(root, num_groups=3, num_frames=12, height=48, width=64)


@pytest.fixture
def make_video() -> MakeVideo:
    """Write a video of noise, of the given number of frames and size."""

    def make(path: Path, frames: int = 8, height: int = 40, width: int = 48) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = torch.randint(0, 256, (frames, 3, height, width), dtype=torch.uint8)
        write_video(path, noise)
        return path

    return make
