"""How frames are cut into tiles, and what is done with the tiles."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from torch import Tensor

from vidpred.ops.winograd.filtering import TILE

_TILES_OF_A_BAND = 256
"""At most, where a row of tiles has fewer. A step of `small` on eight 32 x 32 or 64 x 64 patches
takes the same time, within the noise of 5 %, with 128 to 384, and more with fewer or more tiles."""


@dataclass(frozen=True)
class Tiling:
    """Tiles of the outputs of a convolution, each of which sees `side` x `side` inputs.

    Attributes:
        batch: Frames.
        height: Rows of an input frame.
        width: Columns of an input frame.
        kernel: Rows and columns of the kernel.
        padding: Zeros around the inputs.
    """

    batch: int
    height: int
    width: int
    kernel: int
    padding: int

    @cached_property
    def side(self) -> int:
        """Rows and columns of inputs that a tile sees."""
        return TILE + self.kernel - 1

    @cached_property
    def made(self) -> tuple[int, int]:
        """Height and width of an output frame."""
        beyond = 2 * self.padding - self.kernel + 1
        return self.height + beyond, self.width + beyond

    @cached_property
    def rows(self) -> int:
        """Rows of tiles."""
        return -(-self.made[0] // TILE)

    @cached_property
    def columns(self) -> int:
        """Columns of tiles."""
        return -(-self.made[1] // TILE)

    def tiles(self, band: slice) -> int:
        """Count the tiles of a band, those of all frames."""
        rows: int = band.stop - band.start
        return self.batch * rows * self.columns

    @cached_property
    def bands(self) -> list[slice]:
        """Rows of tiles, in parts that stay in the cache; a part of all frames is a band."""
        height = max(1, _TILES_OF_A_BAND // (self.batch * self.columns))
        return [slice(row, min(row + height, self.rows)) for row in range(0, self.rows, height)]


class Room:
    """Memory for one transformed band after the other: the same, as it is still in the cache.

    Args:
        tiling: How frames are cut.
        like: Has the channels of what is transformed last, its type and device.
    """

    def __init__(self, tiling: Tiling, like: Tensor) -> None:
        self._tiling = tiling
        self._channels = like.shape[-1]
        largest = max(map(tiling.tiles, tiling.bands))
        self._flat = like.new_empty(tiling.side**2 * largest * self._channels)

    def of(self, band: slice) -> Tensor:
        """Give (side * side, N, channels); what was there is lost."""
        shape = (self._tiling.side**2, self._tiling.tiles(band), self._channels)
        return self._flat[: math.prod(shape)].view(shape)


class Transforms(Protocol):
    """The transforms of a band of N tiles, by frames, then rows, then columns.

    Frames are (B, H, W, channels) without gaps; transformed ones are (side * side, N, channels).
    """

    def filter(self, weight: Tensor) -> Tensor:
        """Transform weights (D, C, k, k) into filters (side * side, D, C)."""
        ...

    def weigh(self, gradient: Tensor) -> Tensor:
        """Give the gradient of the weights from that of the filters; the transpose of `filter`."""
        ...

    def see(self, frames: Tensor, band: slice) -> Tensor:
        """Transform what the tiles see of the inputs."""
        ...

    def make(self, products: Tensor, bias: Tensor | None, band: slice, made: Tensor) -> None:
        """Transform products into outputs, and write those of the band into `made`."""
        ...

    def spread(self, gradient: Tensor, band: slice) -> Tensor:
        """Give the gradient of the products from that of the outputs; the transpose of `make`.

        The next band may overwrite it.
        """
        ...

    def collect(self, seen: Tensor, band: slice, gradient: Tensor) -> None:
        """Add to the gradient of the inputs that of what was seen; the transpose of `see`."""
        ...
