"""A decoded clip whose pixels are converted when they are asked for."""

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter

from vidpred.video.container import ffmpeg_errors
from vidpred.video.orientation import UPRIGHT, orientation_of

Pixels = npt.NDArray[np.uint8]

_CUTTABLE = frozenset({"yuv420p", "yuvj420p"})
"""Formats of which FFmpeg converts each pair of rows and columns alone, without looking beside."""

_PIXELS_A_PATCH = 40_000
"""Pixels of a frame that are converted in the time in which one patch is cut out and converted
(0.55 ns a pixel against 22 us): with small frames it is quicker to convert them whole."""


class RgbConverter:
    """Converts stored frames to upright RGB.

    Args:
        path: Of the video, for messages.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # Kept between frames: setting one up costs as much as its work.
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> Pixels:
        """Convert a frame; shape (H, W, 3)."""
        orientation = orientation_of(frame)
        pixels = self.stored(frame)
        return pixels if orientation == UPRIGHT else orientation.apply(pixels)

    def stored(self, frame: av.VideoFrame) -> Pixels:
        """Convert a frame as it is stored, not turned."""
        with ffmpeg_errors(self._path):
            converted = self._reformatter.reformat(frame, format="rgb24", threads=1)
            return np.asarray(converted.to_ndarray(), np.uint8)


class DecodedClip:
    """Frames of one clip, converted to RGB where they are looked at.

    Args:
        path: Of the video, for messages.
        frames: Stored frames of one size, or RGB of shape (H, W, 3); at least one.
    """

    def __init__(self, path: Path, frames: Sequence[av.VideoFrame | Pixels]) -> None:
        self._path = path
        self._frames = list(frames)
        self._convert = RgbConverter(path)
        self._converted: dict[int, Pixels] = {}
        first = self._frames[0]
        if isinstance(first, np.ndarray):
            self.height, self.width = first.shape[:2]
            self._cuttable = False
        else:
            orientation = orientation_of(first)
            self.height, self.width = first.height, first.width
            if orientation.transposed:
                self.height, self.width = self.width, self.height
            self._cuttable = (
                orientation == UPRIGHT
                and first.format.name in _CUTTABLE
                # Odd sizes take another way through FFmpeg, which smooths over the colours.
                and first.height % 2 == first.width % 2 == 0
            )

    def __len__(self) -> int:
        """T, the number of frames."""
        return len(self._frames)

    def frame(self, index: int) -> Pixels:
        """Give one frame in RGB, shape (H, W, 3), equal to the bit to that of `read_clip`."""
        if index not in self._converted:
            frame = self._frames[index]
            self._converted[index] = (
                frame if isinstance(frame, np.ndarray) else self._convert(frame)
            )
        return self._converted[index]

    def patches(self, corners: Sequence[tuple[int, int]], size: int) -> Pixels:
        """Cut square patches out of all frames.

        Only the patches are converted where that is quicker; the bits are the same.

        Args:
            corners: First row and first column of each of P patches.
            size: Side in pixels; the patches have to lie in the frame.

        Returns:
            Shape (P, T, size, size, 3).

        Raises:
            ValueError: When a patch leaves the frame.
        """
        for top, left in corners:
            if not (0 <= top <= self.height - size and 0 <= left <= self.width - size):
                raise ValueError(
                    f"a patch of {size} x {size} at row {top}, column {left} leaves the frame of "
                    f"{self.height} x {self.width}; expected one inside"
                )
        whole = not self._cuttable or self.height * self.width < _PIXELS_A_PATCH * len(corners)
        patches = np.empty((len(corners), len(self), size, size, 3), np.uint8)
        for index, frame in enumerate(self._frames):
            if whole or index in self._converted or isinstance(frame, np.ndarray):
                pixels = self.frame(index)
                for patch, (top, left) in enumerate(corners):
                    patches[patch, index] = pixels[top : top + size, left : left + size]
            else:
                for patch, (top, left) in enumerate(corners):
                    patches[patch, index] = self._cut(frame, top, left, size)
        return patches

    def _cut(self, frame: av.VideoFrame, top: int, left: int, size: int) -> Pixels:
        """Convert one patch of a frame whose colour planes have half its size."""
        # One colour sample belongs to two rows and two columns, so the window begins at an even
        # pixel and has even sides.
        first_row, first_column = top // 2 * 2, left // 2 * 2
        height = (top + size + 1) // 2 * 2 - first_row
        width = (left + size + 1) // 2 * 2 - first_column
        window = av.VideoFrame(width, height, frame.format.name)
        for number, (source, target) in enumerate(zip(frame.planes, window.planes, strict=True)):
            half = 2 if number else 1
            rows = slice(first_row // half, (first_row + height) // half)
            columns = slice(first_column // half, (first_column + width) // half)
            _as_rows(target)[: height // half, : width // half] = _as_rows(source)[rows, columns]
        window.colorspace, window.color_range = frame.colorspace, frame.color_range
        pixels = self._convert.stored(window)
        row, column = top - first_row, left - first_column
        return pixels[row : row + size, column : column + size]


def _as_rows(plane: VideoPlane) -> Pixels:
    """Look at a plane's bytes, shape (rows, bytes of a row with its padding)."""
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
