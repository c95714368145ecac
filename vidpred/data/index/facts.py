"""`VideoInfo` as text for the index, and which form of it a row holds."""

import hashlib
import json
from dataclasses import fields
from pathlib import Path

from vidpred.video import VideoInfo

FACTS_VERSION = 3
"""To be raised when `probe` finds other values in the same file; rows of others are read anew."""

LAYOUT = hashlib.sha256(
    f"{FACTS_VERSION} {[(field.name, str(field.type)) for field in fields(VideoInfo)]}".encode()
).hexdigest()[:8]
"""Stands beside each row: a program with other fields neither reads nor trusts it."""


def facts_to_text(info: VideoInfo) -> str:
    """Write facts as JSON, without the path."""
    return json.dumps(info.to_plain(), separators=(",", ":"))


def facts_from_text(path: Path, text: str) -> VideoInfo:
    """Read what `facts_to_text` wrote; the path is where the file is now.

    Raises:
        ValueError: When it is something else.
    """
    return VideoInfo.from_plain(path, json.loads(text))
