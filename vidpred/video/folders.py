"""What below a folder is a video: files, known by their endings, and folders of frames.

Training, index, doctor, prediction, scores and protocols all ask here. A folder whose images are
the frames of a video is one video, whatever else lies next to or below them: masks, thumbnails and
previews never take the place of frames.
"""

import os
import re
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from vidpred.errors import AccessError, DataError, VideoError, is_system_error
from vidpred.plain import some

# fmt: off
VIDEO_SUFFIXES = frozenset({
    ".3g2", ".3gp", ".asf", ".avi", ".f4v", ".flv", ".gif", ".m2ts", ".m2v", ".m4v", ".mkv", ".mov",
    ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m",
})
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})

LITTER = frozenset({
    "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "lost+found",
    "$recycle.bin", "system volume information",
})
"""What operating systems leave in folders, in small letters; hidden names are passed over too."""
# fmt: on

_FEWEST = 3
"""Images next to videos or folders that are taken for frames; fewer are covers and samples."""
_SEPARATORS = "_-. ("
_DECIMALS = re.compile(r"\d\.(\d+)$")
_SHOWN = 3


@dataclass(frozen=True)
class FolderContent:
    """What lies in one folder, sorted, without hidden names and litter.

    Attributes:
        images: Names of PNG and JPEG files.
        videos: Names of video files.
        folders: Names of folders, and of links to folders.
        others: Names of all other files.
    """

    images: Sequence[str] = ()
    videos: Sequence[str] = ()
    folders: Sequence[str] = ()
    others: Sequence[str] = ()

    @property
    def frames(self) -> Sequence[str]:
        """The images that are frames of a video; none when they are pictures of something else.

        Images alone are frames. Next to videos or folders they are frames unless they are few, are
        named by these (thumbnails), or are photographs that share one counter with the videos.
        """
        others = [*self.videos, *self.folders]
        if not others:
            return self.images
        stems = {name for known in others for name in (known, _stem(known))}
        frames = [image for image in self.images if not _is_named_by(_stem(image), stems)]
        pattern = {_text(_stem(name)) for name in frames}
        shared = any(_text(_stem(name)) in pattern and _text(_stem(name)) for name in self.videos)
        return () if len(frames) < _FEWEST or shared else frames


@dataclass
class FoundVideos:
    """The videos below a folder.

    Attributes:
        videos: By path below the root, with forward slashes, in the order of names, what the system
            says of it; None when a link leads nowhere.
        notes: What is worth knowing about some of them, by the same paths.
        unreadable: Folders and files that the system did not give, with the reason.
        frames: Images of the root itself, when it is the folder of one video.
    """

    videos: dict[str, os.stat_result | None] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    frames: Sequence[str] = ()


def read_folder(folder: Path | str) -> FolderContent:
    """List a folder.

    Raises:
        OSError: When it cannot be listed.
    """
    images, videos, folders, others = [], [], [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower() in LITTER:
                continue
            ending = os.path.splitext(entry.name)[1].lower()
            if entry.is_dir():
                folders.append(entry.name)
            elif ending in VIDEO_SUFFIXES:
                videos.append(entry.name)
            elif ending in IMAGE_SUFFIXES:
                images.append(entry.name)
            else:
                others.append(entry.name)
    return FolderContent(sorted(images), sorted(videos), sorted(folders), sorted(others))


def find_videos(root: Path) -> FoundVideos:
    """Find the videos at any depth.

    Links are followed, loops included; each file and each folder counts once, under its own name
    before that of a link to it.

    Raises:
        DataError: When the root cannot be listed.
    """
    found = FoundVideos()
    seen: set[tuple[int, int]] = set()
    waiting = deque([""])
    linked: deque[str] = deque()
    links: list[str] = []
    while waiting or linked:
        prefix = (waiting or linked).popleft()
        folder = root / prefix
        try:
            status = os.stat(folder)
            if not _is_new(status, seen):
                continue
            content = read_folder(folder)
        except OSError as error:
            if not prefix:
                raise DataError(cannot_be_listed(root, error)) from error
            found.unreadable[prefix.rstrip("/")] = _reason(error)
            continue
        frames = content.frames
        if frames and not prefix:
            found.frames = frames
            return found
        if frames:
            found.videos[prefix.rstrip("/")] = status
            if note := _note(content, frames):
                found.notes[prefix.rstrip("/")] = note
            continue
        for name in content.videos:
            if os.path.islink(folder / name):
                links.append(prefix + name)
            else:
                _add(found, root, prefix + name, seen)
        for name in content.folders:
            (linked if os.path.islink(folder / name) else waiting).append(f"{prefix}{name}/")
    for name in sorted(links):
        _add(found, root, name, seen)
    found.videos = dict(sorted(found.videos.items()))
    return found


def find_images(folder: Path) -> list[Path]:
    """Give the frames of a folder in order; other files in it are passed over.

    Raises:
        AccessError: When the folder cannot be listed.
        VideoError: When there is none, or their names do not give one order.
    """
    try:
        content = read_folder(folder)
    except OSError as error:
        raise AccessError(folder, f"the folder cannot be listed ({_reason(error)})") from error
    if content.frames:
        return in_order([folder / name for name in content.frames])
    inside = {
        "video(s)": content.videos,
        "folder(s)": content.folders,
        "image(s)": content.images,
        "other file(s)": content.others,
    }
    held = " and ".join(
        f"{len(names)} {kind} ({some(names)})" for kind, names in inside.items() if names
    )
    raise VideoError(
        folder,
        "it is a folder without PNG or JPEG frames; expected a video file or such a folder, and it "
        f"holds {held or 'nothing'}",
    )


def in_order(files: Iterable[Path]) -> list[Path]:
    """Sort frames by the numbers in their names, so that frame2 comes before frame10.

    Args:
        files: Images of one clip.

    Raises:
        VideoError: When the names do not give one order: two of them hold the same numbers, they
            differ in more than numbers (two series in one folder), or the numbers are times with
            more decimals and fewer.
    """
    ordered = sorted(files, key=lambda file: (_natural(file.stem), file.name))
    _require_equal_decimals(ordered)
    for file, following in pairwise(ordered):
        key, next_key = _natural(file.stem), _natural(following.stem)
        if key == next_key:
            raise VideoError(
                file.parent,
                f"{file.name!r} and {following.name!r} are two files for one frame; "
                "expected one file a frame, remove one of them",
            )
        if key[::2] != next_key[::2]:
            raise VideoError(
                file.parent,
                f"{file.name!r} and {following.name!r} differ in more than "
                "numbers, so their order is unknown; expected one series, as 0001.png 0002.png",
            )
    return ordered


def _require_equal_decimals(files: Sequence[Path]) -> None:
    """Refuse 0.04 0.08 0.1: a counter has no number that is shorter than one with a leading 0."""
    decimals = {file: found[1] for file in files if (found := _DECIMALS.search(file.stem))}
    padded = [file for file, digits in decimals.items() if digits[0] == "0" != digits]
    longest = max(padded, key=lambda file: len(decimals[file]), default=None)
    for file, digits in decimals.items():
        if longest is not None and len(digits) < len(decimals[longest]):
            raise VideoError(
                file.parent,
                f"{longest.name!r} and {file.name!r} hold times with different numbers of "
                "decimals, so their order is unknown; expected equally many, as 0.04.png 0.10.png",
            )


def gaps(names: Sequence[str]) -> str | None:
    """Say which frames of a counted series are missing; None when none is.

    Times (of a camera's clock, say) are no counter: their differences are no multiples of one step.
    """
    numbers = [_natural(_stem(name)) for name in names]
    last = [key[-2] for key in numbers if len(key) > 1]
    if len(last) < _FEWEST or len({tuple(map(str, key[:-2])) for key in numbers}) != 1:
        return None
    counted = sorted(int(number) for number in last)
    steps = Counter(after - before for before, after in pairwise(counted))
    step = min(steps)
    if step < 1 or len(steps) == 1 or any(size % step for size in steps):
        return None
    if steps[step] * 2 < len(counted):  # hardly two are neighbors: no counter of frames
        return None
    first = next(before for before, after in pairwise(counted) if after - before > step)
    missing = sum((size // step - 1) * times for size, times in steps.items())
    return (
        f"{missing} frame(s) of its series are missing, the first after number {first}; the frames "
        "on both sides of a gap are taken for neighbors"
    )


def frames_in_the_root(root: Path, frames: Sequence[str]) -> str:
    """Say that a folder of videos is the folder of one video's frames."""
    return (
        f"{root}: the frames of one video lie in it ({len(frames)} images, {some(frames)}); "
        f"expected a folder of videos: move them to a folder below it, {root / 'NAME'}, one for "
        "each video"
    )


def no_videos(root: Path) -> str:
    """Say that no video lies below a folder, and what does."""
    endings: Counter[str] = Counter()
    for _, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        endings.update(
            os.path.splitext(name)[1].lower() or "no ending"
            for name in files
            if not name.startswith(".")
        )
    held = ", ".join(f"{count} files with {name}" for name, count in endings.most_common(_SHOWN))
    return (
        f"{root}: no video in it or below; looked for {' '.join(sorted(VIDEO_SUFFIXES))} and for "
        f"folders of PNG or JPEG frames, and found {held or 'no file at all'}"
    )


def cannot_be_listed(folder: Path, error: OSError) -> str:
    """Say that a folder cannot be listed, and what to do."""
    return (
        f"{folder}: the folder cannot be listed ({_reason(error)}); correct its permissions, or "
        "look after the disk or network drive that it lies on"
    )


def require_all_readable(root: Path, unreadable: dict[str, str]) -> None:
    """Refuse a silent part of the data.

    Raises:
        DataError: Naming folders and files that the system does not give.
    """
    if not unreadable:
        return
    named = list(unreadable.items())[:_SHOWN]
    first = "".join(f"\n  {root / name}: {why}" for name, why in named)
    raise DataError(
        f"{root}: {len(unreadable)} folders or files in it cannot be read, so it is not known "
        f"which videos there are:{first}\nCorrect their permissions, or look after the disk or "
        "network drive, or move them elsewhere"
    )


def _add(found: FoundVideos, root: Path, name: str, seen: set[tuple[int, int]]) -> None:
    try:
        status = os.stat(root / name)
    except OSError as error:
        if is_system_error(error):
            found.unreadable[name] = _reason(error)
        else:
            found.videos[name] = None
        return
    if _is_new(status, seen):
        found.videos[name] = status


def _is_new(status: os.stat_result, seen: set[tuple[int, int]]) -> bool:
    identity = (status.st_dev, status.st_ino)
    # Windows and some network drives give no inode numbers.
    if status.st_ino and identity in seen:
        return False
    seen.add(identity)
    return True


def _note(content: FolderContent, frames: Sequence[str]) -> str | None:
    others = [*content.folders, *content.videos, *(set(content.images) - set(frames))]
    said = []
    if others:
        said.append(
            f"its {len(frames)} images are taken as the frames of a video, and what lies next to "
            f"them is passed over ({some(sorted(others))})"
        )
    if (missing := gaps(frames)) is not None:
        said.append(missing)
    return "; ".join(said) or None


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]


def _is_named_by(stem: str, known: set[str]) -> bool:
    """Recognize a thumbnail: v1, v1.mp4, v1_thumb or v1-poster of v1.mp4, but not v1_001."""
    digits = [place for place, character in enumerate(stem) if character.isdigit()]
    wordy = range(digits[-1] + 1 if digits else 0, len(stem))  # no digit from there on
    return stem in known or any(
        stem[place] in _SEPARATORS and stem[:place] in known for place in wordy
    )


def _text(stem: str) -> tuple[str | int, ...]:
    """Give what a name holds besides its numbers; nothing for a mere number."""
    text = tuple(_natural(stem)[::2])
    return text if any(text) else ()


def _natural(stem: str) -> list[str | int]:
    """Split a name into text and numbers in turn, text first."""
    parts = re.split(r"(\d+)", stem)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)]


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
