"""Patterns whose motion is known."""

import numpy as np
import torch
from torch import Tensor

from vidpred.data.shapes_texture import draw_texture


def moving_texture(
    velocity: tuple[float, float], *, num_frames: int, height: int = 96, width: int = 128
) -> Tensor:
    """Draw a texture that moves by (dx, dy) pixels a frame, shape (T, 3, H, W) in [0, 1]."""
    texture = draw_texture(np.random.default_rng(3), contrast=1.0)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    dx, dy = velocity
    frames = [texture.sample(columns - dx * t, rows - dy * t) for t in range(num_frames)]
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float()
