"""Checkpoints, a video and a folder for commands."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from encoded_videos import KINDS
from encoded_videos import write as encode
from predict_command import FRAMES
from saved_predictors import save_predictor

from vidpred.models import CopyLastFrame, LinearExtrapolation


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint that copies the last of three frames."""
    path = tmp_path_factory.mktemp("copies") / "copies.ckpt"
    return str(save_predictor(CopyLastFrame(context_frames=3), path))


@pytest.fixture(scope="module")
def rises(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint that knows the future of what changes evenly."""
    path = tmp_path_factory.mktemp("rises") / "rises.ckpt"
    return str(save_predictor(LinearExtrapolation(context_frames=2), path))


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Thirty frames that all differ, without loss."""
    kind = next(kind for kind in KINDS if kind.name == "ffv1.avi")
    return encode(tmp_path, kind, FRAMES)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, which at the end holds nothing hidden: no half outputs."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield folder
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]
