"""Where Winograd's convolution was in 0.1; it is in `vidpred.kernels`."""

from typing import TYPE_CHECKING

from vidpred.moved import moved_names

if not TYPE_CHECKING:
    __getattr__ = moved_names(__name__)
