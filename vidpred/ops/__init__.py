"""Pure tensor functions: no state, no Lightning."""

from typing import TYPE_CHECKING

from vidpred.moved import moved_names
from vidpred.ops.gradients import spatial_gradients
from vidpred.ops.motion import frame_difference_mask, known_frames
from vidpred.ops.pixel_mixture import PixelMixture
from vidpred.ops.pyramid import downsample, pyramid
from vidpred.ops.random import named_generator, normal_like, uniform_like
from vidpred.ops.range import signed_to_unit, to_unit, unit_to_signed, unit_to_uint8
from vidpred.ops.warp import warp

if not TYPE_CHECKING:
    __getattr__ = moved_names(__name__)

__all__ = [
    "PixelMixture",
    "downsample",
    "frame_difference_mask",
    "known_frames",
    "named_generator",
    "normal_like",
    "pyramid",
    "signed_to_unit",
    "spatial_gradients",
    "to_unit",
    "uniform_like",
    "unit_to_signed",
    "unit_to_uint8",
    "warp",
]
