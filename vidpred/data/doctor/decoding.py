"""Videos decoded, and what came out remembered."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from vidpred.data.doctor.findings import Finding, PhaseProgress
from vidpred.data.doctor.video_files import in_parallel
from vidpred.data.index.video_index import VideoIndex
from vidpred.errors import AccessError, VideoError
from vidpred.video import VideoInfo, check_clip, count_frames

T = TypeVar("T")

TOLERATED_LOSS = 0.02
"""Share of packets that may give no picture: an encoder marks some as not coded."""


@dataclass
class Decoded:
    """What decoding found.

    Attributes:
        heads: Videos whose first frames were decoded, now or before.
        whole: Videos that were decoded whole, now or before.
        damaged: Reasons by path below the root.
        fewer: Number of pictures of the whole ones, where it is not the number of packets.
        sound: Videos that were decoded whole now, without a fault.
        not_given: Videos that the system did not give, with the reason; nothing is known of them.
    """

    heads: int = 0
    whole: int = 0
    damaged: dict[str, str] = field(default_factory=dict)
    fewer: dict[str, int] = field(default_factory=dict)
    sound: set[str] = field(default_factory=set)
    not_given: dict[str, str] = field(default_factory=dict)


def decode(
    index: VideoIndex,
    infos: Mapping[str, VideoInfo],
    *,
    frames: int,
    sample: int,
    seed: int,
    full: bool,
    suspects: set[str],
    workers: int,
    progress: PhaseProgress | None,
) -> Decoded:
    """Decode the first frames of every video, and some or all videos whole.

    What was decoded before and has not changed since is not decoded again, so a long examination
    that was broken off resumes where it was.

    Args:
        index: Of the videos.
        infos: What it knows of those that can be opened.
        frames: How many of the first frames.
        sample: Videos to decode whole, chosen at random.
        seed: Of this choice.
        full: Decode all of them whole.
        suspects: Videos to decode whole again, whatever is remembered.
        workers: Threads.
        progress: Called with what is being done, the number of files done, and of all.
    """
    names = sorted(infos)
    some = set(random.Random(seed).sample(names, min(sample, len(names))))
    # A head cannot be longer than the video: short ones are decoded whole.
    short = {name for name in names if infos[name].num_frames <= frames}
    to_read = set(names) if full else some | short | (suspects & infos.keys())
    known = _wholes(index)
    heads = {name for name, value in index.remembered("head").items() if value == frames}
    result = Decoded()

    def read_whole(name: str) -> tuple[int, str | None] | AccessError:
        try:
            return _decode_whole(index.root / name, infos[name].num_frames)
        except AccessError as error:
            return error

    def read_head(name: str) -> str | AccessError | None:
        try:
            check_clip(index.root / name, 0, frames)
        except AccessError as error:
            return error
        except VideoError as error:
            return error.problem
        return None

    left = [name for name in names if name in to_read and (name not in known or name in suspects)]
    phase = "Decoding whole videos"
    for some_read in in_parallel(left, read_whole, phase=phase, workers=workers, progress=progress):
        found = _given(some_read, result)
        index.remember("decoded", {name: list(value) for name, value in found.items()})
        known.update(found)
        result.sound |= {name for name, (_, problem) in found.items() if problem is None}
    left = [name for name in names if name not in heads and name not in known]
    phase = "Decoding first frames"
    for heads_read in in_parallel(left, read_head, phase=phase, workers=workers, progress=progress):
        problems = _given(heads_read, result)
        # Those with a problem are read again next time: there are few, and the reason is needed.
        good = {name: frames for name, problem in problems.items() if problem is None}
        index.remember("head", good)
        heads |= good.keys()
        result.damaged.update({n: problem for n, problem in problems.items() if problem})
    for name in names:
        result.heads += name in heads or name in known or name in result.damaged
        if name in known:
            result.whole += 1
            _judge(result, name, infos[name].num_frames, *known[name])
    return result


def _given(found: Mapping[str, T | AccessError], result: Decoded) -> dict[str, T]:
    """Leave out what the system did not give."""
    result.not_given |= {n: e.problem for n, e in found.items() if isinstance(e, AccessError)}
    return {name: value for name, value in found.items() if not isinstance(value, AccessError)}


def decoding_findings(decoded: Decoded, infos: Mapping[str, VideoInfo]) -> list[Finding]:
    """Report what `decode` found."""
    findings = []
    if decoded.damaged:
        findings.append(
            Finding(
                "damaged",
                True,
                f"{len(decoded.damaged)} videos are damaged inside",
                tuple(f"{name}: {reason}" for name, reason in decoded.damaged.items()),
                "Fetch or encode them again; training leaves them out until they change.",
            )
        )
    if decoded.fewer:
        findings.append(
            Finding(
                "pictures",
                False,
                f"{len(decoded.fewer)} videos decode to fewer pictures than they have packets",
                tuple(
                    f"{name}: {pictures} pictures, {infos[name].num_frames} packets"
                    for name, pictures in decoded.fewer.items()
                ),
                "Nothing to do: the last clips of such a video are not used.",
            )
        )
    return findings


def _decode_whole(path: Path, packets: int) -> tuple[int, str | None]:
    """Give the number of pictures, and what is wrong with them."""
    try:
        try:
            check_clip(path, 0, packets)
            return packets, None
        except AccessError:
            raise
        except VideoError:  # also when there are fewer pictures than packets
            pass
        pictures = count_frames(path)
        if pictures:
            check_clip(path, 0, pictures)
    except AccessError:
        raise
    except VideoError as error:
        return 0, error.problem
    return pictures, None


def _judge(result: Decoded, name: str, packets: int, pictures: int, problem: str | None) -> None:
    if problem is None and packets - pictures > max(2, TOLERATED_LOSS * packets):
        problem = f"only {pictures} of its {packets} packets decode to a picture; fetch it again"
        result.sound.discard(name)
    if problem is not None:
        result.damaged[name] = problem
    elif pictures != packets:
        result.fewer[name] = pictures


def _wholes(index: VideoIndex) -> dict[str, tuple[int, str | None]]:
    known = {}
    for name, value in index.remembered("decoded").items():
        assert isinstance(value, list)  # as `decode` keeps it
        known[name] = (int(value[0]), None if value[1] is None else str(value[1]))
    return known
