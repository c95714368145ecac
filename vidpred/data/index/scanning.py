"""Which videos lie below a folder, and as which version of themselves."""

import os
import stat
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vidpred.errors import is_system_error
from vidpred.video.folders import find_videos, read_folder

_PIECE = 2**20
_AHEAD = 64 * _PIECE
"""Bytes that are read ahead: the whole of most clips, and little of a system's memory."""

Progress = Callable[[int, int], None]
"""Called with the number of files done and of all."""


@dataclass(frozen=True)
class FileState:
    """A version of a file: it changes whenever the file is written.

    Attributes:
        size: Bytes; -1 when the name leads nowhere (a broken link), -2 when the system does not
            say.
        mtime_ns: Time of its last change, in nanoseconds; of a folder of frames, the last change
            of the folder or of its first frame.
    """

    size: int
    mtime_ns: int


NOWHERE = FileState(-1, 0)
UNKNOWN = FileState(-2, 0)


@dataclass(frozen=True)
class Scan:
    """What one pass over a folder found.

    Attributes:
        files: State of each video (a file, or a folder of frames), by its path below the root with
            forward slashes.
        unreadable: Folders and files that the system did not give, with the reason.
        notes: What is worth knowing about some of the videos.
        frames: Names of images in the root itself, when it is the folder of one video.
    """

    files: dict[str, FileState]
    unreadable: dict[str, str]
    notes: dict[str, str]
    frames: Sequence[str]


def scan(root: Path) -> Scan:
    """Find the videos at any depth; see `vidpred.video.folders.find_videos`.

    Raises:
        DataError: When the root cannot be listed.
    """
    found = find_videos(root)
    files = {
        name: NOWHERE if status is None else _version(root / name, status)
        for name, status in found.videos.items()
    }
    return Scan(files, found.unreadable, found.notes, found.frames)


def state_of(path: Path) -> FileState:
    """Look at one file (or a folder of frames).

    Returns:
        `NOWHERE` when it is not there, `UNKNOWN` when the system does not say.
    """
    try:
        status = path.stat()
    except OSError as error:
        return UNKNOWN if is_system_error(error) else NOWHERE
    except ValueError:  # a NUL, in a name from a damaged index
        return NOWHERE
    return _version(path, status)


def _version(path: Path, status: os.stat_result) -> FileState:
    changed = status.st_mtime_ns
    if stat.S_ISDIR(status.st_mode):
        # Frames that are written again under their names leave the folder itself as it was.
        with suppress(OSError):
            for name in read_folder(path).frames[:1]:
                changed = max(changed, (path / name).stat().st_mtime_ns)
    return FileState(status.st_size, changed)


def name_below(path: Path, roots: Iterable[Path]) -> str | None:
    """Give a path below a folder, with forward slashes; None when it may lead elsewhere.

    Args:
        path: One that does not begin as the folder does is taken from there.
        roots: Spellings of the folder.
    """
    for root in roots:
        if path.is_relative_to(root):
            path = path.relative_to(root)
            break
    return None if path.is_absolute() or ".." in path.parts or not path.parts else path.as_posix()


def fetch_beginning(path: Path) -> None:
    """Let the system fetch the beginning of a file, so that who reads it next need not wait.

    What cannot be read is left to that reader.
    """
    if not path.is_file():  # opening a pipe would wait for its other end
        return
    try:
        with open(path, "rb", buffering=0) as file:
            for _ in range(_AHEAD // _PIECE):
                if len(file.read(_PIECE)) < _PIECE:
                    return
    except OSError:
        return
