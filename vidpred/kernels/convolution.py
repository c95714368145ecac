"""Convolutions of stride 1 that can be computed with fewer products."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidpred.kernels import has_native_kernels, winograd_conv2d


class _Least(NamedTuple):
    """What a layer must have for its transforms to cost less than the products that they save.

    Measured on two cores with AVX2, forward and backward.

    Attributes:
        channels: Those in times those out, by kernel.
        on_a_side: The smaller number of the two.
        output: Rows and columns.
    """

    channels: dict[int, int]
    on_a_side: int
    output: int


_NATIVE = _Least({3: 32 * 64, 5: 16 * 32, 7: 15 * 16}, on_a_side=12, output=4)
_BY_MATRICES = _Least({3: 64 * 64, 5: 32 * 32, 7: 64 * 64}, on_a_side=16, output=8)


class Convolution(nn.Conv2d):
    """`torch.nn.Conv2d` at stride 1, with the same padding on both axes.

    Attributes:
        winograd: Compute by `vidpred.kernels` where that is faster: on the CPU, in float32 and
            for enough channels; equal to about 1e-5 of the output. Not in graphs that are compiled
            or exported.
        native_kernels: Do its transforms in C, where a compiler can be had; it pays for more layers
            then.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, padding: int = 0
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, padding=padding)
        self.winograd = True
        self.native_kernels = True

    def forward(self, input: Tensor, *, rectified: bool = False) -> Tensor:
        """Convolve; see `torch.nn.Conv2d`.

        Args:
            input: Frames.
            rectified: With a ReLU after it.
        """
        if self.winograd and self._pays(input):
            return winograd_conv2d(
                input,
                self.weight,
                self.bias,
                int(self.padding[0]),
                rectified=rectified,
                native=self.native_kernels,
            )
        convolved = super().forward(input)
        return F.relu(convolved, inplace=True) if rectified else convolved

    def _pays(self, frames: Tensor) -> bool:
        if (
            type(frames) is not Tensor  # some have no memory, such as those of `torch.export`
            or frames.ndim != 4
            or not len(frames)
            or frames.device.type != "cpu"
            or frames.dtype != torch.float32
            or torch.is_autocast_enabled("cpu")
            or torch.compiler.is_compiling()
        ):
            return False
        if self._has(frames, _BY_MATRICES):
            return True
        kernel = self.kernel_size[0]
        return self.native_kernels and self._has(frames, _NATIVE) and has_native_kernels(kernel)

    def _has(self, frames: Tensor, least: _Least) -> bool:
        kernel, sides = self.kernel_size[0], (self.in_channels, self.out_channels)
        beyond = 2 * int(self.padding[0]) - kernel + 1
        return (
            kernel in least.channels
            and sides[0] * sides[1] >= least.channels[kernel]
            and min(sides) >= least.on_a_side
            and min(frames.shape[-2:]) + beyond >= least.output
        )


class Layers(nn.Sequential):
    """Layers one after the other; a ReLU right after a `Convolution` is computed with it.

    Hooks on such a ReLU are not called, and those on the convolution see what the ReLU leaves.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply all layers."""
        layers = list(self)
        while layers:
            layer = layers.pop(0)
            if isinstance(layer, Convolution) and layers and isinstance(layers[0], nn.ReLU):
                layers.pop(0)
                input = layer(input, rectified=True)
            else:
                input = layer(input)
        return input
