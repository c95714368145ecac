"""The transforms of tiles as matrix products: for any type of numbers, wherever torch runs."""

import torch
import torch.nn.functional as F
from torch import Tensor

from vidpred.kernels.filtering import TILE, filtering, on_both_axes
from vidpred.kernels.tiling import Tiling


class MatrixTransforms:
    """See `Transforms`."""

    def __init__(self, tiling: Tiling, dtype: torch.dtype) -> None:
        self._tiling = tiling
        matrices = filtering(tiling.taps, dtype)
        self._output_matrix = matrices.output
        self._filter_matrix = matrices.filter
        self._input_matrix = matrices.input

    def filter_transform(self, weight: Tensor) -> Tensor:
        """See `Transforms.filter_transform`."""
        return torch.cat(
            [self._filter_transform_of_part(part) for part in self._parts_of(weight)], -1
        )

    def filter_gradient(self, gradient: Tensor) -> Tensor:
        """See `Transforms.filter_gradient`."""
        kernel, side = self._tiling.kernel, self._tiling.side
        after, of_parts = gradient.shape[1:]
        before = of_parts // len(self._tiling.parts)
        weight = gradient.new_empty(after, before, kernel, kernel)
        for part, some in zip(
            self._parts_of(weight), torch.split(gradient, before, -1), strict=True
        ):
            taps = on_both_axes(self._filter_matrix.T, some.reshape(side, side, -1))
            rows, columns = part.shape[2:]
            part.copy_(taps[:rows, :columns].view(rows, columns, after, before).permute(2, 3, 0, 1))
        return weight

    def input_transform(self, frames: Tensor, band: slice) -> Tensor:
        """See `Transforms.input_transform`."""
        return torch.cat(
            [self._input_transform_of_part(frames, band, part) for part in self._tiling.parts], -1
        )

    def output_transform(
        self, products: Tensor, bias: Tensor | None, band: slice, output: Tensor, *, relu: bool
    ) -> None:
        """See `Transforms.output_transform`."""
        tiling, side = self._tiling, self._tiling.side
        tiles = on_both_axes(self._output_matrix, products.view(side, side, -1))
        if bias is not None:
            tiles.view(-1, len(bias)).add_(bias)
        if relu:
            tiles.relu_()
        parts = tiles.view(TILE, TILE, tiling.batch, -1, tiling.columns, output.shape[-1])
        into = output[:, band.start * TILE : band.stop * TILE]
        rows = parts.permute(2, 3, 0, 4, 1, 5)
        if into.shape[1:3] == (rows.shape[1] * TILE, tiling.columns * TILE):
            _tiles(into).copy_(rows)
        else:
            whole = rows.flatten(3, 4).flatten(1, 2)
            into.copy_(whole[:, : into.shape[1], : into.shape[2]])

    def output_gradient(self, gradient: Tensor, band: slice, activated: Tensor | None) -> Tensor:
        """See `Transforms.output_gradient`."""
        tiling, rows = self._tiling, slice(band.start * TILE, band.stop * TILE)
        some = gradient[:, rows]
        if activated is not None:
            some = torch.ops.aten.threshold_backward(some, activated[:, rows], 0)
        below = (band.stop - band.start) * TILE - some.shape[1]
        padded = F.pad(some, (0, 0, 0, tiling.columns * TILE - some.shape[2], 0, below))
        tiles = _tiles(padded).permute(2, 4, 0, 1, 3, 5).reshape(TILE, TILE, -1)
        products = on_both_axes(self._output_matrix.T, tiles)
        return products.view(tiling.side**2, -1, gradient.shape[-1])

    def input_gradient(self, transformed: Tensor, band: slice, gradient: Tensor) -> None:
        """See `Transforms.input_gradient`."""
        parts = self._tiling.parts
        for part, some in zip(parts, torch.split(transformed, gradient.shape[-1], -1), strict=True):
            self._input_gradient_of_part(some, band, part, gradient)

    def _filter_transform_of_part(self, part: Tensor) -> Tensor:
        rows, columns = part.shape[2:]
        taps = part.permute(2, 3, 0, 1).reshape(rows, columns, -1)
        missing = (0, 0, 0, self._tiling.taps - columns, 0, self._tiling.taps - rows)
        filters = on_both_axes(self._filter_matrix, F.pad(taps, missing))
        return filters.view(self._tiling.side**2, *part.shape[:2])

    def _input_transform_of_part(
        self, frames: Tensor, band: slice, part: tuple[int, int]
    ) -> Tensor:
        side = self._tiling.side
        (top, bottom), (left, right) = self._reach(band, part)
        inputs = frames[:, max(top, 0) : max(bottom, 0)]
        above = min(max(-top, 0), bottom - top)
        below = bottom - top - above - inputs.shape[1]
        padded = F.pad(inputs, (0, 0, -left, right - self._tiling.width, above, below))
        tiles = padded.unfold(1, side, TILE).unfold(2, side, TILE).permute(4, 5, 0, 1, 2, 3)
        transformed = on_both_axes(self._input_matrix, tiles.reshape(side, side, -1))
        return transformed.view(side**2, -1, frames.shape[-1])

    def _input_gradient_of_part(
        self, inputs: Tensor, band: slice, part: tuple[int, int], gradient: Tensor
    ) -> None:
        tiling, side = self._tiling, self._tiling.side
        pieces = on_both_axes(self._input_matrix.T, inputs.reshape(side, side, -1))
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
        (top, _), (left, _) = self._reach(band, part)
        inside = gradient[:, max(top, 0) : max(top + reached.shape[1], 0), max(left, 0) :]
        inside = inside[:, :, : max(reached.shape[2] + min(left, 0), 0)]
        above, before = max(-top, 0), max(-left, 0)
        inside += reached[:, above : above + inside.shape[1], before : before + inside.shape[2]]

    def _reach(self, band: slice, part: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Give the first and last row, then column, that a part sees, the last excluded.

        Those beyond the edges included.
        """
        tiling = self._tiling
        top, left = (first - tiling.padding for first in part)
        rows = (band.start * TILE + top, band.stop * TILE + top + tiling.taps - 1)
        return rows, (left, tiling.columns * TILE + left + tiling.taps - 1)

    def _parts_of(self, weight: Tensor) -> list[Tensor]:
        taps = self._tiling.taps
        return [weight[:, :, y : y + taps, x : x + taps] for y, x in self._tiling.parts]


def _tiles(frames: Tensor) -> Tensor:
    """View frames (B, H, W, C) as (B, rows, TILE, columns, TILE, C)."""
    return torch.unflatten(torch.unflatten(frames, 2, (-1, TILE)), 1, (-1, TILE))
