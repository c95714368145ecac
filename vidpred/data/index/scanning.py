"""Which videos lie below a folder, and as which version of themselves."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# fmt: off
VIDEO_SUFFIXES = frozenset({
    ".3g2", ".3gp", ".asf", ".avi", ".f4v", ".flv", ".gif", ".m2ts", ".m2v", ".m4v", ".mkv", ".mov",
    ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m",
})
# fmt: on

_PIECE = 2**20
_AHEAD = 64 * _PIECE
"""Bytes that are read ahead: the whole of most clips, and little of a system's memory."""

Progress = Callable[[int, int], None]
"""Called with the number of files done and of all."""


@dataclass(frozen=True)
class FileState:
    """A version of a file: it changes whenever the file is written.

    Attributes:
        size: Bytes; -1 when the name leads nowhere (a broken link).
        mtime_ns: Time of its last change, in nanoseconds.
    """

    size: int
    mtime_ns: int


NOWHERE = FileState(-1, 0)


@dataclass(frozen=True)
class Scan:
    """What one pass over a folder found.

    Attributes:
        files: State of each video, by its path below the root with forward slashes.
        unreadable: Folders that could not be listed, with the reason.
    """

    files: dict[str, FileState]
    unreadable: dict[str, str]


def scan(root: Path) -> Scan:
    """Find the videos at any depth, known by their endings, without hidden ones.

    Links are followed; a folder that is reached twice is listed once, under the name that comes
    first in the order of names.
    """
    files: dict[str, FileState] = {}
    unreadable: dict[str, str] = {}
    seen: set[tuple[int, int]] = set()
    waiting = [("", str(root))]
    while waiting:
        prefix, folder = waiting.pop()
        try:
            status = os.stat(folder)
            # Windows and some network drives give no inode numbers.
            if status.st_ino and (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                inner = []
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    name = prefix + entry.name
                    if entry.is_dir():
                        inner.append((f"{name}/", entry.path))
                    elif os.path.splitext(entry.name)[1].lower() in VIDEO_SUFFIXES:
                        files[name] = _state(entry)
        except OSError as error:
            unreadable[prefix.rstrip("/") or "."] = error.strerror or str(error)
            continue
        waiting.extend(sorted(inner, reverse=True))
    return Scan(files, unreadable)


def state_of(path: Path) -> FileState:
    """Look at one file (or a folder of frames); `NOWHERE` when it is not there."""
    return _state(path)


def fetch_beginning(path: Path) -> None:
    """Let the system fetch the beginning of a file, so that who reads it next need not wait.

    What cannot be read is left to that reader.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            for _ in range(_AHEAD // _PIECE):
                if len(file.read(_PIECE)) < _PIECE:
                    return
    except OSError:
        return


def _state(file: "os.DirEntry[str] | Path") -> FileState:
    try:
        status = file.stat()
    except OSError:
        return NOWHERE
    return FileState(status.st_size, status.st_mtime_ns)
