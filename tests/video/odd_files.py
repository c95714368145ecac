"""Videos whose packets are not their pictures, as cameras, recorders and editors write them."""

import shutil
import struct
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest


def trim(source: Path, target: Path, first: int, rate: int = 25) -> Path:
    """Cut without encoding: all packets stay, and an edit list hides the first pictures."""
    with av.open(str(source)) as whole, av.open(str(target), "w") as part:
        stream = part.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.pts is None or packet.dts is None or packet.time_base is None:
                continue  # the empty packet at the end
            packet.stream = stream
            shift = round(Fraction(first, rate) / packet.time_base)
            packet.pts -= shift
            packet.dts -= shift
            part.mux(packet)
    return target


def begin_in_mid_gop(source: Path, target: Path, skipped: float) -> Path:
    """Record an MPEG transport stream from some moment on; its tables come first, and again later.

    Args:
        source: A transport stream.
        target: Where to.
        skipped: Share of its bytes.
    """
    data = source.read_bytes()
    first = int(len(data) // 188 * skipped)
    target.write_bytes(data[: 3 * 188] + data[first * 188 :])
    return target


def keep_packets(source: Path, target: Path, first: int) -> Path:
    """Write all packets from a number on, whatever they depend on."""
    with av.open(str(source)) as whole, av.open(str(target), "w") as part:
        stream = part.add_stream_from_template(whole.streams.video[0])
        for packet in [packet for packet in whole.demux(video=0) if packet.size][first:]:
            packet.stream = stream
            part.mux(packet)
    return target


def empty_samples_of_mov(source: Path, target: Path, every: int = 5) -> Path:
    """Leave nothing in some samples of a MOV of JPEG pictures: the picture before stays."""
    data = bytearray(source.read_bytes())
    table = data.index(b"stsz") + 16
    (count,) = struct.unpack_from(">I", data, table - 4)
    for sample in range(every, count, every):
        at = table + 4 * sample
        before, size = struct.unpack_from(">II", data, at - 4)
        # The bytes stay where they are, behind the end of the JPEG before them.
        struct.pack_into(">II", data, at - 4, before + size, 0)
    target.write_bytes(data)
    return target


def empty_chunks_of_avi(source: Path, target: Path, every: int = 5) -> Path:
    """Leave nothing in some chunks of an AVI, as programs that capture do when they are late."""
    data = source.read_bytes()
    movi = data.index(b"movi")
    end = movi + struct.unpack_from("<I", data, movi - 4)[0]
    index = data.index(b"idx1", end)
    flags = [
        struct.unpack_from("<I", data, at + 4)[0]
        for at in range(index + 8, index + 8 + struct.unpack_from("<I", data, index + 4)[0], 16)
    ]
    chunks, table, at = b"movi", b"", movi + 4
    for number, flag in enumerate(flags):
        tag, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        content = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
        if number % every == every - 1 and not flag & 0x10:  # no key frame
            content = b""
        table += tag + struct.pack("<III", flag, len(chunks), len(content))
        chunks += tag + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
    written = data[: movi - 4] + struct.pack("<I", len(chunks)) + chunks
    written += b"idx1" + struct.pack("<I", len(table)) + table
    target.write_bytes(written[:4] + struct.pack("<I", len(written) - 8) + written[8:])
    return target


def theora_with_repeats(folder: Path, every: int = 5) -> Path:
    """Write 50 packets of Theora, every fifth of them empty: the picture before is shown again."""
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("no ffmpeg here, and PyAV encodes no Theora")
    whole = folder / "whole.ogv"
    done = subprocess.run(
        [
            *(program, "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=2"),
            *("-c:v", "libtheora", "-g", "12", str(whole)),
        ],
        check=False,
    )
    if done.returncode:
        pytest.skip("this ffmpeg encodes no Theora")
    *headers, serial = _ogg_packets(whole.read_bytes())
    head, frames = headers[:3], headers[3:]
    shift = (head[0][40] & 3) << 3 | head[0][41] >> 5
    pages = [_ogg_page(head[0], 0, serial, 0, first=True)]
    pages += [_ogg_page(packet, 0, serial, number) for number, packet in enumerate(head[1:], 1)]
    key = 0
    for number, packet in enumerate(frames, start=1):
        if not packet[0] & 0x40:
            key = number
        elif number % every == 0:
            packet = b""
        pages.append(_ogg_page(packet, key << shift | number - key, serial, number + 2))
    path = folder / "repeats.ogv"
    path.write_bytes(b"".join(pages))
    return path


def _ogg_packets(data: bytes) -> "list[Any]":
    """Give the packets of the only stream, and its serial number last."""
    packets, part, at = [], b"", 0
    serial = 0
    while at < len(data):
        (serial,) = struct.unpack_from("<I", data, at + 14)
        count = data[at + 26]
        lacing, at = data[at + 27 : at + 27 + count], at + 27 + count
        for length in lacing:
            part += data[at : at + length]
            at += length
            if length < 255:
                packets.append(part)
                part = b""
    return [*packets, serial]


def _ogg_page(
    packet: bytes, granule: int, serial: int, number: int, *, first: bool = False
) -> bytes:
    lacing = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
    header = struct.pack(
        "<4sBBqIIIB", b"OggS", 0, 2 * first, granule, serial, number, 0, len(lacing)
    )
    page = bytearray(header + lacing + packet)
    checksum = 0
    for byte in page:
        checksum ^= byte << 24
        for _ in range(8):
            checksum = (checksum << 1 ^ 0x04C11DB7 * (checksum >> 31)) & 0xFFFFFFFF
    struct.pack_into("<I", page, 22, checksum)
    return bytes(page)
