"""Rectangles of a frame, and a large frame cut into overlapping ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor


@dataclass(frozen=True)
class Region:
    """Rows `top` to `bottom` and columns `left` to `right` of a frame, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def of(cls, frames: Tensor) -> Self:
        """Give all of frames (..., H, W)."""
        return cls(0, frames.shape[-2], 0, frames.shape[-1])

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index the last two dimensions of a tensor."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def halved(self) -> "Region":
        """Give the same region of frames of half the size; all of it is even."""
        return Region(self.top // 2, self.bottom // 2, self.left // 2, self.right // 2)


@dataclass(frozen=True)
class Part:
    """A part of a frame that is computed by itself.

    Attributes:
        seen: What has to be computed.
        kept: Index of what is kept of it, in the frame.
        inner: Index of the same, in what was computed.
    """

    seen: Region
    kept: tuple[Any, ...]
    inner: tuple[Any, ...]


def regions(frames: Tensor, size: int, *, multiple: int, margin: int) -> Iterator[Part]:
    """Cut frames into parts of about equal size that overlap by a margin.

    Args:
        frames: Shape (..., H, W), H and W multiples of `multiple`.
        size: Rows and columns above which a frame is cut, without the margin.
        multiple: Of all corners.
        margin: Pixels that a part sees on each side where the frame continues; a multiple.

    Example:
        >>> import torch
        >>> [part.seen.slices[1] for part in regions(torch.zeros(8, 64), 32, multiple=8, margin=8)]
        [slice(0, 40, None), slice(24, 64, None)]
    """
    height, width = frames.shape[-2:]
    for top, bottom in _cuts(height, size, multiple):
        for left, right in _cuts(width, size, multiple):
            seen = Region(
                max(0, top - margin),
                min(height, bottom + margin),
                max(0, left - margin),
                min(width, right + margin),
            )
            inner = Region(top - seen.top, bottom - seen.top, left - seen.left, right - seen.left)
            kept = Region(top, bottom, left, right)
            yield Part(seen, (..., *kept.slices), (..., *inner.slices))


def _cuts(length: int, size: int, multiple: int) -> list[tuple[int, int]]:
    parts = -(-length // size)
    units = length // multiple
    inner = -(-units // parts) * multiple
    return [(begin, min(length, begin + inner)) for begin in range(0, length, inner)]
