"""Fast kernels for the CPU: convolutions by Winograd's minimal filtering, freed memory kept.

`conv2d` convolves, `accelerate` and `restore` choose how a network is computed, `describe` says how
it is, and `enabled` asks the one switch, VIDPRED_KERNELS.
"""

from vidpred.kernels.allocator import keep_freed_memory
from vidpred.kernels.convolution import conv2d
from vidpred.kernels.layers import accelerate, accelerated, describe, restore
from vidpred.kernels.native import has_native_kernels
from vidpred.kernels.switch import enabled
from vidpred.kernels.winograd import winograd_conv2d

__all__ = [
    "accelerate",
    "accelerated",
    "conv2d",
    "describe",
    "enabled",
    "has_native_kernels",
    "keep_freed_memory",
    "restore",
    "winograd_conv2d",
]
