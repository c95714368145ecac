"""Motion that is put into real clips: a camera that pans, and a patch that flies by."""

import torch
from torch import Tensor

from vidpred.errors import SettingError

SIZE_MULTIPLE = 16
"""Panned frames lose a multiple of so many rows and columns, so that networks still take them."""

SMALLEST, LARGEST = 1 / 24, 1 / 4
"""Sides of a patch, of the frame's height."""

FASTEST = 1 / 20
"""Most that a patch moves between two frames, of the frame's height."""


def pan(clips: Tensor, fastest: int) -> Tensor:
    """Move a window over each clip by whole pixels, evenly, as a camera that pans; half stay still.

    Args:
        clips: Shape (B, T, C, H, W).
        fastest: Most that the window moves between two frames, pixels, each way.

    Returns:
        Same shape, but smaller frames: the window has room for the fastest motion.

    Raises:
        SettingError: When frames are too small for that.
    """
    _, frames, _, height, width = clips.shape
    room = -(-fastest * (frames - 1) // SIZE_MULTIPLE) * SIZE_MULTIPLE
    if min(height, width) - room < SIZE_MULTIPLE:
        raise SettingError(
            f"training clips are {height} x {width}; expected at least {room + SIZE_MULTIPLE} rows "
            f"and columns (data.patch_size) to pan by {fastest} pixels a frame over {frames} "
            "frames (data.augmentation.pan)"
        )
    panned = clips.new_empty(*clips.shape[:-2], height - room, width - room)
    for clip, shown in zip(clips, panned, strict=True):
        still = bool(_below(2))
        velocities = [0 if still else _below(2 * fastest + 1) - fastest for _ in range(2)]
        corners = [
            _below(room - abs(v) * (frames - 1) + 1) + (abs(v) * (frames - 1) if v < 0 else 0)
            for v in velocities
        ]
        for t in range(frames):
            top, left = (corner + v * t for corner, v in zip(corners, velocities, strict=True))
            shown[t] = clip[t, :, top : top + height - room, left : left + width - room]
    return panned


def add_flying_patch(clip: Tensor, other: Tensor) -> None:
    """Let an ellipse of another clip fly through a clip, in place, evenly, by whole pixels.

    Args:
        clip: Shape (T, C, H, W).
        other: One frame of the other clip, shape (C, H, W).
    """
    frames, _, height, width = clip.shape
    rows, columns = (
        max(2, int(height * (SMALLEST + (LARGEST - SMALLEST) * float(torch.rand(())))))
        for _ in range(2)
    )
    rows, columns = min(rows, height), min(columns, width)
    fastest = max(1, round(height * FASTEST))
    down, right = (_below(2 * fastest + 1) - fastest for _ in range(2))
    seen = _below(frames)  # when it is where it is drawn
    top, left = _below(height - rows + 1), _below(width - columns + 1)
    texture = other[:, top : top + rows, left : left + columns].clone()
    y, x = torch.linspace(-1, 1, rows)[:, None], torch.linspace(-1, 1, columns)
    inside = (y.square() + x.square() <= 1).to(clip.device)
    row, column = _below(height - rows + 1), _below(width - columns + 1)
    for t in range(frames):
        y0, x0 = row + down * (t - seen), column + right * (t - seen)
        y1, x1 = min(y0 + rows, height), min(x0 + columns, width)
        cut_y, cut_x = max(0, -y0), max(0, -x0)
        if y0 + cut_y >= y1 or x0 + cut_x >= x1:
            continue
        part = slice(cut_y, y1 - y0), slice(cut_x, x1 - x0)
        there = clip[t, :, y0 + cut_y : y1, x0 + cut_x : x1]
        there.copy_(torch.where(inside[part], texture[:, *part], there))


def _below(count: int) -> int:
    return int(torch.randint(count, ()).item())
