"""Convolution by Winograd's minimal filtering: the same sums with a fraction of the products."""

from vidpred.ops.winograd.convolution import winograd_conv2d
from vidpred.ops.winograd.native import has_native_kernels

__all__ = ["has_native_kernels", "winograd_conv2d"]
