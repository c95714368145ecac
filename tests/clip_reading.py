"""Frames of a clip, and refusals, as `ClipFolder` gives them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vidpred.errors import PredictionError
from vidpred.evaluation.sources.clip_folder import ClipFolder

GREY = np.arange(80, dtype=np.uint8).reshape(8, 10)
COLOR = np.stack([GREY, GREY + 90, 255 - GREY], axis=-1)


def read(clip: Path) -> Tensor:
    return ClipFolder(clip.parent).read("the clip")


def refused(clip: Path, said: str) -> None:
    with pytest.raises(PredictionError, match=rf"clip 'the clip': .*the clip.*{said}"):
        read(clip)


def ramp(frames: int, height: int = 32, width: int = 48) -> Tensor:
    t, y, x = torch.meshgrid(
        torch.arange(frames), torch.arange(height), torch.arange(width), indexing="ij"
    )
    return torch.stack([x * 5 + t, y * 7, 255 - x * 4 - t], dim=1).clamp(0, 255).to(torch.uint8)
