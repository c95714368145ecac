"""What can be wrong with videos, judging by the index and by their bytes."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from vidpred.data.doctor.containers import missing_bytes
from vidpred.data.doctor.findings import Finding, PhaseProgress
from vidpred.data.index.scanning import FileState
from vidpred.data.index.video_index import VideoIndex
from vidpred.errors import VideoError
from vidpred.files import file_sha256, is_irregular
from vidpred.video import VideoInfo

T = TypeVar("T")

CHUNK = 32
"""Files between two writes to the index: what a kill loses of a long examination."""


def in_parallel(
    names: list[str],
    examine: Callable[[str], T],
    *,
    phase: str,
    workers: int,
    progress: PhaseProgress | None,
) -> Iterator[dict[str, T]]:
    """Examine files with threads; yields the results of some at a time, to be kept at once."""
    # Threads: decoding and hashing are outside of Python's lock.
    with ThreadPoolExecutor(workers) as pool:
        for first in range(0, len(names), CHUNK):
            some = names[first : first + CHUNK]
            yield dict(zip(some, pool.map(examine, some), strict=True))
            if progress is not None:
                progress(phase, first + len(some), len(names))


def cannot_be_opened(
    root: Path, known: Mapping[str, VideoInfo | VideoError], states: Mapping[str, FileState]
) -> list[Finding]:
    """Find empty files, and those that are no video."""
    broken = {name: info.problem for name, info in known.items() if isinstance(info, VideoError)}
    empty = [
        name
        for name in broken
        if name in states and states[name].size == 0 and not is_irregular(root / name)
    ]
    unreadable = [f"{name}: {why}" for name, why in broken.items() if name not in empty]
    advice = "Fetch them again or delete them; training leaves them out until they change."
    findings = []
    if empty:
        summary = f"{len(empty)} files are empty (0 bytes)"
        findings.append(Finding("empty", True, summary, tuple(empty), advice))
    if unreadable:
        summary = f"{len(unreadable)} files cannot be opened as a video"
        findings.append(Finding("unreadable", True, summary, tuple(unreadable), advice))
    return findings


def truncated(index: VideoIndex, names: Iterable[str]) -> dict[str, str]:
    """Find files that lack bytes which their container promises; gives the reason of each."""
    reasons = {}
    for name in names:
        path = index.root / name
        try:
            missing = 0 if path.is_dir() else missing_bytes(path)
        except OSError:  # of the system, and met again when it is decoded
            continue
        if missing:
            reasons[name] = f"its last {missing} bytes are missing, it was cut off; fetch it again"
    return reasons


def too_short(infos: Mapping[str, VideoInfo], frames: int) -> list[Finding]:
    """Find videos with fewer frames than a clip has."""
    short = [
        f"{name}: {info.num_frames} frames"
        for name, info in infos.items()
        if info.num_frames < frames
    ]
    if not short:
        return []
    return [
        Finding(
            "too_short",
            True,
            f"{len(short)} videos have fewer than the {frames} frames of a clip",
            tuple(short),
            "No clip fits into them. Fetch them again when they were cut, else delete them or take "
            "fewer frames (context_frames, horizon).",
        )
    ]


def odd_sizes(infos: Mapping[str, VideoInfo], *, fault: bool) -> list[Finding]:
    """Find videos whose frames have not the size that most have.

    Args:
        infos: Of the videos.
        fault: Whether all are expected to have one size.
    """
    sizes = Counter((info.height, info.width) for info in infos.values())
    if len(sizes) < 2:
        return []
    (height, width), most = sizes.most_common(1)[0]
    odd = [
        f"{name}: {info.height} x {info.width}"
        for name, info in infos.items()
        if (info.height, info.width) != (height, width)
    ]
    return [
        Finding(
            "odd_size",
            fault,
            f"{len(odd)} videos have other frames than {height} x {width}, as {most} have",
            tuple(odd),
            "They were converted or replaced: fetch the original files."
            if fault
            else "Training cuts patches and takes all sizes; so does evaluation, clip by clip.",
        )
    ]


def lying_headers(infos: Mapping[str, VideoInfo]) -> list[Finding]:
    """Find files whose header claims another number of frames than they hold."""
    lies = [
        f"{name}: the header says {info.header_frames}, the file holds {info.num_frames}"
        for name, info in infos.items()
        if info.header_frames is not None and info.header_frames != info.num_frames
    ]
    if not lies:
        return []
    return [
        Finding(
            "header",
            False,
            f"the headers of {len(lies)} files claim another number of frames than they hold",
            tuple(lies),
            "Nothing to do: frames are counted, headers are not believed. Other programs may be.",
        )
    ]


def duplicates(
    index: VideoIndex,
    states: Mapping[str, FileState],
    *,
    workers: int,
    progress: PhaseProgress | None,
) -> list[Finding]:
    """Find files with equal bytes: equal size first, then equal SHA-256, which is remembered."""
    by_size: dict[int, list[str]] = defaultdict(list)
    for name, state in states.items():
        if state.size > 0 and not (index.root / name).is_dir():
            by_size[state.size].append(name)
    suspects = [name for names in by_size.values() if len(names) > 1 for name in names]
    digests = index.remembered("sha256")

    def digest(name: str) -> str | None:
        try:
            return file_sha256(index.root / name)
        except OSError:  # it is found as unreadable
            return None

    unknown = [name for name in suspects if name not in digests]
    phase = "Comparing files of equal size"
    for found in in_parallel(unknown, digest, phase=phase, workers=workers, progress=progress):
        index.remember("sha256", {name: value for name, value in found.items() if value})
        digests.update(found)
    equal: dict[object, list[str]] = defaultdict(list)
    for name in suspects:
        equal[digests[name] or name].append(name)
    groups = [sorted(names) for names in equal.values() if len(names) > 1]
    if not groups:
        return []
    return [
        Finding(
            "duplicate",
            True,
            f"{sum(map(len, groups)) - len(groups)} files are copies of others, byte by byte",
            tuple(" = ".join(names) for names in sorted(groups)),
            "Keep one of each: a copy in train and in test makes scores too good. Where both names "
            "are in the lists of the set, fetch both again, one has the wrong content.",
        )
    ]
