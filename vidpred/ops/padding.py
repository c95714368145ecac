"""Frames of sizes that a network can halve: the last row and column are repeated."""

import torch
from torch import Tensor


def pad_to_multiple(frames: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until H and W are multiples.

    Repeating, not zeros: a black border would be an edge that the network predicts, and feeds back.

    Args:
        frames: Shape (B, T, C, H, W).
        multiple: At least 1.

    Returns:
        Shape (B, T, C, H', W') with H' and W' the next multiples; the frames themselves where
        nothing is missing.
    """
    missing_h, missing_w = -frames.shape[-2] % multiple, -frames.shape[-1] % multiple
    if not missing_h and not missing_w:
        return frames
    return repeat_edges(frames, multiple)


def repeat_edges(frames: Tensor, multiple: int) -> Tensor:
    """Do as `pad_to_multiple`, without asking whether anything is missing.

    Nothing here depends on the frame size but sizes, so that one graph serves all of them.
    """
    for dim in (-2, -1):
        size = frames.shape[dim]
        padded = (size + multiple - 1) // multiple * multiple
        places = torch.arange(padded, device=frames.device).clamp(max=size - 1)
        frames = frames.index_select(dim, places)
    return frames
