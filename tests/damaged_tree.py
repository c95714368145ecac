"""A data set with every kind of damage that the doctor knows, one of each."""

import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from vidpred.data.ucf101_lists import read_list

MakeVideo = Callable[..., Path]

EVERY_DAMAGE = frozenset(
    {
        *("truncated", "empty", "unreadable", "too_short", "odd_size", "duplicate", "header"),
        *("missing", "damaged", "case", "unlisted", "groups", "lists"),
    }
)
"""Kinds of findings that `damage_every_way` leads to."""


class DamagedTree(NamedTuple):
    """What was done to which video.

    Attributes:
        cut: Ends after two thirds.
        empty: Has no byte.
        text: Is a page of the web.
        short: Has 3 frames.
        large: Is 64 x 48, the others 48 x 64.
        copy: Equals `original`.
        liar: Says that it holds 99 frames.
        gone: Is listed and not there.
        scribbled: Has one picture of noise.
        original: Is sound.
        crossing: The row of a video that stands in two lists.
    """

    cut: Path
    empty: Path
    text: Path
    short: Path
    large: Path
    copy: Path
    liar: Path
    gone: Path
    scribbled: Path
    original: Path
    crossing: str


def damage_every_way(root: Path, make_video: MakeVideo) -> DamagedTree:
    """Damage a set of moving shapes; nine videos, the case of a class, a list, one file too many.

    Args:
        root: Of at least 12 videos, 48 x 64; one class is called Zoom.
        make_video: The fixture.
    """
    paths = videos(root)
    cut, empty, text, short, large, copy, liar, gone, scribbled = paths[:9]
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 2 // 3])
    empty.write_bytes(b"")
    text.write_text("<html>404</html>")
    make_video(short, 3, 48, 64)
    make_video(large, 12, 64, 48)
    shutil.copyfile(paths[10], copy)
    claim_frames(liar, 99)
    gone.unlink()
    scribble(scribbled)
    (root / "UCF-101" / "Zoom").rename(root / "UCF-101" / "ZOOM")
    shutil.copyfile(paths[11], root / "UCF-101" / "extra.avi")
    with (root / "UCF-101" / "extra.avi").open("ab") as extra:
        extra.write(b"JUNK\0\0\0\0")  # not to be one more copy
    testlist = root / "ucfTrainTestlist" / "testlist02.txt"
    crossing = read_list(root / "ucfTrainTestlist" / "trainlist02.txt")[0]
    testlist.write_text(testlist.read_text() + f"{crossing}\nno row at all\n")
    return DamagedTree(*paths[:9], original=paths[10], crossing=crossing)


def videos(root: Path) -> list[Path]:
    """Find the videos of a set."""
    return sorted((root / "UCF-101").rglob("*.avi"))


def claim_frames(path: Path, frames: int) -> None:
    """Make an AVI header say another number of frames: dwLength of its first stream header."""
    content = bytearray(path.read_bytes())
    at = content.index(b"strh") + 8 + 32
    assert struct.unpack_from("<I", content, at)[0] < frames
    struct.pack_into("<I", content, at, frames)
    path.write_bytes(content)


def scribble(path: Path, picture: int = 8) -> None:
    """Overwrite one coded picture of an AVI file with noise; all that describes it stays."""
    content = bytearray(path.read_bytes())
    at = content.index(b"movi")
    for _ in range(picture + 1):
        at = content.index(b"00dc", at + 4)
    (length,) = struct.unpack_from("<I", content, at + 4)
    # The first bytes say that a picture begins; without them it would be another file's garbage.
    content[at + 8 + 16 : at + 8 + length] = random.Random(0).randbytes(length - 16)
    path.write_bytes(content)
