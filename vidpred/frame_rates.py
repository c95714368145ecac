"""Rates of the videos that are written; imported at once, by commands too."""

from fractions import Fraction

FRAME_RATES = (Fraction(1, 500), Fraction(1000))
"""Frames per second, slowest and fastest, that all containers keep.

A frame of a GIF lasts at most 655 s, and an MP4 begins at a whole millisecond: of three frames at
5000 frames per second one is played.
"""
