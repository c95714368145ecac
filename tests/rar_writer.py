"""RAR archives with stored files, as the public descriptions of both formats have them.

For version 4 "RAR archive file format" (technote.txt of RAR 3.93), for version 5 "RAR 5.0 archive
format" of rarlab.com. Nothing is compressed; that any reader takes them is what the tests show.
"""

import stat
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """Contents and Unix mode of an entry; a link's contents are its target."""

    content: bytes = b""
    mode: int = stat.S_IFREG | 0o644
    claimed_size: int | None = None
    claimed_crc: int | None = None


def write_rar4(entries: Mapping[str, bytes | Entry]) -> bytes:
    """Write an archive as RAR 2.9 to 4 do."""
    blocks = [b"Rar!\x1a\x07\x00", _block4(0x73, 0, struct.pack("<HI", 0, 0))]
    for name, given in entries.items():
        entry = given if isinstance(given, Entry) else Entry(given)
        encoded = name.encode()
        folder = stat.S_ISDIR(entry.mode)
        crc = zlib.crc32(entry.content) if entry.claimed_crc is None else entry.claimed_crc
        size = len(entry.content) if entry.claimed_size is None else entry.claimed_size
        facts = struct.pack(
            "<IIBIIBBHI", len(entry.content), size, 3, crc, 0x58210000, 20, 0x30, len(encoded),
            entry.mode,
        )  # fmt: skip
        flags = 0x8000 | (0xE0 if folder else 0)
        blocks += [_block4(0x74, flags, facts + encoded), entry.content]
    return b"".join([*blocks, _block4(0x7B, 0x4000, b"")])


def write_rar5(entries: Mapping[str, bytes | Entry]) -> bytes:
    """Write an archive as RAR 5 to 7 do."""
    blocks = [b"Rar!\x1a\x07\x01\x00", _block5(_vint(1) + _vint(0) + _vint(0))]
    for name, given in entries.items():
        entry = given if isinstance(given, Entry) else Entry(given)
        folder = stat.S_ISDIR(entry.mode)
        extra = b""
        content = entry.content
        if stat.S_ISLNK(entry.mode):
            record = _vint(5) + _vint(1) + _vint(0) + _vint(len(content)) + content
            extra, content = _vint(len(record)) + record, b""
        crc = zlib.crc32(content) if entry.claimed_crc is None else entry.claimed_crc
        size = len(content) if entry.claimed_size is None else entry.claimed_size
        header = _vint(2) + _vint(2 | (1 if extra else 0))
        if extra:
            header += _vint(len(extra))
        header += _vint(len(content))
        header += _vint(1 if folder else 4) + _vint(size) + _vint(entry.mode)
        if not folder:
            header += struct.pack("<I", crc)
        header += _vint(0) + _vint(1) + _vint(len(name.encode())) + name.encode() + extra
        blocks += [_block5(header), content]
    return b"".join([*blocks, _block5(_vint(5) + _vint(0) + _vint(0))])


def _block4(kind: int, flags: int, facts: bytes) -> bytes:
    head = struct.pack("<BHH", kind, flags, 7 + len(facts)) + facts
    return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head


def _block5(header: bytes) -> bytes:
    sized = _vint(len(header)) + header
    return struct.pack("<I", zlib.crc32(sized)) + sized


def _vint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _vint(rest) if rest else bytes([low])
