"""Opened video files: which stream is read, and how FFmpeg's errors become ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition

from vidpred.errors import VideoError

MAX_PIXELS = 2**27
"""Pixels of a frame, 16384 x 8192: a damaged header must not make us ask for all memory."""


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, av.VideoStream]]:
    """Open a file and its default video stream; both are closed at the end.

    Containers are not kept between passes through a video. Of 257 videos 32 open ones would be met
    again by an eighth of the clips and save 3 % of the frames that are decoded, at 0.9 MiB each;
    of the thousands of a whole data set, by hardly any. Opening one of UCF101 takes 0.5 ms, a
    twelfth of what a clip takes.

    Raises:
        VideoError: When the file is missing, empty or no video, and for every error of FFmpeg's
            in the body.
    """
    _require_file(path)
    with (
        ffmpeg_errors(path),
        # An absolute path is never taken for a protocol (`a:b.avi`), and a text file that names
        # addresses (a playlist called .avi) reaches no network.
        av.open(
            str(path.absolute()),
            mode="r",
            metadata_errors="replace",
            options={"max_pixels": str(MAX_PIXELS)},
            container_options={"protocol_whitelist": "file"},
        ) as container,
    ):
        stream = choose_stream(path, container)
        # One thread: loaders run many workers, and each frame is small.
        stream.codec_context.thread_type = ThreadType.NONE
        stream.codec_context.thread_count = 1
        yield container, stream


def demux(
    container: InputContainer, stream: av.VideoStream
) -> "Iterator[av.Packet[av.VideoStream]]":
    """Yield a stream's packets, at the end an empty one that makes the decoder give up the rest.

    Empty packets before the end repeat the picture before them (Theora writes them, and programs
    that record screens): there is nothing to decode in them, and a decoder takes the first one for
    the end.
    """
    last: av.Packet[av.VideoStream] | None = None
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
            else:
                last = packet
    except IndexError:
        # PyAV 18.1, where a damaged transport stream announces a further stream on its way: raised
        # after the last packet of ours.
        return
    if last is not None:
        yield last


def decode(container: InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Yield all frames of a stream.

    What comes before the first key frame, as in a recording of a broadcast, depends on pictures
    that were cut away: decoders drop it, or cannot decode it.
    """
    begun = False
    for packet in demux(container, stream):
        begun = begun or packet.is_keyframe
        try:
            frames = packet.decode()
        except FFmpegError:
            if begun:
                raise
            continue
        yield from frames


@contextmanager
def ffmpeg_errors(path: Path) -> Iterator[None]:
    """Turn FFmpeg's errors into `VideoError`."""
    try:
        yield
    except FFmpegError as error:
        reason = error.strerror or type(error).__name__
        raise VideoError(
            path, f"FFmpeg cannot read it ({reason}); it is damaged or no video, fetch it again"
        ) from error


def choose_stream(path: Path, container: InputContainer) -> av.VideoStream:
    """Give the first stream that is marked as default, or else the first; never a cover."""
    moving = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic
    ]
    if not moving:
        held = "only a cover picture" if container.streams.video else "no video stream"
        raise VideoError(path, f"it has {held}; expected a video")
    default = [stream for stream in moving if stream.disposition & Disposition.default]
    stream = (default or moving)[0]
    # Without a decoder there is no context, whatever the type says.
    if getattr(stream, "codec_context", None) is None:
        raise VideoError(
            path, "its format is unknown to this FFmpeg; encode it again, as H.264 in .mp4"
        )
    return stream


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise VideoError(path, "it is a folder; expected a video file")
    if not path.exists():
        raise VideoError(path, "there is no such file")
    if path.stat().st_size == 0:
        raise VideoError(path, "the file is empty (0 bytes); fetch it again")
