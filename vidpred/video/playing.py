"""Frames one after another, of anything that plays: a video file, a folder of images, a pipe.

Unlike `vidpred.video.decode`, which finds frames by their exact index, this begins at the first
frame or at the key frame before a time, so that the end of a long video is reached at once, and
holds one frame at a time, so that length does not matter.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import PictureType

from vidpred.errors import VideoError
from vidpred.files import PIPE
from vidpred.video.clip import Pixels, RgbConverter
from vidpred.video.container import demux, open_video
from vidpred.video.folders import find_images, gaps
from vidpred.video.images import read_image
from vidpred.video.orientation import orientation_of
from vidpred.video.packets import stores_display_times
from vidpred.video.pipe import RawVideo, open_pipe
from vidpred.video.probe import probe

logger = logging.getLogger(__name__)

UNSPECIFIED = 2
"""FFmpeg's number for a color space, primaries or transfer that is not specified."""


_ROUNDING = Fraction(1, 1000)  # s


@dataclass(frozen=True)
class Look:
    """How players show frames.

    Attributes:
        height: Rows of a frame as it is shown (upright), in pixels.
        width: Columns of it.
        fps: Frames per second.
        pixel_aspect: Width of a pixel by its height.
        color_range: FFmpeg's number; 0 unspecified, 1 limited, 2 full.
        colorspace: FFmpeg's number of the matrix between RGB and what is stored.
        color_primaries: FFmpeg's number.
        color_trc: FFmpeg's number of the transfer characteristic.
    """

    height: int
    width: int
    fps: Fraction
    pixel_aspect: Fraction = Fraction(1)
    color_range: int = 0
    colorspace: int = UNSPECIFIED
    color_primaries: int = UNSPECIFIED
    color_trc: int = UNSPECIFIED


@dataclass
class PlayedFrame:
    """One frame, converted to RGB when it is first looked at.

    Attributes:
        time: Seconds on a player's clock at which it is shown: zero is where the file begins, with
            its sound, which may be before the first picture.
        look: How it is shown; the same for all frames of one size.
        sound: Whether neither it nor what it builds on is damaged.
    """

    time: Fraction
    look: Look
    sound: bool
    _convert: Callable[[], Pixels] = field(repr=False)

    @cached_property
    def pixels(self) -> Pixels:
        """Upright RGB, uint8, shape (H, W, 3)."""
        return self._convert()


def play(
    path: Path,
    start: Fraction = Fraction(0),
    *,
    fps: Fraction = Fraction(25),
    raw: RawVideo | None = None,
) -> Iterator[PlayedFrame]:
    """Yield the frames of a video in the order in which they are shown.

    Args:
        path: A file in any format that FFmpeg reads, a folder of PNG or JPEG frames, or `PIPE`, the
            standard input.
        start: Seconds; frames from a key frame near this on are given, mostly the last one before
            it, or all when none can be found by its time.
        fps: Of what has none, such as a folder of frames.
        raw: How pixels from the standard input are to be read; None when the stream says it.

    Raises:
        VideoError: When it is missing, empty, no video, or of a changing frame size.
    """
    if path == PIPE:
        yield from _play_stream(path, open_pipe(raw), fps)
    elif path.is_dir():
        yield from _play_images(path, start, fps)
    else:
        if start > 0:
            with open_video(path) as (container, stream):
                frames = _from_key_frame(path, container, stream, start, fps)
                if frames is not None:
                    yield from frames
                    return
        # A second opening: not every format can be wound back.
        yield from _play_stream(path, open_video(path), fps)


def last_moment(path: Path) -> Fraction | None:
    """Estimate when a file ends, in seconds, as its header claims; None when it does not.

    Raises:
        VideoError: When it is missing, empty or no video.
    """
    with open_video(path) as (container, stream):
        if stream.duration is not None and stream.time_base is not None:
            late = (stream.start_time or 0) - _origin(container, stream)
            return (stream.duration + late) * stream.time_base
        return None if container.duration is None else Fraction(container.duration, av.time_base)


def time_of_frame(path: Path, index: int) -> Fraction | None:
    """Say when a frame of a file is shown, in seconds after the beginning.

    Args:
        path: The file.
        index: Of the frame, counted from 0.

    Returns:
        None when the file's time stamps cannot be trusted for it.

    Raises:
        VideoError: When the file is missing, empty, no video, or shorter.
    """
    stamps = probe(path).pts
    if stamps is None:
        return None
    if index >= len(stamps):
        raise past_the_last(path, index, len(stamps))
    with open_video(path) as (container, stream):
        if stream.time_base is None or not stores_display_times(container, stream):
            return None
        return (int(stamps[index]) - _origin(container, stream)) * stream.time_base


def past_the_last(path: Path, index: int, count: int) -> VideoError:
    """Say that a video of `count` frames has no frame of that index."""
    return VideoError(
        path, f"frame {index} is past the end; it has {count} frames, 0 to {count - 1}"
    )


def _play_images(folder: Path, start: Fraction, fps: Fraction) -> Iterator[PlayedFrame]:
    files = find_images(folder)
    if (missing := gaps([file.name for file in files])) is not None:
        logger.warning("%s: %s", folder, missing)
    look: Look | None = None
    for index in range(min(int(start * fps), len(files) - 1), len(files)):
        pixels = read_image(files[index])
        if look is None:
            look = Look(pixels.shape[0], pixels.shape[1], fps)
        elif pixels.shape[:2] != (look.height, look.width):
            raise _another_size(folder, files[index].name)
        # A copy, which may be written: PyTorch warns of Pillow's own memory.
        rgb = np.array(pixels) if pixels.shape[2] == 3 else pixels.repeat(3, axis=2)
        yield PlayedFrame(index / fps, look, True, partial(_same, rgb))


def _same(pixels: Pixels) -> Pixels:
    return pixels


def _play_stream(
    path: Path,
    opening: AbstractContextManager[tuple[InputContainer, av.VideoStream]],
    fps: Fraction,
) -> Iterator[PlayedFrame]:
    with opening as (container, stream):
        timed = stores_display_times(container, stream)
        origin = _origin(container, stream) if timed else None
        yield from _played(path, stream, _decode(container, stream), fps, origin)


def _from_key_frame(
    path: Path, container: InputContainer, stream: av.VideoStream, start: Fraction, fps: Fraction
) -> Iterator[PlayedFrame] | None:
    """Give the frames from a key frame near `start` on; None when none is found."""
    if stream.time_base is None or not stores_display_times(container, stream):
        return None
    offset = int(start / stream.time_base) + _origin(container, stream)
    frames = _decode(container, stream)
    try:
        container.seek(offset, stream=stream)
        first = next(frames, None)
        # Frames that are shown before the key frame reference what was not decoded.
        while first is not None and not first[0].key_frame:
            first = next(frames, None)
    except FFmpegError as problem:
        logger.debug("%s: playing from the beginning: %s", path, problem)
        return None
    if first is None or first[0].pts is None or first[0].pict_type != PictureType.I:
        return None

    def from_there() -> Iterator[tuple[av.VideoFrame, bool]]:
        yield first
        yield from frames

    return _played(path, stream, from_there(), fps, _origin(container, stream))


def _origin(container: InputContainer, stream: av.VideoStream) -> int:
    """Give the time stamp at which a player's clock shows zero.

    That is where the first of all streams begins: pictures may come later than sound.
    """
    own = stream.start_time or 0
    if container.start_time is None or stream.time_base is None:
        return own
    first = Fraction(container.start_time, av.time_base) / stream.time_base
    # The container's is rounded to microseconds.
    return own if abs(first - own) * stream.time_base < _ROUNDING else round(first)


def _decode(
    container: InputContainer, stream: av.VideoStream
) -> Iterator[tuple[av.VideoFrame, bool]]:
    """Yield frames, and whether each is whole; what cannot be decoded is passed over."""
    damaged = begun = False
    for packet in demux(container, stream):
        begun = begun or packet.is_keyframe
        try:
            frames = packet.decode()
        except FFmpegError as problem:
            logger.debug("a packet cannot be decoded: %s", problem)
            damaged = begun  # before the first key frame, see `vidpred.video.container.decode`
            continue
        for frame in frames:
            # Damage lives on in all frames that build on a damaged one.
            damaged = frame.is_corrupt or (damaged and not frame.key_frame)
            yield frame, not damaged


def _played(
    path: Path,
    stream: av.VideoStream,
    frames: Iterator[tuple[av.VideoFrame, bool]],
    fps: Fraction,
    origin: int | None,
) -> Iterator[PlayedFrame]:
    """Give frames with their times; they are counted where `origin` is None."""
    convert = RgbConverter(path)
    fps = Fraction(stream.average_rate or stream.guessed_rate or fps)
    unit = stream.time_base
    look: Look | None = None
    time = -1 / fps
    for frame, sound in frames:
        stamp: Fraction | None = None
        if origin is not None and unit is not None and frame.pts is not None:
            stamp = (frame.pts - origin) * unit
        # Without time stamps, as in elementary streams, or with wrong ones, frames are counted.
        time = stamp if stamp is not None and stamp > time else time + 1 / fps
        seen = _look(frame, stream, fps)
        if look is None:
            look = seen
        elif (seen.height, seen.width) != (look.height, look.width):
            raise _another_size(path, f"the frame at {float(time):.2f} s")
        yield PlayedFrame(time, look, sound, partial(convert, frame))
    if look is None:
        raise VideoError(path, "no frame of it can be decoded; it is damaged, fetch it again")


def _look(frame: av.VideoFrame, stream: av.VideoStream, fps: Fraction) -> Look:
    height, width = frame.height, frame.width
    aspect = Fraction(stream.sample_aspect_ratio or 1)
    if orientation_of(frame).transposed:
        height, width, aspect = width, height, 1 / aspect
    return Look(
        height=height,
        width=width,
        fps=fps,
        pixel_aspect=aspect,
        color_range=frame.color_range,
        colorspace=frame.colorspace,
        color_primaries=frame.color_primaries,
        color_trc=frame.color_trc,
    )


def _another_size(path: Path, where: str) -> VideoError:
    return VideoError(path, f"the frame size changes at {where}; encode it with one size")
