"""Opened video files: which stream is read, and how FFmpeg's errors become ours."""

import errno
import json
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition

from vidpred.errors import AccessError, VideoError, is_system_error, missing_video

MAX_PIXELS = 2**27
"""Pixels of a frame, 16384 x 8192: a damaged header must not make us ask for all memory."""


_CHECKED = 2**30
"""Bytes of a file that are read again where FFmpeg failed: 1 GiB, the whole of most videos."""

_BEHIND_THE_LAST = 2**22
"""Bytes behind the last packet that are read again at the end of a file: more than FFmpeg's."""

_SYSTEM = frozenset(
    {errno.EACCES, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT}
)
"""Numbers of errors that FFmpeg passes on from the system and never gives for damage."""


_TEXT = "tty"
"""FFmpeg's reader of text files (.txt, .nfo), which draws them as pictures of a terminal."""

_STILL_WEBP = "webp_pipe"
"""FFmpeg's reader of WebP; of an animation it gives one packet that no decoder takes."""


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
        if container.format.name == _STILL_WEBP and _is_animated_webp(path):
            raise VideoError(
                path,
                "it is an animated WebP, which this FFmpeg cannot read; Pillow converts it without "
                f"loss: python -c {shlex.quote(_to_apng(path))}",
            )
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

    Raises:
        AccessError: When the end is none, but a reading that failed.
    """
    last: av.Packet[av.VideoStream] | None = None
    end = 0
    try:
        for packet in container.demux(stream):
            end = max(end, (packet.pos or 0) + packet.size)
            if packet.size:
                yield packet
            else:
                last = packet
    except IndexError:
        # PyAV 18.1, where a damaged transport stream announces a further stream on its way: raised
        # after the last packet of ours.
        return
    # FFmpeg takes a reading that fails for the end of the file: what follows the last packet shows
    # the truth.
    require_given(Path(container.name), end, _BEHIND_THE_LAST)
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
        require_given(path)
        if error.errno in _SYSTEM:
            raise _not_given(path, error.strerror or str(error)) from error
        reason = error.strerror or type(error).__name__
        if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS):
            raise VideoError(
                path,
                f"this FFmpeg cannot convert how its colors are stored ({reason}); encode it "
                "again, as H.264 with BT.709",
            ) from error
        raise VideoError(
            path, f"FFmpeg cannot read it ({reason}); it is damaged or no video, fetch it again"
        ) from error


def require_given(path: Path, start: int = 0, amount: int = _CHECKED) -> None:
    """Make sure that a reading failed because of the file and not because of the system.

    FFmpeg takes a read that fails for the end of the file, and has the same number for a failing
    disk and for damage; so the bytes are read again.

    Args:
        path: The file.
        start: First byte that is read.
        amount: Bytes that are read at most.

    Raises:
        AccessError: When the system does not give them.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return
        with path.open("rb", buffering=0) as file:
            file.seek(start)
            while amount > 0 and (piece := file.read(min(amount, 2**20))):
                amount -= len(piece)
    except OSError as error:
        if is_system_error(error):
            raise _not_given(path, error.strerror or str(error)) from error


def _to_apng(path: Path) -> str:
    read, written = (
        json.dumps(str(name), ensure_ascii=False) for name in (path, path.with_suffix(".apng"))
    )
    return f"from PIL import Image; Image.open({read}).save({written}, save_all=True)"


def _is_animated_webp(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(21)
    except OSError:
        return False
    # A header chunk "VP8X" whose second bit says that there are several pictures.
    return len(head) == 21 and head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)


def _not_given(path: Path, reason: str) -> AccessError:
    return AccessError(
        path,
        f"the system does not give it ({reason}); this says nothing about the video: look after "
        "permissions, the disk or the network drive, and try again",
    )


def choose_stream(path: Path, container: InputContainer) -> av.VideoStream:
    """Give the first stream that is marked as default, or else the first; never a cover."""
    if container.format.name == _TEXT:
        raise VideoError(path, "it is a text file; expected a video")
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
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise VideoError(path, "it is a folder; expected a video file")
        if not stat.S_ISREG(mode):  # opening a pipe would wait for its other end
            raise VideoError(path, "it is a pipe or a device; expected a video file")
        with path.open("rb", buffering=0) as file:
            if not file.read(1):
                raise VideoError(path, "the file is empty (0 bytes); fetch it again")
    except OSError as error:
        if is_system_error(error):
            raise _not_given(path, error.strerror or str(error)) from error
        if error.errno == errno.ENOENT:
            raise missing_video(path) from error
        raise VideoError(path, f"it cannot be opened ({error.strerror})") from error
