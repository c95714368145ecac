"""How frames are cut into tiles, and what is done with the tiles."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from vidpred.ops.winograd.filtering import TILE

_TILES_OF_A_BAND = 128
"""At most, where a row of tiles has fewer. With 80 to 640 of them layers of 32 and 64 maps take the
same time on 240 x 320 but for a tenth; all of a frame at once, about a fifth more."""


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

    @property
    def side(self) -> int:
        """Rows and columns of inputs that a tile sees."""
        return TILE + self.kernel - 1

    @property
    def made(self) -> tuple[int, int]:
        """Height and width of an output frame."""
        beyond = 2 * self.padding - self.kernel + 1
        return self.height + beyond, self.width + beyond

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return -(-self.made[0] // TILE)

    @property
    def columns(self) -> int:
        """Columns of tiles."""
        return -(-self.made[1] // TILE)

    def bands(self) -> list[slice]:
        """Share out the rows of tiles, so that a band of all frames stays in the cache."""
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
        largest = max(band.stop - band.start for band in tiling.bands())
        self._flat = like.new_empty(self._numbers(largest))

    def of(self, band: slice) -> Tensor:
        """Give (side * side, N, channels); what was there is lost."""
        part = self._flat[: self._numbers(band.stop - band.start)]
        return part.view(self._tiling.side**2, -1, self._channels)

    def _numbers(self, rows: int) -> int:
        tiling = self._tiling
        return tiling.side**2 * tiling.batch * rows * tiling.columns * self._channels


class Transforms(Protocol):
    """The transforms of a band of N tiles, by frames, then rows, then columns.

    Frames are (B, H, W, channels) without gaps; transformed ones are (side * side, N, channels),
    and the next band of the same may overwrite them.
    """

    def see(self, frames: Tensor, band: slice) -> Tensor:
        """Transform what the tiles see of the inputs."""
        ...

    def make(self, products: Tensor, bias: Tensor | None, band: slice, made: Tensor) -> None:
        """Transform products into outputs, and write those of the band into `made`."""
        ...

    def spread(self, gradient: Tensor, band: slice) -> Tensor:
        """Give the gradient of the products from that of the outputs; the transpose of `make`."""
        ...

    def collect(self, seen: Tensor, band: slice, gradient: Tensor) -> None:
        """Add to the gradient of the inputs that of what was seen; the transpose of `see`."""
        ...
