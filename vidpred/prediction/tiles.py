"""A large frame in overlapping tiles: one step of a predictor in bounded memory, and the same.

What a pixel of the prediction depends on lies within the predictor's `receptive_radius`. A tile is
run with that much around it, from corners that are multiples of `size_multiple`, so that the
network's own grids lie as they do in the whole frame; its margin is thrown away. At the border of
the frame a tile ends where the frame does. So every pixel comes out as from the whole frame, up to
the order of sums. A rollout is tiled step by step: the margin has to be predicted as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vidpred.errors import PredictionError
from vidpred.models import Predictor


@dataclass(frozen=True)
class Span:
    """A tile along one axis, in pixels.

    Attributes:
        begin: First pixel that the predictor sees.
        end: Behind the last one.
        inner_begin: First pixel that is kept.
        inner_end: Behind the last one.
    """

    begin: int
    end: int
    inner_begin: int
    inner_end: int


def spans(length: int, parts: int, *, multiple: int, margin: int) -> list[Span]:
    """Cut an axis into parts of about the same length.

    Args:
        length: Pixels, a multiple of `multiple`.
        parts: At most that many.
        multiple: Of which all corners are multiples.
        margin: Pixels that a part sees on each side where the frame extends; a multiple.
    """
    units = length // multiple
    inner = -(-units // parts) * multiple
    return [
        Span(
            begin=max(0, begin - margin),
            end=min(length, begin + inner + margin),
            inner_begin=begin,
            inner_end=min(length, begin + inner),
        )
        for begin in range(0, length, inner)
    ]


def tile_grid(
    height: int, width: int, *, multiple: int, radius: int | None, pixels: int
) -> tuple[list[Span], list[Span]]:
    """Choose the tiles with the fewest pixels in all, none larger than `pixels`.

    Args:
        height: Rows of the padded frame, a multiple of `multiple`.
        width: Columns of it, likewise.
        multiple: The predictor's `size_multiple`.
        radius: The predictor's `receptive_radius`.
        pixels: Most pixels of a tile with its margin.

    Returns:
        Rows and columns of the grid.

    Raises:
        PredictionError: When no grid is small enough, or the predictor cannot be tiled.
    """
    if height * width <= pixels:
        return (
            spans(height, 1, multiple=multiple, margin=0),
            spans(width, 1, multiple=multiple, margin=0),
        )
    if radius is None:
        raise PredictionError(
            f"frames of {width} x {height} need more than --max-memory, and this predictor does "
            "not say how far it looks (receptive_radius), so they cannot be cut into tiles; raise "
            "--max-memory, or make the frames smaller"
        )
    margin = -(-radius // multiple) * multiple
    best: tuple[int, list[Span], list[Span]] | None = None
    for rows in _divisions(height, multiple, margin):
        for columns in _divisions(width, multiple, margin):
            sizes = [
                (row.end - row.begin) * (column.end - column.begin)
                for row in rows
                for column in columns
            ]
            if max(sizes) <= pixels and (best is None or sum(sizes) < best[0]):
                best = sum(sizes), rows, columns
    if best is None:
        raise PredictionError(
            f"frames of {width} x {height} need tiles with {margin} pixels around them, and "
            f"--max-memory leaves room for tiles of {pixels} pixels; raise it"
        )
    return best[1], best[2]


def _divisions(length: int, multiple: int, margin: int) -> Iterator[list[Span]]:
    seen = 0
    for parts in range(1, length // multiple + 1):
        found = spans(length, parts, multiple=multiple, margin=margin)
        if len(found) > seen:
            yield found
            seen = len(found)
        # Beyond this most of a tile is margin.
        if length // parts < max(margin, multiple) // 2:
            return


def tiled_step(
    predictor: Predictor, frames: Sequence[Tensor], rows: Sequence[Span], columns: Sequence[Span]
) -> Tensor:
    """Predict one step, tile by tile.

    Args:
        predictor: In evaluation mode.
        frames: Past frames, each (B, C, H, W) in [0, 1], H and W multiples of `size_multiple`.
        rows: Of the grid, see `tile_grid`.
        columns: Of the grid.

    Returns:
        Shape (B, output_frames, C, H, W) in [0, 1].
    """
    if len(rows) == len(columns) == 1:
        return predictor.step(torch.stack(list(frames), dim=1))
    batch, channels, height, width = frames[0].shape
    whole = frames[0].new_empty(batch, predictor.output_frames, channels, height, width)
    for row in rows:
        for column in columns:
            tile = torch.stack(
                [frame[..., row.begin : row.end, column.begin : column.end] for frame in frames],
                dim=1,
            )
            pred = predictor.step(tile)
            whole[..., row.inner_begin : row.inner_end, column.inner_begin : column.inner_end] = (
                pred[
                    ...,
                    row.inner_begin - row.begin : row.inner_end - row.begin,
                    column.inner_begin - column.begin : column.inner_end - column.begin,
                ]
            )
    return whole
