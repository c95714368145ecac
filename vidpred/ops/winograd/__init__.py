"""Convolution by Winograd's minimal filtering: the same sums with a fraction of the products."""

from vidpred.ops.winograd.convolution import winograd_conv2d
from vidpred.ops.winograd.filtering import KERNELS

__all__ = ["KERNELS", "winograd_conv2d"]
