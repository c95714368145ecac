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
from vidpred.kernels.tiling import Room, Tiling

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
    outputs, taps, inputs = filtering(TAPS[kernel], torch.float64)
    numbers = {
        "SIDE": str(len(inputs)),
        "TILE": str(TILE),
        "BLOCK": str(BLOCK),
        "PARTS": str(len(first_taps(kernel))),
        "INPUTS": _listed(inputs),
        "OUTPUTS": _listed(outputs.T),
        "KERNELS": _listed(taps),
    }
    try:
        with _compiling:
            library = compile_c(_SOURCE, numbers)
    except CompilerError as problem:
        _log.info("Winograd's transforms are matrix products, which is slower: %s", problem)
        return None
    pointer, number = ctypes.c_void_p, ctypes.c_int
    band = ctypes.POINTER(_Band)
    library.winograd_make.argtypes = (band, pointer, pointer, number, pointer, number)
    library.winograd_spread.argtypes = (band, pointer, pointer, pointer, number)
    for name in ("see", "collect", "filter", "weigh"):
        getattr(library, f"winograd_{name}").argtypes = (band, pointer, pointer, number)
    for name in ("see", "make", "spread", "collect", "filter", "weigh"):
        getattr(library, f"winograd_{name}").restype = None
    return library


def has_native_kernels(kernel: int) -> bool:
    """Tell whether the kernels for a kernel size can be had, compiling them where need be."""
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
        self._products: Room | None = None

    def filter(self, weight: Tensor) -> Tensor:
        """See `Transforms.filter`."""
        after, before = weight.shape[:2]
        filters = weight.new_empty(self._tiling.side**2, after, self._parts * before)
        pixels = weight.permute(0, 2, 3, 1).contiguous()
        where = self._weights(pixels)
        self._library.winograd_filter(where, pixels.data_ptr(), filters.data_ptr(), self._threads)
        return filters

    def weigh(self, gradient: Tensor) -> Tensor:
        """See `Transforms.weigh`."""
        kernel, (_, after, of_parts) = self._tiling.kernel, gradient.shape
        pixels = gradient.new_empty(after, kernel, kernel, of_parts // self._parts)
        where = self._weights(pixels)
        self._library.winograd_weigh(where, gradient.data_ptr(), pixels.data_ptr(), self._threads)
        return pixels.permute(0, 3, 1, 2)

    def see(self, frames: Tensor, band: slice) -> Tensor:
        """See `Transforms.see`."""
        tiles = self._tiling.tiles(band)
        seen = frames.new_empty(self._tiling.side**2, tiles, self._parts * frames.shape[-1])
        where = self._band(frames, band, self._tiling.padding)
        self._library.winograd_see(where, frames.data_ptr(), seen.data_ptr(), self._threads)
        return seen

    def make(
        self, products: Tensor, bias: Tensor | None, band: slice, made: Tensor, *, rectified: bool
    ) -> None:
        """See `Transforms.make`."""
        more = None if bias is None else bias.contiguous()
        self._library.winograd_make(
            self._band(made, band, 0),
            products.data_ptr(),
            None if more is None else more.data_ptr(),
            rectified,
            made.data_ptr(),
            self._threads,
        )

    def spread(self, gradient: Tensor, band: slice, rectified: Tensor | None) -> Tensor:
        """See `Transforms.spread`."""
        self._products = self._products or Room(self._tiling, gradient.shape[-1], gradient)
        products = self._products.of(band)
        where = self._band(gradient, band, 0)
        self._library.winograd_spread(
            where,
            gradient.data_ptr(),
            None if rectified is None else rectified.data_ptr(),
            products.data_ptr(),
            self._threads,
        )
        return products

    def collect(self, seen: Tensor, band: slice, gradient: Tensor) -> None:
        """See `Transforms.collect`."""
        where = self._band(gradient, band, self._tiling.padding)
        self._library.winograd_collect(where, seen.data_ptr(), gradient.data_ptr(), self._threads)

    def _weights(self, pixels: Tensor) -> _Band:
        return _Band(*pixels.shape, 1, 0, 0, 1)

    def _band(self, frames: Tensor, band: slice, padding: int) -> _Band:
        columns = self._tiling.columns
        return _Band(*frames.shape, columns, padding, band.start, band.stop - band.start)


def _listed(matrix: Tensor) -> str:
    return ",".join(f"{value!r}f" for value in matrix.flatten().tolist())
