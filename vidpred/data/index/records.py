"""What an index keeps of each file, and what it reports of its own work."""

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from vidpred.video import VideoInfo

Source = Literal["index", "doctor", "training"]
"""Who says that a video is not to be used; "index": it cannot even be opened."""

Mark = Literal["quarantine", "head", "decoded", "repeats", "sha256"]
"""Kinds of things that are remembered about a file until it changes."""

FACTS_VERSION = 4
"""To be raised when `probe` finds other values in the same file, or these are kept in another form;
rows of others are read again."""

LAYOUT = hashlib.sha256(
    f"{FACTS_VERSION} {[(field.name, str(field.type)) for field in fields(VideoInfo)]}".encode()
).hexdigest()[:8]
"""Kept with each row: a program with other fields neither reads nor trusts it."""


@dataclass(frozen=True)
class Quarantined:
    """Why a video is not to be used.

    Attributes:
        reason: The end of a sentence, as `VideoError.problem`.
        source: Who found it.
    """

    reason: str
    source: Source


@dataclass(frozen=True)
class IndexReport:
    """What a refresh found; numbers of files.

    Attributes:
        total: Videos that are there.
        new: Not known before.
        changed: Of another size or time than before, and read again.
        gone: Known before and no longer there.
        broken: Those of the total that cannot be opened as a video.
        unreadable: Folders and files that the system did not give, with the reason; nothing is
            remembered of them.
        notes: What is worth knowing about some of the videos, by path below the root.
        frames: Names of images in the root itself, when it is the folder of one video.
    """

    total: int
    new: int
    changed: int
    gone: int
    broken: int
    unreadable: Mapping[str, str]
    notes: Mapping[str, str] = field(default_factory=dict)
    frames: Sequence[str] = ()


def facts_to_text(info: VideoInfo) -> str:
    """Write facts as JSON behind its checksum, without the path."""
    text = json.dumps(info.to_plain(), separators=(",", ":"))
    return f"{_checksum(text)} {text}"


def facts_from_text(path: Path, text: str) -> VideoInfo:
    """Read what `facts_to_text` wrote; the path is where the file is now.

    Raises:
        ValueError: When it is something else.
    """
    checksum, _, plain = text.partition(" ")
    if checksum != _checksum(plain):
        raise ValueError(f"{path}: what is kept of this video is damaged; probe it again")
    return VideoInfo.from_plain(path, json.loads(plain))


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"
