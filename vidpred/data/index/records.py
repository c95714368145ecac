"""What an index says about files and about its own work."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Source = Literal["index", "doctor", "training"]
"""Who says that a video is not to be used; "index": it cannot even be opened."""

Mark = Literal["quarantine", "head", "decoded", "sha256"]
"""Kinds of things that are remembered about a file until it changes."""


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
        unreadable: Folders that could not be listed, with the reason.
    """

    total: int
    new: int
    changed: int
    gone: int
    broken: int
    unreadable: Mapping[str, str]
