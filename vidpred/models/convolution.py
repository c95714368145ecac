"""Convolutions of stride 1 that can be computed with fewer products."""

import torch
from torch import Tensor, nn

from vidpred.ops.winograd import KERNELS, winograd_conv2d

_FEWEST_CHANNELS = {3: 64, 5: 32}  # measured on two cores with AVX2; below, transforms cost more
_SMALLEST_OUTPUT = 8


class Convolution(nn.Conv2d):
    """`torch.nn.Conv2d` at stride 1, with the same padding on both axes.

    Attributes:
        winograd: Compute by `vidpred.ops.winograd` where that is faster: on the CPU, in float32 and
            for enough channels; equal to about 1e-5 of the output. Not in graphs that are compiled
            or exported.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, padding: int = 0
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, padding=padding)
        self.winograd = True

    def forward(self, input: Tensor) -> Tensor:
        """Convolve; see `torch.nn.Conv2d`."""
        if self.winograd and self._pays(input):
            return winograd_conv2d(input, self.weight, self.bias, int(self.padding[0]))
        return super().forward(input)

    def _pays(self, frames: Tensor) -> bool:
        kernel = self.kernel_size[0]
        return (
            frames.device.type == "cpu"
            and frames.dtype == torch.float32
            and not torch.is_autocast_enabled("cpu")
            and not torch.compiler.is_compiling()
            and kernel in KERNELS
            and min(self.in_channels, self.out_channels) >= _FEWEST_CHANNELS[kernel]
            and min(frames.shape[-2:]) + 2 * int(self.padding[0]) - kernel + 1 >= _SMALLEST_OUTPUT
        )
