"""Convolution by Winograd's minimal filtering: the same sums with a fraction of the products."""

from fractions import Fraction
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 4
"""Rows and columns of outputs that are computed together."""

KERNELS = (3, 5)
"""Kernel sizes; larger ones would need points at which float32 loses too many digits."""

_TILES_OF_A_BAND = 320
"""At most, where a row of tiles has fewer. With 80 to 640 of them layers of 32 and 64 maps take the
same time on 240 x 320 but for a tenth; all of a frame at once, about a fifth more."""

_POINTS = (0, 1, -1, 2, -2, Fraction(1, 2), Fraction(-1, 2))


def winograd_conv2d(frames: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    """Convolve as `torch.nn.functional.conv2d` does at stride 1, to about 1e-5 of the output.

    Source: Winograd 1980; Lavin and Gray 2016 (arXiv 1509.09308): tiles of F(4 x 4, k x k), the
    transforms as matrix products, by rows and then by columns. A 5 x 5 kernel takes 64 products
    where 400 were, a 3 x 3 kernel 36 for 144.

    Args:
        frames: Shape (B, C, H, W), float32 or float64; fastest with the channels innermost.
        weight: Shape (D, C, k, k), k one of `KERNELS`.
        bias: Shape (D,), or None.
        padding: Zeros around the frames.

    Returns:
        Shape (B, D, H + 2 * padding - k + 1, W + 2 * padding - k + 1), channels innermost.
    """
    if not torch.is_grad_enabled():
        return _convolve(frames, weight, bias, padding, None)[0]
    convolved: Tensor = _Winograd.apply(frames, weight, bias, padding)
    return convolved


def _convolve(
    frames: Tensor, weight: Tensor, bias: Tensor | None, padding: int, seen: list[Tensor] | None
) -> tuple[Tensor, Tensor]:
    """Give the convolution and the transformed filters; add what each band saw to `seen`.

    All in the layout (tile row, tile column, ...), in which transforms are matrix products. Bands
    of tiles go through all steps one after the other, so that they stay in the cache.
    """
    kernel = weight.shape[-1]
    outputs, kernels, inputs = _transforms(kernel, frames.dtype)
    side = TILE + kernel - 1
    batch, channels, *size = frames.shape
    height, width = (length + 2 * padding - kernel + 1 for length in size)
    rows, columns = -(-height // TILE), -(-width // TILE)
    taps = weight.permute(2, 3, 1, 0).reshape(kernel, kernel, -1)
    filters = _on_both_axes(kernels, taps).view(side**2, channels, -1)
    whole = torch.empty(
        (batch, len(weight), rows * TILE, columns * TILE),
        dtype=frames.dtype,
        device=frames.device,
        memory_format=torch.channels_last,
    )
    pixels = whole.permute(0, 2, 3, 1).view(batch, rows, TILE, columns, TILE, -1)
    blocks = pixels.permute(2, 4, 0, 1, 3, 5)
    for band in _bands(batch, rows, columns):
        padded = _padded_band(frames.permute(0, 2, 3, 1), band, columns, kernel, padding)
        tiles = padded.unfold(1, side, TILE).unfold(2, side, TILE).permute(4, 5, 0, 1, 2, 3)
        met = _on_both_axes(inputs, tiles.reshape(side, side, -1)).view(side**2, -1, channels)
        products = torch.bmm(met, filters).view(side, side, -1)
        into = blocks[:, :, :, band]
        made = _on_both_axes(outputs, products).view_as(into)
        into.copy_(made if bias is None else made.add_(bias))
        if seen is not None:
            seen.append(met)
    if whole.shape[2:] != (height, width):
        # What follows may write into it, which autograd does not allow for a view.
        whole = whole[..., :height, :width].clone(memory_format=torch.channels_last)
    return whole, filters


class _Winograd(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, frames: Tensor, weight: Tensor, bias: Tensor | None, padding: int
    ) -> Tensor:
        # The filters alone want to know it again, and not while they are frozen.
        seen: list[Tensor] | None = [] if ctx.needs_input_grad[1] else None
        convolved, filters = _convolve(frames, weight, bias, padding, seen)
        ctx.save_for_backward(frames, weight, filters, *(seen or ()))
        ctx.padding = padding
        return convolved

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        frames, weight, filters, *seen = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:3]
        if torch.is_grad_enabled():  # a gradient of the gradient is wanted: by what has one
            return (*_direct_backward(gradient, frames, weight, ctx.padding, wanted), None)
        kernel = weight.shape[-1]
        outputs, kernels, inputs = _transforms(kernel, frames.dtype)
        side = TILE + kernel - 1
        batch, channels, *size = frames.shape
        height, width = gradient.shape[-2:]
        rows, columns = -(-height // TILE), -(-width // TILE)
        missing = (0, 0, 0, columns * TILE - width, 0, rows * TILE - height)
        padded = F.pad(gradient.permute(0, 2, 3, 1), missing)
        tiles = padded.view(batch, rows, TILE, columns, TILE, -1).permute(2, 4, 0, 1, 3, 5)
        # A tile reaches from its own TILE rows and columns into the next, no further.
        whole = gradient.new_zeros(batch, rows + 1, TILE, columns + 1, TILE, channels)
        filter_gradient = torch.zeros_like(filters)
        for number, band in enumerate(_bands(batch, rows, columns)):
            some = tiles[:, :, :, band]
            products = _on_both_axes(outputs.T, some.reshape(TILE, TILE, -1))
            products = products.view(side**2, -1, filters.shape[2])
            if wanted[0]:
                seen_gradient = torch.bmm(products, filters.transpose(1, 2)).view(side, side, -1)
                pieces = _on_both_axes(inputs.T, seen_gradient)
                reached = whole[:, band.start : band.stop + 1]
                _add_tiles(reached, pieces.view(side, side, batch, -1, columns, channels))
            if wanted[1]:
                filter_gradient.baddbmm_(seen[number].transpose(1, 2), products)
        to_frames = to_weight = to_bias = None
        if wanted[0]:
            made = whole.view(batch, (rows + 1) * TILE, (columns + 1) * TILE, channels)
            inside = made[:, ctx.padding :, ctx.padding :][:, : size[0], : size[1]]
            to_frames = inside.permute(0, 3, 1, 2)
        if wanted[1]:
            taps = _on_both_axes(kernels.T, filter_gradient.view(side, side, -1))
            to_weight = taps.view(kernel, kernel, channels, -1).permute(3, 2, 0, 1)
        if wanted[2]:
            to_bias = gradient.sum((0, 2, 3))
        return to_frames, to_weight, to_bias, None


def _padded_band(frames: Tensor, band: slice, columns: int, kernel: int, padding: int) -> Tensor:
    """Cut out what a band of tiles sees of frames (B, H, W, C), with zeros beyond their edges."""
    _, height, width, _ = frames.shape
    begin = band.start * TILE - padding
    end = band.stop * TILE + kernel - 1 - padding
    seen = frames[:, max(begin, 0) : min(end, height)]
    right = columns * TILE + kernel - 1 - padding - width
    above, below = max(-begin, 0), end - max(begin, 0) - seen.shape[1]
    return F.pad(seen, (0, 0, padding, right, above, below))


def _bands(batch: int, rows: int, columns: int) -> list[slice]:
    """Share out the rows of tiles."""
    height = max(1, _TILES_OF_A_BAND // (batch * columns))
    return [slice(row, min(row + height, rows)) for row in range(0, rows, height)]


def _on_both_axes(matrix: Tensor, values: Tensor) -> Tensor:
    """Multiply rows and columns of (n, n, M) from the left: (m, m, M) for a matrix (m, n).

    A quarter of the work of one product with both axes in one.
    """
    by_rows = torch.bmm(matrix.expand(len(values), -1, -1), values.transpose(0, 1))
    return torch.bmm(matrix.expand(len(matrix), -1, -1), by_rows.transpose(0, 1))


def _add_tiles(whole: Tensor, pieces: Tensor) -> None:
    """Add tiles (t, t, B, rows, columns, C) where they belong, up to where they overlap.

    `whole` has shape (B, rows + 1, TILE, columns + 1, TILE, C).
    """
    blocks = whole.permute(2, 4, 0, 1, 3, 5)
    beyond = len(pieces) - TILE
    blocks[:, :, :, :-1, :-1] += pieces[:TILE, :TILE]
    blocks[:beyond, :, :, 1:, :-1] += pieces[TILE:, :TILE]
    blocks[:, :beyond, :, :-1, 1:] += pieces[:TILE, TILE:]
    blocks[:beyond, :beyond, :, 1:, 1:] += pieces[TILE:, TILE:]


def _direct_backward(
    gradient: Tensor,
    frames: Tensor,
    weight: Tensor,
    padding: int,
    wanted: tuple[bool, bool, bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    to_frames, to_weight, to_bias = torch.ops.aten.convolution_backward(
        *(gradient, frames, weight, [len(weight)] if wanted[2] else None),
        *([1, 1], [padding] * 2, [1, 1], False, [0, 0], 1, list(wanted)),
    )
    return to_frames, to_weight, to_bias


@cache
def _transforms(kernel: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Give what turns products into outputs, taps into filters and inputs into what they meet.

    Of shapes (4, t), (t, k) and (t, t) with t = 4 + k - 1: polynomials evaluated at t - 1 points
    and at infinity (Toom and Cook).
    """
    side = TILE + kernel - 1
    points = [Fraction(point) for point in _POINTS[: side - 1]]
    outputs = [[p**k for p in points] + [Fraction(k == TILE - 1)] for k in range(TILE)]
    kernels, inputs = [], []
    for p in points:
        others = [q for q in points if q != p]
        scale = Fraction(1)
        for q in others:
            scale *= p - q
        kernels.append([p**k / scale for k in range(kernel)])
        inputs.append([*_with_roots(others), Fraction(0)])
    kernels.append([Fraction(k == kernel - 1) for k in range(kernel)])
    inputs.append(_with_roots(points))
    outputs_t, kernels_t, inputs_t = (
        torch.tensor([[float(value) for value in row] for row in matrix], dtype=torch.float64)
        for matrix in (outputs, kernels, inputs)
    )
    # What one side of a product loses in size the other gains: both stay near 1, for precision.
    balance = (kernels_t.abs().amax(1) / inputs_t.abs().amax(1)).sqrt().unsqueeze(1)
    return outputs_t.to(dtype), (kernels_t / balance).to(dtype), (inputs_t * balance).to(dtype)


def _with_roots(roots: list[Fraction]) -> list[Fraction]:
    """Multiply out the polynomial with these roots; coefficients from the constant on."""
    polynomial = [Fraction(1)]
    for root in roots:
        raised = [Fraction(0), *polynomial]
        polynomial = [a - root * b for a, b in zip(raised, [*polynomial, Fraction(0)], strict=True)]
    return polynomial
