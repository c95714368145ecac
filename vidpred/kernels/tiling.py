"""How frames are cut into tiles, and the transforms of the tiles."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from torch import Tensor

from vidpred.kernels.filtering import TAPS, TILE, first_taps

_TILES_OF_A_BAND = 256
"""At most, where a row of tiles has fewer. A step of `small` on eight 32 x 32 or 64 x 64 patches
takes the same time, within the noise of 5 %, with 128 to 384, and more with fewer or more tiles."""


@dataclass(frozen=True)
class Tiling:
    """Tiles of the outputs of a convolution, and of the inputs of the parts of the kernel.

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
    def taps(self) -> int:
        """Rows and columns of a part of the kernel."""
        return TAPS[self.kernel]

    @cached_property
    def parts(self) -> list[tuple[int, int]]:
        """First row and column of every part of the kernel."""
        first = first_taps(self.kernel)
        return [(row, column) for row in first for column in first]

    @cached_property
    def side(self) -> int:
        """Rows and columns of inputs of a tile and a part of the kernel."""
        return TILE + self.taps - 1

    @cached_property
    def output(self) -> tuple[int, int]:
        """Height and width of an output frame."""
        beyond = 2 * self.padding - self.kernel + 1
        return self.height + beyond, self.width + beyond

    @cached_property
    def rows(self) -> int:
        """Rows of tiles."""
        return -(-self.output[0] // TILE)

    @cached_property
    def columns(self) -> int:
        """Columns of tiles."""
        return -(-self.output[1] // TILE)

    def tiles(self, band: slice) -> int:
        """Count the tiles of a band, those of all frames."""
        rows: int = band.stop - band.start
        return self.batch * rows * self.columns

    @cached_property
    def bands(self) -> list[slice]:
        """Rows of tiles, in parts that stay in the cache; a part of all frames is a band."""
        height = max(1, _TILES_OF_A_BAND // (self.batch * self.columns))
        return [slice(row, min(row + height, self.rows)) for row in range(0, self.rows, height)]


class Workspace:
    """Workspace of one transformed band after the other: reused, as it is still in the cache.

    Args:
        tiling: How frames are cut.
        channels: Of a transformed tile.
        like: Of its type and on its device.
    """

    def __init__(self, tiling: Tiling, channels: int, like: Tensor) -> None:
        self._tiling = tiling
        # The first band has as many tiles as any.
        self._first = like.new_empty(tiling.side**2, tiling.tiles(tiling.bands[0]), channels)

    def of(self, band: slice) -> Tensor:
        """Give (side * side, N, channels); what was there is lost."""
        points, tiles, channels = self._first.shape
        wanted = self._tiling.tiles(band)
        if wanted == tiles:
            return self._first
        return self._first.flatten()[: points * wanted * channels].view(points, wanted, channels)


class Transforms(Protocol):
    """The transforms of a band of N tiles, by frames, then rows, then columns.

    Frames are (B, H, W, channels) without gaps; transformed ones are (side * side, N, channels) for
    outputs, and (side * side, N, P * channels) for inputs, with P parts of the kernel.
    """

    def filter_transform(self, weight: Tensor) -> Tensor:
        """Transform weights (D, C, k, k) into filters (side * side, D, P * C)."""
        ...

    def filter_gradient(self, gradient: Tensor) -> Tensor:
        """Give the gradient of the weights from that of the filters.

        The transpose of `filter_transform`.
        """
        ...

    def input_transform(self, frames: Tensor, band: slice) -> Tensor:
        """Transform the inputs of the tiles."""
        ...

    def output_transform(
        self, products: Tensor, bias: Tensor | None, band: slice, output: Tensor, *, relu: bool
    ) -> None:
        """Transform products into outputs, and write those of the band into `output`."""
        ...

    def output_gradient(self, gradient: Tensor, band: slice, activated: Tensor | None) -> Tensor:
        """Give the gradient of the products from that of the outputs.

        The transpose of `output_transform`. After a ReLU its outputs are given, `activated`. The
        next band may overwrite the result.
        """
        ...

    def input_gradient(self, transformed: Tensor, band: slice, gradient: Tensor) -> None:
        """Add to the gradient of the inputs that of the transformed ones.

        The transpose of `input_transform`.
        """
        ...
