"""How players turn a stored picture before they show it."""

import struct
from dataclasses import dataclass

import av
import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import SideDataContainer, Type

from vidpred.video.info import Rotation


@dataclass(frozen=True)
class Orientation:
    """What is done to stored pixels, in this order.

    Attributes:
        transposed: Rows become columns.
        flip_columns: Left and right are swapped.
        flip_rows: Top and bottom are swapped.
    """

    transposed: bool = False
    flip_columns: bool = False
    flip_rows: bool = False

    @property
    def rotation(self) -> Rotation:
        """Degrees clockwise, before `mirrored`."""
        if self.transposed:
            return 270 if self.flip_rows else 90
        return 180 if self.flip_rows else 0

    @property
    def mirrored(self) -> bool:
        """Whether left and right are swapped after that rotation."""
        # A quarter or half turn is a pair of these three; an odd number of them mirrors.
        return (self.transposed + self.flip_columns + self.flip_rows) % 2 == 1

    def apply(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Turn a picture of shape (H, W, C); the result is contiguous."""
        if self.transposed:
            pixels = pixels.transpose(1, 0, 2)
        if self.flip_columns:
            pixels = pixels[:, ::-1]
        if self.flip_rows:
            pixels = pixels[::-1]
        return np.ascontiguousarray(pixels)


UPRIGHT = Orientation()


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """Read a frame's display matrix; angles between quarter turns go to the nearest one."""
    # Not `frame.side_data`: that and its frame hold on to each other, so that the frame's pixels
    # stay until Python looks for cycles, which it hardly ever does in a loader's worker.
    matrix = SideDataContainer(frame).get(Type.DISPLAYMATRIX)  # type: ignore[call-arg]
    if matrix is None:
        return UPRIGHT
    # 3 x 3, by rows; a point (x, y) is shown at (a x + c y, b x + d y).
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, flip_columns=a < 0, flip_rows=d < 0)
    return Orientation(True, flip_columns=c < 0, flip_rows=b < 0)
