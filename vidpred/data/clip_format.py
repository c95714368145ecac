"""Decoded clips in the size and color that training asks for."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from vidpred.ops.frame_format import reformat_uint8
from vidpred.video.clip import Pixels

Size = tuple[int, int]
Corners = Sequence[tuple[int, int]]


class CuttableClip(Protocol):
    """Frames of which patches can be cut, as `vidpred.video.DecodedClip` is.

    Attributes:
        height: Rows.
        width: Columns.
    """

    height: int
    width: int

    def __len__(self) -> int:
        """T, the number of frames."""

    def frame(self, index: int) -> Pixels:
        """Give one frame, uint8, shape (H, W, C)."""

    def patches(self, corners: Corners, size: Size) -> Pixels:
        """Cut P patches out of all frames, shape (P, T, *size, C)."""


class ArrayClip:
    """Frames in memory.

    Args:
        frames: uint8, shape (T, H, W, C).
    """

    def __init__(self, frames: Pixels) -> None:
        self._frames = frames
        self.height, self.width = frames.shape[1:3]

    def __len__(self) -> int:
        """T, the number of frames."""
        return len(self._frames)

    def frame(self, index: int) -> Pixels:
        """Give one frame."""
        found: Pixels = self._frames[index]
        return found

    def patches(self, corners: Corners, size: Size) -> Pixels:
        """Cut patches; see `CuttableClip`."""
        cut = [self._frames[:, y : y + size[0], x : x + size[1]] for y, x in corners]
        return np.stack(cut)


class GrayClip:
    """The luma of a clip, taken of what is looked at alone.

    Luma is of each pixel by itself, so that gray patches equal patches of gray frames.

    Args:
        clip: Frames in RGB.
    """

    def __init__(self, clip: CuttableClip) -> None:
        self._clip = clip
        self.height, self.width = clip.height, clip.width

    def __len__(self) -> int:
        """T, the number of frames."""
        return len(self._clip)

    def frame(self, index: int) -> Pixels:
        """Give one frame, shape (H, W, 1)."""
        return _changed(self._clip.frame(index), size=None, gray=True)

    def patches(self, corners: Corners, size: Size) -> Pixels:
        """Cut patches; see `CuttableClip`."""
        return _changed(self._clip.patches(corners, size), size=None, gray=True)


def in_format(clip: CuttableClip, *, size: Size | None, gray: bool) -> CuttableClip:
    """Bring a clip to a size and color.

    Args:
        clip: Frames in RGB.
        size: Height and width to which whole frames are resized; None keeps them. See
            `vidpred.ops.frame_format.resize_frames`, which evaluation uses too.
        gray: Whether to take the luma.
    """
    if size is not None and size != (clip.height, clip.width):
        frames = np.stack([clip.frame(index) for index in range(len(clip))])
        return ArrayClip(_changed(frames, size=size, gray=gray))
    return GrayClip(clip) if gray else clip


def _changed(pixels: npt.NDArray[np.uint8], *, size: Size | None, gray: bool) -> Pixels:
    """Do as `reformat_uint8` to pixels with the channels last, of any other axes."""
    frames = torch.from_numpy(pixels).movedim(-1, -3)
    changed = reformat_uint8(frames.reshape(-1, *frames.shape[-3:]), size=size, gray=gray)
    changed = changed.reshape(*frames.shape[:-3], *changed.shape[-3:])
    return np.ascontiguousarray(changed.movedim(-3, -1).numpy())
