"""The transforms of tiles as matrix products: for any type of numbers, wherever torch runs."""

import torch
import torch.nn.functional as F
from torch import Tensor

from vidpred.ops.winograd.filtering import TILE, filtering, on_both_axes
from vidpred.ops.winograd.tiling import Tiling


class MatrixTransforms:
    """See `Transforms`."""

    def __init__(self, tiling: Tiling, dtype: torch.dtype) -> None:
        self._tiling = tiling
        self._outputs, self._kernels, self._inputs = filtering(tiling.kernel, dtype)

    def filter(self, weight: Tensor) -> Tensor:
        """See `Transforms.filter`."""
        kernel = self._tiling.kernel
        taps = weight.permute(2, 3, 0, 1).reshape(kernel, kernel, -1)
        filters = on_both_axes(self._kernels, taps)
        return filters.view(self._tiling.side**2, *weight.shape[:2])

    def weigh(self, gradient: Tensor) -> Tensor:
        """See `Transforms.weigh`."""
        kernel, side = self._tiling.kernel, self._tiling.side
        taps = on_both_axes(self._kernels.T, gradient.view(side, side, -1))
        return taps.view(kernel, kernel, *gradient.shape[1:]).permute(2, 3, 0, 1)

    def see(self, frames: Tensor, band: slice) -> Tensor:
        """See `Transforms.see`."""
        side = self._tiling.side
        top, bottom, left, right = self._reach(band)
        seen = frames[:, max(top, 0) : bottom]
        above, below = max(-top, 0), bottom - max(top, 0) - seen.shape[1]
        padded = F.pad(seen, (0, 0, -left, right - self._tiling.width, above, below))
        tiles = padded.unfold(1, side, TILE).unfold(2, side, TILE).permute(4, 5, 0, 1, 2, 3)
        met = on_both_axes(self._inputs, tiles.reshape(side, side, -1))
        return met.view(side**2, -1, frames.shape[-1])

    def make(self, products: Tensor, bias: Tensor | None, band: slice, made: Tensor) -> None:
        """See `Transforms.make`."""
        tiling, side = self._tiling, self._tiling.side
        tiles = on_both_axes(self._outputs, products.view(side, side, -1))
        if bias is not None:
            tiles.view(-1, len(bias)).add_(bias)
        parts = tiles.view(TILE, TILE, tiling.batch, -1, tiling.columns, made.shape[-1])
        into = made[:, band.start * TILE : band.stop * TILE]
        rows = parts.permute(2, 3, 0, 4, 1, 5)
        if into.shape[1:3] == (rows.shape[1] * TILE, tiling.columns * TILE):
            _tiles(into).copy_(rows)
        else:
            whole = rows.flatten(3, 4).flatten(1, 2)
            into.copy_(whole[:, : into.shape[1], : into.shape[2]])

    def spread(self, gradient: Tensor, band: slice) -> Tensor:
        """See `Transforms.spread`."""
        tiling = self._tiling
        some = gradient[:, band.start * TILE : band.stop * TILE]
        below = (band.stop - band.start) * TILE - some.shape[1]
        padded = F.pad(some, (0, 0, 0, tiling.columns * TILE - some.shape[2], 0, below))
        tiles = _tiles(padded).permute(2, 4, 0, 1, 3, 5).reshape(TILE, TILE, -1)
        products = on_both_axes(self._outputs.T, tiles)
        return products.view(tiling.side**2, -1, gradient.shape[-1])

    def collect(self, seen: Tensor, band: slice, gradient: Tensor) -> None:
        """See `Transforms.collect`."""
        tiling, side = self._tiling, self._tiling.side
        pieces = on_both_axes(self._inputs.T, seen.view(side, side, -1))
        channels, height = gradient.shape[-1], band.stop - band.start
        pieces = pieces.view(side, side, tiling.batch, height, tiling.columns, channels)
        # A tile reaches from its own TILE rows and columns into the next, no further.
        whole = gradient.new_zeros(
            tiling.batch, height + 1, TILE, tiling.columns + 1, TILE, channels
        )
        blocks = whole.permute(2, 4, 0, 1, 3, 5)
        beyond = side - TILE
        blocks[:, :, :, :-1, :-1] += pieces[:TILE, :TILE]
        blocks[:beyond, :, :, 1:, :-1] += pieces[TILE:, :TILE]
        blocks[:, :beyond, :, :-1, 1:] += pieces[:TILE, TILE:]
        blocks[:beyond, :beyond, :, 1:, 1:] += pieces[TILE:, TILE:]
        reached = whole.flatten(3, 4).flatten(1, 2)
        top, _, left, _ = self._reach(band)
        inside = gradient[:, max(top, 0) : top + reached.shape[1]]
        above = max(-top, 0)
        inside += reached[:, above : above + inside.shape[1], -left : tiling.width - left]

    def _reach(self, band: slice) -> tuple[int, int, int, int]:
        """Give the first and last row and column that the tiles see, the last excluded.

        Those beyond the edges included.
        """
        tiling = self._tiling
        more = tiling.kernel - 1 - tiling.padding
        top, left = band.start * TILE - tiling.padding, -tiling.padding
        return top, band.stop * TILE + more, left, tiling.columns * TILE + more


def _tiles(frames: Tensor) -> Tensor:
    """View frames (B, H, W, C) as (B, rows, TILE, columns, TILE, C)."""
    return torch.unflatten(torch.unflatten(frames, 2, (-1, TILE)), 1, (-1, TILE))
