"""The transforms of tiles by kernels in C, compiled on this machine for its processor."""

import ctypes
import logging
import threading
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from vidpred.kernels.compiler import CompilerError, compile_c
from vidpred.kernels.filtering import TAPS, TILE, filtering, first_taps
from vidpred.kernels.tiling import Tiling, Workspace

BLOCK = 16
"""Channels that go through the registers together."""

_SOURCE = Path(__file__).with_name("kernels.c")

_compiling = threading.Lock()

_log = logging.getLogger(__name__)


class _Band(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_ssize_t)
        for name in (
            *("batch", "height", "width", "channels", "columns"),
            *("padding", "first", "rows"),
        )
    )


@cache
def kernels(kernel: int) -> ctypes.CDLL | None:
    """Compile the kernels for a kernel size, or load those of an earlier process.

    Returns:
        The library, or None where none can be had; why is logged.
    """
    matrices = filtering(TAPS[kernel], torch.float64)
    numbers = {
        "SIDE": str(len(matrices.input)),
        "TILE": str(TILE),
        "BLOCK": str(BLOCK),
        "PARTS": str(len(first_taps(kernel))),
        "INPUTS": _listed(matrices.input),
        "OUTPUTS": _listed(matrices.output.T),
        "FILTERS": _listed(matrices.filter),
    }
    try:
        with _compiling:
            library = compile_c(_SOURCE, numbers)
    except CompilerError as problem:
        _log.info("Winograd's transforms are matrix products, which is slower: %s", problem)
        return None
    pointer, number = ctypes.c_void_p, ctypes.c_int
    band = ctypes.POINTER(_Band)
    for of in ("input", "filter", "output"):
        for direction in ("transform", "gradient"):
            function = getattr(library, f"winograd_{of}_{direction}")
            function.argtypes = (band, pointer, pointer, number)
            function.restype = None
    library.winograd_output_transform.argtypes = (band, pointer, pointer, number, pointer, number)
    library.winograd_output_gradient.argtypes = (band, pointer, pointer, pointer, number)
    return library


def has_native_kernels(kernel: int) -> bool:
    """Say whether there are kernels for a kernel size, compiling them where need be."""
    return kernels(kernel) is not None


class NativeTransforms:
    """See `Transforms`; float32 on the CPU.

    Args:
        tiling: How frames are cut.
        library: The kernels for its kernel size.
    """

    def __init__(self, tiling: Tiling, library: ctypes.CDLL) -> None:
        self._tiling = tiling
        self._library = library
        self._parts = len(tiling.parts)
        self._threads = torch.get_num_threads()
        self._products: Workspace | None = None

    def filter_transform(self, weight: Tensor) -> Tensor:
        """See `Transforms.filter_transform`."""
        after, before = weight.shape[:2]
        filters = weight.new_empty(self._tiling.side**2, after, self._parts * before)
        pixels = weight.permute(0, 2, 3, 1).contiguous()
        where = self._weights(pixels)
        self._library.winograd_filter_transform(
            where, pixels.data_ptr(), filters.data_ptr(), self._threads
        )
        return filters

    def filter_gradient(self, gradient: Tensor) -> Tensor:
        """See `Transforms.filter_gradient`."""
        kernel, (_, after, of_parts) = self._tiling.kernel, gradient.shape
        pixels = gradient.new_empty(after, kernel, kernel, of_parts // self._parts)
        where = self._weights(pixels)
        self._library.winograd_filter_gradient(
            where, gradient.data_ptr(), pixels.data_ptr(), self._threads
        )
        return pixels.permute(0, 3, 1, 2)

    def input_transform(self, frames: Tensor, band: slice) -> Tensor:
        """See `Transforms.input_transform`."""
        tiles = self._tiling.tiles(band)
        transformed = frames.new_empty(self._tiling.side**2, tiles, self._parts * frames.shape[-1])
        where = self._band(frames, band, self._tiling.padding)
        self._library.winograd_input_transform(
            where, frames.data_ptr(), transformed.data_ptr(), self._threads
        )
        return transformed

    def output_transform(
        self, products: Tensor, bias: Tensor | None, band: slice, output: Tensor, *, relu: bool
    ) -> None:
        """See `Transforms.output_transform`."""
        added = None if bias is None else bias.contiguous()
        self._library.winograd_output_transform(
            self._band(output, band, 0),
            products.data_ptr(),
            None if added is None else added.data_ptr(),
            relu,
            output.data_ptr(),
            self._threads,
        )

    def output_gradient(self, gradient: Tensor, band: slice, activated: Tensor | None) -> Tensor:
        """See `Transforms.output_gradient`."""
        self._products = self._products or Workspace(self._tiling, gradient.shape[-1], gradient)
        products = self._products.of(band)
        where = self._band(gradient, band, 0)
        self._library.winograd_output_gradient(
            where,
            gradient.data_ptr(),
            None if activated is None else activated.data_ptr(),
            products.data_ptr(),
            self._threads,
        )
        return products

    def input_gradient(self, transformed: Tensor, band: slice, gradient: Tensor) -> None:
        """See `Transforms.input_gradient`."""
        where = self._band(gradient, band, self._tiling.padding)
        self._library.winograd_input_gradient(
            where, transformed.data_ptr(), gradient.data_ptr(), self._threads
        )

    def _weights(self, pixels: Tensor) -> _Band:
        return _Band(*pixels.shape, 1, 0, 0, 1)

    def _band(self, frames: Tensor, band: slice, padding: int) -> _Band:
        columns = self._tiling.columns
        return _Band(*frames.shape, columns, padding, band.start, band.stop - band.start)


def _listed(matrix: Tensor) -> str:
    return ",".join(f"{value!r}f" for value in matrix.flatten().tolist())
