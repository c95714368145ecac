"""Exact frames of a video: a file in any format that FFmpeg reads, or a folder of images.

Frames are found by a seek to the key frame before them where the time stamps can be trusted (see
`vidpred.video.packets`) and an index of them is at hand; else by decoding from the beginning. Each
frame is checked after a seek, and a misfit leads back to the beginning, so both give the same bits.
Skipped frames are decoded but not converted to RGB.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidpred.errors import VideoError
from vidpred.video.clip import DecodedClip, RgbConverter
from vidpred.video.folders import find_images
from vidpred.video.frames import find_frames, require_clip
from vidpred.video.images import read_images
from vidpred.video.info import VideoInfo
from vidpred.video.orientation import orientation_of


def read_clip(
    path: str | Path,
    start: int,
    length: int,
    frame_step: int = 1,
    *,
    info: VideoInfo | None = None,
) -> Tensor:
    """Read frames `start, start + frame_step, ...` of a video.

    They equal to the bit what decoding all of it in order gives, turned upright as players show
    them.

    Args:
        path: A file in any format that FFmpeg reads, or a folder of PNG or JPEG frames.
        start: Index of the first frame, counted from 0.
        length: T, the number of frames, at least 1.
        frame_step: Distance between two of them, at least 1.
        info: What `probe` found in this file; with it, decoding begins at the nearest key frame.

    Returns:
        RGB, uint8, shape (T, 3, H, W).

    Raises:
        ValueError: When `start` is negative, or `length` or `frame_step` is below 1.
        VideoError: When the file is missing, empty, damaged, no video, or shorter than asked.

    Example:
        >>> import tempfile
        >>> import torch
        >>> from vidpred.video import write_video
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_video(f"{folder}/a.avi", torch.zeros(9, 3, 32, 48, dtype=torch.uint8))
        ...     clip = read_clip(f"{folder}/a.avi", start=2, length=3, frame_step=2)
        >>> clip.shape, clip.dtype
        (torch.Size([3, 3, 32, 48]), torch.uint8)
    """
    planes: npt.NDArray[np.uint8] | None = None
    for number, frame in enumerate(_frames(path, start, length, frame_step, info)):
        if planes is None:
            planes = np.empty((length, 3, *frame.shape[:2]), np.uint8)
        cv2.split(frame, list(planes[number]))  # five times as fast as torch's copy by strides
    return torch.from_numpy(cast(npt.NDArray[np.uint8], planes))


def read_clip_array(
    path: str | Path,
    start: int,
    length: int,
    frame_step: int = 1,
    *,
    info: VideoInfo | None = None,
) -> npt.NDArray[np.uint8]:
    """Read as `read_clip` does, with the channels last, for callers that crop before they convert.

    Args:
        path: As `read_clip`.
        start: As `read_clip`.
        length: As `read_clip`.
        frame_step: As `read_clip`.
        info: As `read_clip`.

    Returns:
        RGB frames, uint8, shape (T, H, W, 3).

    Raises:
        ValueError: As `read_clip`.
        VideoError: As `read_clip`.
    """
    clip: npt.NDArray[np.uint8] | None = None
    for number, frame in enumerate(_frames(path, start, length, frame_step, info)):
        if clip is None:
            clip = np.empty((length, *frame.shape), np.uint8)
        clip[number] = frame
    return cast(npt.NDArray[np.uint8], clip)


def decode_clip(
    path: str | Path,
    start: int,
    length: int,
    frame_step: int = 1,
    *,
    info: VideoInfo | None = None,
) -> DecodedClip:
    """Decode what `read_clip` would return, and convert only what is asked for then.

    Args:
        path: As `read_clip`.
        start: As `read_clip`.
        length: As `read_clip`.
        frame_step: As `read_clip`.
        info: As `read_clip`.

    Raises:
        ValueError: As `read_clip`.
        VideoError: As `read_clip`.
    """
    return next(decode_clips(path, [start], length, frame_step, info=info))


def decode_clips(
    path: str | Path,
    starts: Sequence[int],
    length: int,
    frame_step: int = 1,
    *,
    info: VideoInfo | None = None,
) -> Generator[DecodedClip, None, None]:
    """Decode several clips in one pass through a video; each is as `decode_clip` gives it.

    Only the frames of one clip are held at a time. To stop early, close the iterator.

    Args:
        path: As `read_clip`.
        starts: Index of the first frame of each clip, ascending.
        length: As `read_clip`.
        frame_step: As `read_clip`.
        info: As `read_clip`; with it, key frames between the clips are made use of.

    Raises:
        ValueError: As `read_clip`, and when the starts do not ascend.
        VideoError: As `read_clip`, when the clip is reached.
    """
    for start in starts:
        require_clip(start, length, frame_step)
    if any(later < earlier for earlier, later in pairwise(starts)):
        raise ValueError(f"starts are {list(starts)}; expected ascending ones")
    path = Path(path)
    if path.is_dir():
        for start in starts:
            yield DecodedClip(path, list(_read_folder(path, start, length, frame_step)))
        return
    clips = [range(start, start + length * frame_step, frame_step) for start in starts]
    found = find_frames(path, sorted({index for clip in clips for index in clip}), info)
    held: dict[int, av.VideoFrame] = {}
    for clip in clips:
        held = {index: frame for index, frame in held.items() if index >= clip.start}
        while clip[-1] not in held:
            index, held[index] = next(found)
        yield DecodedClip(path, list(_one_size(path, ((index, held[index]) for index in clip))))


def check_clip(
    path: str | Path,
    start: int,
    length: int,
    frame_step: int = 1,
    *,
    info: VideoInfo | None = None,
) -> tuple[int, int]:
    """Decode what `read_clip` would return, without converting it to RGB, to see that it can be.

    Args:
        path: As `read_clip`.
        start: As `read_clip`.
        length: As `read_clip`.
        frame_step: As `read_clip`.
        info: As `read_clip`.

    Returns:
        Height and width in pixels.

    Raises:
        ValueError: As `read_clip`.
        VideoError: As `read_clip`.
    """
    require_clip(start, length, frame_step)
    path = Path(path)
    if path.is_dir():
        frames = _read_folder(path, start, length, frame_step)
        return frames.shape[1], frames.shape[2]
    height = width = 0
    for frame in _stored_frames(path, start, length, frame_step, info):
        height, width = frame.height, frame.width
        if orientation_of(frame).transposed:
            height, width = width, height
    return height, width


def _frames(
    path: str | Path, start: int, length: int, frame_step: int, info: VideoInfo | None
) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield RGB frames of shape (H, W, 3), each to be copied before the next is asked for.

    One is converted at a time, so a long clip is not held in two forms, and all conversions take
    the same piece of memory.
    """
    require_clip(start, length, frame_step)
    path = Path(path)
    if path.is_dir():
        yield from _read_folder(path, start, length, frame_step)
        return
    yield from map(RgbConverter(path), _stored_frames(path, start, length, frame_step, info))


def _stored_frames(
    path: Path, start: int, length: int, frame_step: int, info: VideoInfo | None
) -> Iterator[av.VideoFrame]:
    """Yield exactly the frames that were asked for, all of one size and none of them damaged."""
    return _one_size(
        path, find_frames(path, range(start, start + length * frame_step, frame_step), info)
    )


def _one_size(path: Path, frames: Iterable[tuple[int, av.VideoFrame]]) -> Iterator[av.VideoFrame]:
    size: tuple[int, int] | None = None
    for index, frame in frames:
        if size not in (None, (frame.height, frame.width)):
            raise VideoError(
                path, f"the frame size changes at frame {index}; encode it with one size"
            )
        size = (frame.height, frame.width)
        yield frame


def _read_folder(folder: Path, start: int, length: int, frame_step: int) -> npt.NDArray[np.uint8]:
    """Read frames of a folder of images, opening no other; gray ones become RGB."""
    files = find_images(folder)
    last = start + (length - 1) * frame_step
    if last >= len(files):
        raise VideoError(
            folder,
            f"it has {len(files)} frames, and frames {start} to {last} were asked for; "
            "ask for fewer, or leave the folder out",
        )
    frames = read_images(files[start : last + 1 : frame_step])
    return frames if frames.shape[3] == 3 else frames.repeat(3, axis=3)
