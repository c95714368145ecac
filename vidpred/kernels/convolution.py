"""A convolution that takes the fastest of three ways, and where each one pays."""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vidpred.kernels.filtering import TILE
from vidpred.kernels.native import has_native_kernels
from vidpred.kernels.winograd import winograd_conv2d

Way = Literal["torch", "winograd", "winograd-native"]
"""PyTorch's own, Winograd's with transforms as matrix products, and with transforms in C."""

WAYS: tuple[Way, ...] = ("torch", "winograd", "winograd-native")
"""Slowest first, where all of them are possible."""


class _Least(NamedTuple):
    """What a layer must have for its transforms to cost less than the products that they save.

    Measured on two cores with AVX2, forward and backward.

    Attributes:
        channels: Those in times those out, by kernel.
        on_a_side: The smaller number of the two.
        output: Rows and columns.
        tiles: Of all frames of a batch, where no gradient is wanted: the filters, which are
            transformed at each call, serve few products where there are fewer.
    """

    channels: dict[int, int]
    on_a_side: int
    output: int
    tiles: int


_NATIVE = _Least({3: 32 * 64, 5: 16 * 32, 7: 15 * 16}, on_a_side=12, output=4, tiles=32)
_BY_MATRICES = _Least({3: 64 * 64, 5: 32 * 32, 7: 64 * 64}, on_a_side=16, output=8, tiles=32)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    padding: int = 0,
    *,
    relu: bool = False,
    native: bool = True,
) -> Tensor:
    """Convolve as `torch.nn.functional.conv2d` does at stride 1, by Winograd's where that pays.

    It pays on the CPU, in float32, for enough channels; the output is then equal to about 1e-5 of
    its size. Elsewhere, and in graphs that are compiled or exported, it is PyTorch's own.

    Args:
        input: Shape (B, C, H, W) or (C, H, W).
        weight: Shape (D, C, k, k).
        bias: Shape (D,), or None.
        padding: Zeros around the input, the same on both axes.
        relu: Apply a ReLU to the output.
        native: Transform by kernels in C where a compiler is installed; it pays for more layers
            then.

    Returns:
        Shape (B, D, H + 2 * padding - k + 1, W + 2 * padding - k + 1).

    Example:
        >>> frames, weight = torch.rand(1, 16, 24, 24), torch.rand(32, 16, 5, 5)
        >>> fast, plain = conv2d(frames, weight, padding=2), F.conv2d(frames, weight, padding=2)
        >>> bool((fast - plain).abs().max() < 1e-4 * plain.abs().max())
        True
    """
    return convolved_by(way_of(input, weight, padding, native), input, weight, bias, padding, relu)


def convolved_by(
    way: Way, input: Tensor, weight: Tensor, bias: Tensor | None, padding: int, relu: bool
) -> Tensor:
    """Convolve in a way that `way_of` gave for the same input; see `conv2d`."""
    if way != "torch":
        native = way == "winograd-native"
        return winograd_conv2d(input, weight, bias, padding, relu=relu, native=native)
    convolved = F.conv2d(input, weight, bias, padding=padding)
    return F.relu(convolved, inplace=True) if relu else convolved


def way_of(frames: Tensor, weight: Tensor, padding: int, native: bool) -> Way:
    """Give the way in which `conv2d` convolves."""
    if (
        type(frames) is not Tensor  # some have no memory, such as those of `torch.export`
        or frames.ndim != 4
        or not len(frames)
        or frames.device.type != "cpu"
        or frames.dtype != torch.float32
        or torch.is_autocast_enabled("cpu")
        or torch.compiler.is_compiling()
    ):
        return "torch"
    rows, columns = (side + 2 * padding - weight.shape[2] + 1 for side in frames.shape[-2:])
    tiles = len(frames) * -(-rows // TILE) * -(-columns // TILE)
    return _fastest(weight, min(rows, columns), tiles, native)


def way_for(weight: Tensor, native: bool) -> Way:
    """Give the way in which `conv2d` convolves frames that are large enough, in float32."""
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        return "torch"
    output = max(_NATIVE.output, _BY_MATRICES.output)
    return _fastest(weight, output, max(_NATIVE.tiles, _BY_MATRICES.tiles), native)


def _fastest(weight: Tensor, output: int, tiles: int, native: bool) -> Way:
    by_matrices = _has(weight, output, tiles, _BY_MATRICES)
    pays = by_matrices or _has(weight, output, tiles, _NATIVE)
    if native and pays and has_native_kernels(weight.shape[2]):
        return "winograd-native"
    return "winograd" if by_matrices else "torch"


def _has(weight: Tensor, output: int, tiles: int, least: _Least) -> bool:
    after, before, kernel, _ = weight.shape
    return (
        kernel in least.channels
        and before * after >= least.channels[kernel]
        and min(before, after) >= least.on_a_side
        and output >= least.output
        and (torch.is_grad_enabled() or tiles >= least.tiles)
    )
