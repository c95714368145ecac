"""A decoded clip whose pixels are converted when they are asked for."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import av
import numpy as np
import numpy.typing as npt
from av.video.plane import VideoPlane
from av.video.reformatter import Interpolation, VideoReformatter

from vidpred.video.container import ffmpeg_errors
from vidpred.video.orientation import UPRIGHT, orientation_of

Pixels = npt.NDArray[np.uint8]

_CUTTABLE = frozenset({"yuv420p", "yuvj420p"})
"""Formats of which FFmpeg converts each pair of rows and columns alone, without its neighbors."""

_PIXELS_A_PATCH = 10_000
"""Pixels of a frame that are converted in the time in which one patch is cut out and converted
(0.6 ns a pixel against 6 us): with small frames it is quicker to convert them whole."""


_CONVERSION = Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INT
"""Where FFmpeg has no special converter (10 bits, NV12, an odd height), frames come out up to two
levels too dark unless color planes are widened first."""


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
            converted = self._reformatter.reformat(
                frame, format="rgb24", interpolation=_CONVERSION, threads=1
            )
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
                and all(_is_plain(frame, first) for frame in self._frames)
                # Odd sizes take another way through FFmpeg, which smooths over the colors.
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

    def patches(self, corners: Sequence[tuple[int, int]], size: int | tuple[int, int]) -> Pixels:
        """Cut patches out of all frames.

        Only the patches are converted where that is quicker; the bits are the same.

        Args:
            corners: First row and first column of each of P patches.
            size: Height and width in pixels, one number for squares; the patches have to lie in
                the frame.

        Returns:
            Shape (P, T, height, width, 3).

        Raises:
            ValueError: When a patch leaves the frame.
        """
        rows, columns = (size, size) if isinstance(size, int) else size
        for top, left in corners:
            if not (0 <= top <= self.height - rows and 0 <= left <= self.width - columns):
                raise ValueError(
                    f"a patch of {rows} x {columns} at row {top}, column {left} leaves the frame "
                    f"of {self.height} x {self.width}; expected one inside"
                )
        # Windows begin at even pixels, so they are a little larger; see `_cut`.
        window = ((rows + 3) // 2 * 2, (columns + 3) // 2 * 2)
        if (
            self._cuttable
            and window[0] <= self.height
            and window[1] <= self.width
            and self.height * self.width >= _PIXELS_A_PATCH * len(corners)
        ):
            return self._cut(corners, (rows, columns), window)
        patches = np.empty((len(corners), len(self), rows, columns, 3), np.uint8)
        for index in range(len(self)):
            pixels = self.frame(index)
            for patch, (top, left) in enumerate(corners):
                patches[patch, index] = pixels[top : top + rows, left : left + columns]
        return patches

    def _cut(
        self, corners: Sequence[tuple[int, int]], size: tuple[int, int], window: tuple[int, int]
    ) -> Pixels:
        """Convert patches of frames whose color planes have half their size.

        Windows around all of them are stacked and converted at once. One color sample belongs to
        two rows and two columns, so windows begin at even pixels and have even sides.
        """
        frames = cast(list[av.VideoFrame], self._frames)
        high, wide = window
        stack = av.VideoFrame(wide, high * len(frames) * len(corners), frames[0].format.name)
        begins = [
            (min(top // 2 * 2, self.height - high), min(left // 2 * 2, self.width - wide))
            for top, left in corners
        ]
        for number, target in enumerate(stack.planes):
            half = 2 if number else 1
            height, width = high // half, wide // half
            windows = _as_rows(target).reshape(len(frames), len(corners), height, -1)
            for index, frame in enumerate(frames):
                source = _as_rows(frame.planes[number])
                for patch, (row, column) in enumerate(begins):
                    row, column = row // half, column // half
                    windows[index, patch, :, :width] = source[
                        row : row + height, column : column + width
                    ]
        first = frames[0]
        stack.colorspace, stack.color_range = first.colorspace, first.color_range
        stack.color_primaries, stack.color_trc = first.color_primaries, first.color_trc
        pixels = self._convert.stored(stack).reshape(len(frames), len(corners), high, wide, 3)
        patches = np.empty((len(corners), len(frames), *size, 3), np.uint8)
        for patch, ((top, left), (row, column)) in enumerate(zip(corners, begins, strict=True)):
            y, x = top - row, left - column
            patches[patch] = pixels[:, patch, y : y + size[0], x : x + size[1]]
        return patches


def _is_plain(frame: av.VideoFrame | Pixels, first: av.VideoFrame) -> bool:
    """Recognize a frame that is converted like the first one, each pair of rows alone.

    Of interlaced frames FFmpeg converts the two fields apart, so that rows which share a color
    sample are two rows from each other.
    """
    return (
        isinstance(frame, av.VideoFrame)
        and not frame.interlaced_frame
        and frame.format.name == first.format.name
        and (frame.colorspace, frame.color_range) == (first.colorspace, first.color_range)
        and (frame.color_primaries, frame.color_trc) == (first.color_primaries, first.color_trc)
    )


def _as_rows(plane: VideoPlane) -> Pixels:
    """Look at a plane's bytes, shape (rows, bytes of a row with its padding)."""
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
