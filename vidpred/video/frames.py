"""The stored frames that a clip is made of, found by seeking or from the beginning."""

import logging
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import PictureType

from vidpred.errors import VideoError
from vidpred.ops.checks import require_positive
from vidpred.video.container import decode, demux, open_video
from vidpred.video.info import VideoInfo
from vidpred.video.probe import probe

logger = logging.getLogger(__name__)

_FAR = 100
"""Frames in front of a clip from which on it may pay to look for a key frame first."""

_PACKETS_A_FRAME = 16
"""Packets that are read in the time in which one frame is decoded: 3.4 us against 62 us on
UCF101, whose frames are among the smallest."""


class _MisfitError(Exception):
    """What was decoded after a seek is not what the index promised."""


def require_clip(start: int, length: int, frame_step: int) -> None:
    """Refuse numbers that name no clip."""
    if start < 0:
        raise ValueError(f"start is {start}; expected the index of a frame, at least 0")
    require_positive("length", length)
    require_positive("frame_step", frame_step)


def stored_frames(
    path: Path, start: int, length: int, frame_step: int, info: VideoInfo | None
) -> Iterator[av.VideoFrame]:
    """Yield exactly the frames that were asked for, all of one size and none of them damaged.

    Raises:
        VideoError: As `read_clip`.
    """
    wanted = range(start, start + length * frame_step, frame_step)
    size: tuple[int, int] | None = None
    for index, frame in _find(path, wanted, info):
        if size not in (None, (frame.height, frame.width)):
            raise VideoError(
                path, f"the frame size changes at frame {index}; encode it with one size"
            )
        size = (frame.height, frame.width)
        yield frame


def _find(path: Path, wanted: range, info: VideoInfo | None) -> Iterator[tuple[int, av.VideoFrame]]:
    done = 0
    with open_video(path) as (container, stream):
        if info is None and _worth_probing(stream, wanted[0]):
            info = probe(path)
        plan = _plan(info, wanted)
        if plan is not None:
            try:
                for found in _from_key_frame(path, container, stream, wanted, *plan):
                    yield found
                    done += 1
                return
            except (_MisfitError, FFmpegError) as problem:
                logger.debug("%s: decoding from the beginning: %s", path, problem)
        else:
            yield from _from_beginning(path, container, stream, wanted)
            return
    # A second opening: not every format can be wound back.
    with open_video(path) as (container, stream):
        yield from _from_beginning(path, container, stream, wanted[done:])


def _worth_probing(stream: av.VideoStream, start: int) -> bool:
    return start >= _FAR and start * _PACKETS_A_FRAME >= stream.frames


def _plan(info: VideoInfo | None, wanted: range) -> tuple[int, list[int], int | None] | None:
    """Say where to begin.

    Returns:
        Index of the key frame, the time stamps from there to the last frame wanted, and that of the
        key frame before; None when decoding has to begin at the beginning.
    """
    pts = None if info is None else info.pts
    if info is None or pts is None or wanted[-1] >= len(pts):
        return None
    keys = info.key_frames
    place = int(np.searchsorted(keys, wanted[0], side="right")) - 1
    if place < 1:
        return None
    key = int(keys[place])
    return key, pts[key : wanted[-1] + 1].tolist(), int(pts[keys[place - 1]])


def _from_key_frame(
    path: Path,
    container: InputContainer,
    stream: av.VideoStream,
    wanted: range,
    key: int,
    stamps: list[int],
    earlier: int | None,
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Decode from a key frame, and check every frame from there on against its time stamp."""
    packet, packets = _seek(container, stream, stamps[0], earlier)
    index, damaged = key, False
    while True:
        for frame in packet.decode():
            # Frames that are shown before the key frame lean on what was not decoded.
            if index == key and frame.pts is not None and frame.pts < stamps[0]:
                continue
            if frame.pts != stamps[index - key]:
                raise _MisfitError(f"frame {index} has time {frame.pts}")
            if index == key and not (frame.key_frame and frame.pict_type == PictureType.I):
                raise _MisfitError(f"frame {index} is no key frame")
            damaged = frame.is_corrupt or (damaged and not frame.key_frame)
            if index in wanted:
                _require_sound(path, index, damaged)
                yield index, frame
            if index == wanted[-1]:
                return
            index += 1
        following = next(packets, None)
        if following is None:
            raise _MisfitError(f"it ends at frame {index}")
        packet = following


def _seek(
    container: InputContainer, stream: av.VideoStream, stamp: int, earlier: int | None
) -> tuple["av.Packet[av.VideoStream]", Iterator["av.Packet[av.VideoStream]"]]:
    """Give the packet of a key frame, and those that follow."""
    # Some formats seek by the time of decoding, which is earlier: then once more, from further
    # ahead.
    for target in (stamp, earlier):
        if target is None:
            continue
        container.seek(target, stream=stream)
        packets = demux(container, stream)
        for packet in packets:
            if packet.pts == stamp and packet.is_keyframe:
                return packet, packets
            if packet.dts is None or packet.dts > stamp:
                break
    raise _MisfitError(f"no key frame at time {stamp}")


def _from_beginning(
    path: Path, container: InputContainer, stream: av.VideoStream, wanted: range
) -> Iterator[tuple[int, av.VideoFrame]]:
    damaged = False
    index = -1
    for index, frame in enumerate(decode(container, stream)):
        # Damage lives on in all frames that build on a damaged one, up to the next whole key frame.
        damaged = frame.is_corrupt or (damaged and not frame.key_frame)
        if index in wanted:
            _require_sound(path, index, damaged)
            yield index, frame
        if index == wanted[-1]:
            return
    raise VideoError(
        path,
        f"it has {index + 1} frames, and frames {wanted[0]} to {wanted[-1]} were asked for; "
        "ask for fewer, or leave the file out",
    )


def _require_sound(path: Path, index: int, damaged: bool) -> None:
    if damaged:
        raise VideoError(path, f"frame {index} is damaged; fetch or encode the file again")
