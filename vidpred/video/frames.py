"""The stored frames that a clip is made of, found by seeking or from the beginning."""

import logging
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import PictureType

from vidpred.errors import VideoError
from vidpred.ops.checks import require_positive
from vidpred.video.container import decode, demux, open_video, require_given
from vidpred.video.info import Clock, VideoInfo
from vidpred.video.probe import probe

logger = logging.getLogger(__name__)

_FAR = 100
"""Frames in front of a clip from which on it may pay to look for a key frame first."""

_PACKETS_A_FRAME = 16
"""Packets that are read in the time in which one frame is decoded: 3.4 us against 62 us on
UCF101, whose frames are among the smallest."""


_LEAVE_OUT_B_FRAMES = frozenset({"h264", "mpeg4", "mpeg1video", "mpeg2video"})
"""Decoders that leave out, when asked to, exactly the non-reference frames. HEVC's
does not: what is no reference of a picture of the same layer may carry one of a layer above."""


_NEIGHBORS = 4
"""Frames before a wanted one that are not left out: FFmpeg's MPEG-4 decoder gives no B-frame when
it left out another one between the same two references, of which there are seldom more."""


class _MisfitError(Exception):
    """What was decoded after a seek is not what the index promised."""


def require_clip(start: int, length: int, frame_step: int) -> None:
    """Refuse numbers that name no clip."""
    if start < 0:
        raise ValueError(f"start is {start}; expected the index of a frame, at least 0")
    require_positive("length", length)
    require_positive("frame_step", frame_step)


def find_frames(
    path: Path, wanted: Sequence[int], info: VideoInfo | None
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Yield the frames of some indices, in one pass through the file.

    Args:
        path: The file.
        wanted: Ascending indices, at least one.
        info: What `probe` found in this file; with it, stretches in which nothing is wanted are
            jumped over where a key frame allows it.

    Raises:
        VideoError: When the file cannot be read, ends too early, or one of the frames is damaged.
    """
    done = 0
    with open_video(path) as (container, stream):
        if info is None and _worth_probing(stream, wanted[0]):
            info = probe(path, count=False)
        try:
            for stretch in _stretches(wanted, info):
                clock = "pts" if info is None else info.clock
                for found in _read_stretch(path, container, stream, stretch, clock):
                    yield found
                    done += 1
            return
        except (_MisfitError, FFmpegError) as problem:
            if info is None or info.pts is None:
                raise
            logger.debug("%s: decoding from the beginning: %s", path, problem)
    # A second opening: not every format can be wound back.
    with open_video(path) as (container, stream):
        yield from _from_beginning(path, container, stream, wanted[done:])


def _worth_probing(stream: av.VideoStream, start: int) -> bool:
    return start >= _FAR and start * _PACKETS_A_FRAME >= stream.frames


class _Stretch(NamedTuple):
    """Frames that are decoded without a jump between them.

    Attributes:
        wanted: Their indices, ascending.
        key: Index of the key frame to begin at, 0 for the beginning.
        stamps: Time stamps from there to the last of them; empty when none can be trusted.
        earlier: Time stamp of the key frame before, to jump from; None at the beginning.
    """

    wanted: Sequence[int]
    key: int = 0
    stamps: Sequence[int] = ()
    earlier: int | None = None


def _stretches(wanted: Sequence[int], info: VideoInfo | None) -> list[_Stretch]:
    pts = None if info is None else info.pts
    if info is None or pts is None or wanted[-1] >= len(pts):
        return [_Stretch(wanted)]
    keys = info.key_frames
    # The number of the key frame before each of them, and 0 where there is none to jump to.
    places = np.maximum(np.searchsorted(keys, wanted, side="right") - 1, 0)
    # A jump pays when it leaves out a frame.
    following = np.concatenate([[0], np.asarray(wanted[:-1]) + 1])
    jumps = np.flatnonzero((keys[places] > following) & (places > 0)).tolist()
    found = []
    for first, end in pairwise(sorted({0, *jumps, len(wanted)})):
        part, place = wanted[first:end], int(places[first])
        key, earlier = (
            (int(keys[place]), int(pts[keys[place - 1]])) if first in jumps else (0, None)
        )
        found.append(_Stretch(part, key, pts[key : part[-1] + 1].tolist(), earlier))
    return found


def _read_stretch(
    path: Path,
    container: InputContainer,
    stream: av.VideoStream,
    stretch: _Stretch,
    clock: Clock,
) -> Iterator[tuple[int, av.VideoFrame]]:
    if stretch.stamps:
        return _by_stamps(path, container, stream, stretch, clock)
    return _from_beginning(path, container, stream, stretch.wanted)


def _by_stamps(
    path: Path,
    container: InputContainer,
    stream: av.VideoStream,
    stretch: _Stretch,
    clock: Clock,
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Decode from a key frame on, and know every frame by its time stamp."""
    wanted, key, stamps, earlier = stretch
    if earlier is None:
        packets = demux(container, stream)
    else:
        packets = _seek(container, stream, stamps[0], earlier)
    context = stream.codec_context
    sparing = context.name in _LEAVE_OUT_B_FRAMES
    asked = {
        stamps[index - key - ahead]
        for index in wanted
        for ahead in range(min(_NEIGHBORS, index - key) + 1)
    }
    index, done, damaged = key, 0, False
    for packet in packets:
        if sparing:
            needed = not packet.size or getattr(packet, clock) in asked
            context.skip_frame = "DEFAULT" if needed else "NONREF"
        for frame in packet.decode():
            stamp = getattr(frame, clock)
            if stamp is None and not packet.size and clock == "dts":
                stamp = stamps[index - key]  # the last frame has no packet behind it
            # Frames that are shown before the key frame reference what was not decoded.
            if index == key and stamp is not None and stamp < stamps[0]:
                continue
            while stamp != stamps[index - key]:
                if not sparing or index == wanted[done]:
                    raise _MisfitError(f"frame {index} has time {stamp}")
                index += 1
            if index == key and not (frame.key_frame and frame.pict_type == PictureType.I):
                raise _MisfitError(f"frame {index} is no key frame")
            damaged = frame.is_corrupt or (damaged and not frame.key_frame)
            if index == wanted[done]:
                _require_sound(path, index, damaged)
                yield index, frame
                done += 1
                if done == len(wanted):
                    return
            index += 1
    raise _MisfitError(f"it ends at frame {index}")


def _seek(
    container: InputContainer, stream: av.VideoStream, stamp: int, earlier: int
) -> Iterator["av.Packet[av.VideoStream]"]:
    """Give the packet of a key frame, and those that follow."""
    # Some formats seek by the time of decoding, which is earlier: then once more, from further
    # ahead.
    for target in (stamp, earlier):
        container.seek(target, stream=stream)
        packets = demux(container, stream)
        for packet in packets:
            if packet.pts == stamp and packet.is_keyframe:
                return chain([packet], packets)
            if packet.dts is None or packet.dts > stamp:
                break
    raise _MisfitError(f"no key frame at time {stamp}")


def _from_beginning(
    path: Path, container: InputContainer, stream: av.VideoStream, wanted: Sequence[int]
) -> Iterator[tuple[int, av.VideoFrame]]:
    done, damaged = 0, False
    index = -1
    for index, frame in enumerate(decode(container, stream)):
        # Damage lives on in all frames that build on a damaged one, up to the next whole key frame.
        damaged = frame.is_corrupt or (damaged and not frame.key_frame)
        if index == wanted[done]:
            _require_sound(path, index, damaged)
            yield index, frame
            done += 1
            if done == len(wanted):
                return
    require_given(path)
    raise VideoError(
        path,
        f"it has {index + 1} frames, and frames {wanted[0]} to {wanted[-1]} were asked for; "
        "ask for fewer, or leave the file out",
    )


def _require_sound(path: Path, index: int, damaged: bool) -> None:
    if damaged:
        raise VideoError(path, f"frame {index} is damaged; fetch or encode the file again")
