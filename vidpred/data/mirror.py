"""Mirroring whole clips."""

import torch
from kornia.geometry.transform import hflip
from torch import Tensor


def mirrored(frames: Tensor, probability: float) -> Tensor:
    """Mirror each clip left to right with a probability; all its frames, or none.

    Args:
        frames: Clips, shape (B, T, C, H, W), any type.
        probability: In [0, 1].
    """
    chosen = torch.rand(len(frames), device=frames.device) < probability
    return torch.where(chosen.view(-1, 1, 1, 1, 1), hflip(frames), frames)
