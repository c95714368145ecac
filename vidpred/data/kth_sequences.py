"""KTH's official sequence file, and who is in which split."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vidpred.data.catalog import Listing, Split, Video, read_lines
from vidpred.errors import DataError

ACTIONS = ("boxing", "handclapping", "handwaving", "jogging", "running", "walking")

SEQUENCE_FILE = "00sequences.txt"

PersonSplit = Literal["official", "prediction"]

PEOPLE: dict[PersonSplit, dict[Split, frozenset[int]]] = {
    # Schuldt, Laptev and Caputo 2004, in the head of the sequence file.
    "official": {
        "train": frozenset({11, 12, 13, 14, 15, 16, 17, 18}),
        "val": frozenset({19, 20, 21, 23, 24, 25, 1, 4}),
        "test": frozenset({22, 2, 3, 5, 6, 7, 8, 9, 10}),
    },
    # Of video prediction since Villegas et al. 2017: people 1 to 16 to train on, 17 to 25 to test
    # on. That has no validation; here it is cut from train, by whole people.
    "prediction": {
        "train": frozenset(range(1, 15)),
        "val": frozenset({15, 16}),
        "test": frozenset(range(17, 26)),
    },
}
"""Which people each split shows; no person is in two of them."""

_ROW = re.compile(
    r"^(?P<name>person(?P<person>\d\d)_(?P<action>[a-z]+)_d\d)\s+(?:frames\s+)?(?P<rest>.+)$"
)
_RANGE = re.compile(r"(\d+)\s*-\s*(\d+)")


@dataclass(frozen=True)
class KTHRow:
    """One video of the sequence file.

    Attributes:
        name: Such as "person01_boxing_d1".
        person: Number of the person, 1 to 25.
        action: One of `ACTIONS`.
        ranges: First and last frame of each sequence in it, counted from 0, both included; empty
            for a video that the file calls missing.
    """

    name: str
    person: int
    action: str
    ranges: tuple[tuple[int, int], ...]


def read_sequence_list(path: Path) -> list[KTHRow]:
    """Read the official sequence file; its frames are counted from 1.

    Raises:
        DataError: When it is not there, or not what KTH publishes.
    """
    if not path.is_file():
        raise DataError(
            f"{path}: there is no such file; get {SEQUENCE_FILE} and the six archives from "
            "https://www.csc.kth.se/cvap/actions"
        )
    rows = [row for line in read_lines(path) if (row := _row(path, line)) is not None]
    if not rows:
        raise DataError(f"{path}: no row such as 'person01_boxing_d1 frames 1-95, 96-185'")
    return rows


def list_people(root: Path, people: frozenset[int]) -> Listing:
    """Give a video for each sequence of some people, in the order of the sequence file.

    Files are looked for in a folder of their action, or in the root.

    Args:
        root: Folder of the data set.
        people: Numbers of the people.

    Raises:
        DataError: When the sequence file cannot be read.
    """
    videos: list[Video] = []
    missing: list[str] = []
    for row in read_sequence_list(root / SEQUENCE_FILE):
        if row.person not in people or not row.ranges:
            continue
        name = f"{row.name}_uncomp.avi"
        places = (root / row.action / name, root / name)
        path = next((place for place in places if place.is_file()), None)
        for number, (first, last) in enumerate(row.ranges, start=1):
            video_id = f"{row.action}/{row.name}_{number}"
            if path is None:
                missing.append(video_id)
                continue
            videos.append(
                Video(
                    path=path,
                    video_id=video_id,
                    label=row.action,
                    group=f"person{row.person:02d}",
                    begin=first,
                    end=last + 1,
                )
            )
    return Listing(tuple(videos), tuple(missing))


def _row(path: Path, line: str) -> KTHRow | None:
    found = _ROW.match(line)
    if found is None:
        return None
    ranges = tuple((int(a) - 1, int(b) - 1) for a, b in _RANGE.findall(found["rest"]))
    if found["action"] not in ACTIONS or (not ranges and "missing" not in found["rest"]):
        raise DataError(
            f"{path}: row {line!r}; expected the name of a video and ranges of frames, such as "
            "'person01_boxing_d1 frames 1-95, 96-185'"
        )
    for first, last in ranges:
        if not 0 <= first <= last:
            raise DataError(f"{path}: row {line!r} holds a range that ends before it begins")
    return KTHRow(found["name"], int(found["person"]), found["action"], ranges)
