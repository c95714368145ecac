"""Files that are shorter than their own container says."""

import os
from pathlib import Path

_UNKNOWN_RIFF_SIZES = (0, 0xFFFFFFFF)  # of programs that were stopped, or that write to a pipe
_MAX_BOXES = 100_000  # of a fragmented MP4: two for some seconds


def missing_bytes(path: Path) -> int:
    """Say how many bytes a file lacks that its container promises; 0 when none or unknown.

    Known are RIFF (AVI) and the boxes of MP4, MOV and 3GP; other files give 0.

    Raises:
        OSError: When the file cannot be read.
    """
    size = os.path.getsize(path)
    with path.open("rb") as file:
        head = file.read(12)
        if len(head) == 12 and head[:4] == b"RIFF":
            promised = int.from_bytes(head[4:8], "little")
            # Beyond 1 GiB an AVI continues in further RIFF parts: only the first one is looked at.
            return 0 if promised in _UNKNOWN_RIFF_SIZES else max(0, promised + 8 - size)
        if len(head) < 12 or head[4:8] != b"ftyp":
            return 0
        position = 0
        for _ in range(_MAX_BOXES):
            file.seek(position)
            box = file.read(16)
            if len(box) < 8:
                return 0
            length = int.from_bytes(box[:4], "big")
            if length == 1 and len(box) == 16:
                length = int.from_bytes(box[8:], "big")
            if length < 8:  # 0: to the end of the file; others are damage that decoding finds
                return 0
            position += length
            if position > size:
                return position - size
    return 0
