"""Mirroring whole clips."""

from collections.abc import Callable

import torch
from kornia.geometry.transform import hflip
from torch import Tensor

from vidpred.batch import ClipBatch


def mirrored(frames: Tensor, probability: float) -> Tensor:
    """Mirror each clip left to right with a probability; all its frames, or none.

    Args:
        frames: Clips, shape (B, T, C, H, W), any type.
        probability: In [0, 1].
    """
    return _where(_drawn(frames, probability), hflip(frames), frames)


def mirrored_batch(
    batch: ClipBatch, probability: float, *, condition: Callable[[str, Tensor], Tensor]
) -> ClipBatch:
    """Mirror clips as `mirrored` does, and what is known of them with them.

    Args:
        batch: Clips, with or without conditions.
        probability: In [0, 1].
        condition: Gives what the condition of a name, shape (B, T, ...), is of mirrored clips.
    """
    frames = batch["frames"]
    chosen = _drawn(frames, probability)
    changed: ClipBatch = {**batch, "frames": _where(chosen, hflip(frames), frames)}
    if "condition" in batch:
        changed["condition"] = {
            name: _where(chosen, condition(name, values), values)
            for name, values in batch["condition"].items()
        }
    return changed


def _drawn(frames: Tensor, probability: float) -> Tensor:
    return torch.rand(len(frames), device=frames.device) < probability


def _where(chosen: Tensor, one: Tensor, other: Tensor) -> Tensor:
    return torch.where(chosen.view(-1, *[1] * (one.ndim - 1)), one, other)
