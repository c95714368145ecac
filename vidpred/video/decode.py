"""Exact frames of a video file.

Frames are found by decoding from the beginning and stopping at the last one that was asked for: the
time stamps of UCF101's AVI files come out of order (packed B-frames), so a seek cannot promise the
right frame. Skipped frames are decoded but not converted to RGB, and conversion is what costs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import torch
from av.codec.context import ThreadType
from av.container import InputContainer
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter
from torch import Tensor

from vidpred.errors import VideoError
from vidpred.ops.checks import require_positive


@dataclass(frozen=True)
class VideoInfo:
    """What a file's packets tell without decoding them.

    Attributes:
        path: The file.
        num_frames: Whole packets that hold data. A decoder gives at most that many frames, rarely a
            few less: an encoder may mark a picture as not coded (UCF101's v_Kayaking_g12_c03 does).
        height: Rows, in pixels.
        width: Columns, in pixels.
        fps: Frames per second, `None` when the file does not say.
    """

    path: Path
    num_frames: int
    height: int
    width: int
    fps: Fraction | None


def read_clip(path: str | Path, start: int, length: int, frame_step: int = 1) -> Tensor:
    """Read frames `start, start + frame_step, ...` of a video.

    They equal to the bit what decoding all of it in order gives. Rotation that a file asks players
    for is not applied: what is stored is what is read.

    Args:
        path: A file in any format that FFmpeg reads.
        start: Index of the first frame, counted from 0.
        length: T, the number of frames, at least 1.
        frame_step: Distance between two of them, at least 1.

    Returns:
        RGB, uint8, shape (T, 3, H, W).

    Raises:
        ValueError: When `start` is negative, or `length` or `frame_step` is below 1.
        VideoError: When the file is missing, empty, damaged, no video, or shorter than asked.
    """
    frames = torch.from_numpy(read_clip_array(path, start, length, frame_step))
    return frames.permute(0, 3, 1, 2).contiguous()


def read_clip_array(
    path: str | Path, start: int, length: int, frame_step: int = 1
) -> npt.NDArray[np.uint8]:
    """Read as `read_clip` does, with the channels last: shape (T, H, W, 3), to crop first."""
    # Kept between frames: setting one up costs as much as its work.
    reformatter = VideoReformatter()
    frames = [
        # One thread: loaders run many workers, and each frame is small.
        np.asarray(reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray(), np.uint8)
        for frame in _decode(path, start, length, frame_step)
    ]
    return np.stack(frames)


def check_clip(path: str | Path, start: int, length: int, frame_step: int = 1) -> tuple[int, int]:
    """Decode what `read_clip` would return, without converting it.

    Returns:
        Height and width in pixels.

    Raises:
        ValueError: As `read_clip`.
        VideoError: As `read_clip`.
    """
    height = width = 0
    for frame in _decode(path, start, length, frame_step):
        height, width = frame.height, frame.width
    return height, width


def probe(path: str | Path) -> VideoInfo:
    """Count a video's frames by its packets, without trusting its header and without decoding.

    Raises:
        VideoError: When the file is missing, empty or no video, or holds no frame.
    """
    path = Path(path)
    with _open(path) as (container, stream):
        num_frames = sum(
            1 for packet in container.demux(stream) if packet.size and not packet.is_corrupt
        )
        context = stream.codec_context
        height, width, fps = context.height, context.width, stream.average_rate
    if num_frames == 0 or height < 1 or width < 1:
        raise VideoError(path, "it holds no whole frame; it is damaged or was cut, fetch it again")
    return VideoInfo(path, num_frames, height, width, Fraction(fps) if fps else None)


def _decode(path: str | Path, start: int, length: int, frame_step: int) -> Iterator[av.VideoFrame]:
    """Yield exactly the frames that were asked for, all of one size and none of them damaged."""
    if start < 0:
        raise ValueError(f"start is {start}; expected the index of a frame, at least 0")
    require_positive("length", length)
    require_positive("frame_step", frame_step)
    path = Path(path)
    last = start + (length - 1) * frame_step
    size: tuple[int, int] | None = None
    damaged = False
    index = -1
    with _open(path) as (container, stream):
        for index, frame in enumerate(container.decode(stream)):
            # Damage lives on in all frames that build on a damaged one, up to the next whole key
            # frame.
            damaged = frame.is_corrupt or (damaged and not frame.key_frame)
            if index < start or (index - start) % frame_step:
                continue
            if damaged:
                raise VideoError(path, f"frame {index} is damaged; fetch or encode the file again")
            if size not in (None, (frame.height, frame.width)):
                raise VideoError(
                    path, f"the frame size changes at frame {index}; encode it with one size"
                )
            size = (frame.height, frame.width)
            yield frame
            if index == last:
                return
    raise VideoError(
        path,
        f"it has {index + 1} frames, and frames {start} to {last} were asked for; "
        "ask for fewer, or leave the file out",
    )


@contextmanager
def _open(path: Path) -> Iterator[tuple[InputContainer, av.VideoStream]]:
    """Open a file and its first video stream; FFmpeg's errors become `VideoError`."""
    _require_file(path)
    try:
        # An absolute path is never taken for a protocol (`a:b.avi`), and a text file that names
        # addresses (a playlist called .avi) reaches no network.
        with av.open(
            str(path.absolute()),
            mode="r",
            metadata_errors="replace",
            container_options={"protocol_whitelist": "file"},
        ) as container:
            if not container.streams.video:
                raise VideoError(path, "it has no video stream; expected a video")
            stream = container.streams.video[0]
            stream.codec_context.thread_type = ThreadType.NONE
            stream.codec_context.thread_count = 1
            yield container, stream
    except FFmpegError as error:
        reason = error.strerror or type(error).__name__
        raise VideoError(
            path, f"FFmpeg cannot read it ({reason}); it is damaged or no video, fetch it again"
        ) from error


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise VideoError(path, "it is a folder; expected a video file")
    if not path.exists():
        raise VideoError(path, "there is no such file")
    if path.stat().st_size == 0:
        raise VideoError(path, "the file is empty (0 bytes); fetch it again")
