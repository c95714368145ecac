"""Video that comes through the standard input."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError

from vidpred.errors import VideoError
from vidpred.files import PIPE
from vidpred.video.container import MAX_PIXELS, choose_stream, ffmpeg_errors


@dataclass(frozen=True)
class RawVideo:
    """How pixels without any header are to be read.

    Attributes:
        height: Rows of a frame.
        width: Columns of it.
        pixel_format: FFmpeg's name, such as "rgb24" or "yuv420p".
        fps: Frames per second.
    """

    height: int
    width: int
    pixel_format: str = "rgb24"
    fps: Fraction = Fraction(25)


@contextmanager
def open_pipe(raw: RawVideo | None) -> Iterator[tuple[InputContainer, av.VideoStream]]:
    """Open the standard input as a container, an elementary stream, or raw pixels.

    Args:
        raw: How raw pixels are to be read; None when the stream says what it is.

    Raises:
        VideoError: When it holds no video, and for every error of FFmpeg's in the body.
    """
    options = {"max_pixels": str(MAX_PIXELS)}
    if raw is not None:
        _require_pixel_format(raw.pixel_format)
        options |= {
            "video_size": f"{raw.width}x{raw.height}",
            "pixel_format": raw.pixel_format,
            "framerate": str(raw.fps),
        }
    try:
        opened = av.open(
            "pipe:0",
            mode="r",
            format=None if raw is None else "rawvideo",
            metadata_errors="replace",
            options=options,
            container_options={"protocol_whitelist": "pipe"},
        )
    except FFmpegError as error:
        raise _not_in_one_go(error) from error
    with ffmpeg_errors(PIPE), opened as container:
        stream = choose_stream(PIPE, container)
        stream.codec_context.thread_type = ThreadType.NONE
        stream.codec_context.thread_count = 1
        try:
            yield container, stream
        except InvalidDataError as error:  # its index was found, and what it points to is gone
            if "mp4" in container.format.name:
                raise _not_in_one_go(error) from error
            raise


def _not_in_one_go(error: FFmpegError) -> VideoError:
    return VideoError(
        PIPE,
        f"FFmpeg cannot read the standard input ({error.strerror}); expected a stream that can "
        "be read in one go, such as Matroska, MPEG-TS or bare H.264, or raw pixels with "
        "--size: an MP4 keeps its index at its end, give it as a file",
    )


def _require_pixel_format(name: str) -> None:
    try:
        found = av.VideoFormat(name)
    except ValueError as error:
        raise VideoError(
            PIPE,
            f"no pixel format is called {name!r}; expected a name of FFmpeg's (ffmpeg -pix_fmts), "
            "such as rgb24 or yuv420p",
        ) from error
    if not found.components:
        raise VideoError(
            PIPE,
            f"pixels of format {name} are in the memory of a device; expected one of plain pixels, "
            "such as rgb24 or yuv420p",
        )
