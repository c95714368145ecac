"""Videos in which frames repeat the one before, as conversions of the frame rate leave them."""

from collections.abc import Iterable, Mapping
from itertools import pairwise

from vidpred.data.doctor.findings import Finding, PhaseProgress
from vidpred.data.doctor.video_files import in_parallel
from vidpred.data.index.video_index import VideoIndex
from vidpred.errors import VideoError
from vidpred.ops import to_unit
from vidpred.ops.duplicates import near_duplicates
from vidpred.video import VideoInfo, read_clip

FRAMES = 12
"""First frames that are looked at: four known ones and eight predicted, as protocols cut them."""

FEWEST = 4
"""Frames below which nothing can be said of what is usual in a video."""


def repeated_frames(
    index: VideoIndex,
    infos: Mapping[str, VideoInfo],
    *,
    workers: int,
    progress: PhaseProgress | None,
) -> list[Finding]:
    """Find videos with near-duplicate frames among their first ones, and name their pattern.

    What was looked at before and has not changed since is not decoded again.

    Args:
        index: Of the videos.
        infos: What it knows of those that can be decoded.
        workers: Threads.
        progress: Called with what is being done, the number of files done, and of all.
    """
    known = {
        name: [int(frame) for frame in value]
        for name, value in index.remembered("repeats").items()
        if isinstance(value, list)
    }
    long = sorted(name for name, info in infos.items() if info.num_frames >= FEWEST)

    def look(name: str) -> list[int] | None:
        length = min(FRAMES, infos[name].num_frames)
        try:
            frames = read_clip(index.root / name, 0, length, info=infos[name])
        except VideoError:
            return None  # reported by whoever decodes it
        marked = near_duplicates(to_unit(frames)[None])[0].tolist()
        return [frame for frame, repeats in enumerate(marked, start=1) if repeats]

    left = [name for name in long if name not in known]
    phase = "Looking for repeated frames"
    for some in in_parallel(left, look, phase=phase, workers=workers, progress=progress):
        found = {name: frames for name, frames in some.items() if frames is not None}
        index.remember("repeats", found)
        known.update(found)
    return _findings({name: known[name] for name in long if name in known})


def _findings(found: Mapping[str, list[int]]) -> list[Finding]:
    items = [f"{name}: {pattern(frames)}" for name, frames in found.items() if frames]
    if not items:
        return []
    return [
        Finding(
            "repeats",
            False,
            f"{len(items)} of {len(found)} videos repeat frames (near duplicates among their first "
            f"{FRAMES}), as conversions of the frame rate leave them",
            tuple(items),
            "Nothing to do: results name the clips, tables show them on their own, and the "
            "baseline optical_flow_dup looks past them.",
        )
    ]


def pattern(frames: Iterable[int]) -> str:
    """Say which frames repeat the one before, and how far they are apart.

    Args:
        frames: Their indices, the first frame of a video being 0.

    Example:
        >>> pattern([2, 5, 7, 10])
        'frames 2, 5, 7, 10 (every 2 or 3)'
        >>> pattern([4, 9]), pattern([3])
        ('frames 4, 9 (every 5)', 'frame 3')
    """
    frames = list(frames)
    named = f"{'frame' if len(frames) == 1 else 'frames'} {', '.join(map(str, frames))}"
    steps = sorted({later - sooner for sooner, later in pairwise(frames)})
    if not steps:
        return named
    return f"{named} (every {' or '.join(map(str, steps))})"
