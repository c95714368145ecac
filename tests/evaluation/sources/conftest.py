"""Folders that several files of tests read."""

from pathlib import Path

import pytest


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """An empty folder for the clip "the clip"."""
    folder = tmp_path / "the clip"
    folder.mkdir()
    return folder
