"""Fast convolutions on the CPU: Winograd's minimal filtering, by kernels in C where possible."""

from vidpred.kernels.native import has_native_kernels
from vidpred.kernels.winograd import winograd_conv2d

__all__ = ["has_native_kernels", "winograd_conv2d"]
