"""Anybody's own folder of videos."""

import hashlib
import os
import re
import unicodedata
from dataclasses import KW_ONLY, dataclass
from functools import cache
from pathlib import Path

from jsonargparse.typing import (
    OpenUnitInterval,
)
from lightning_utilities.core.rank_zero import rank_zero_warn

from vidpred.data.base import ClipDataModule
from vidpred.data.catalog import SPLITS, Listing, Split, Video, read_lines
from vidpred.data.index.scanning import name_below
from vidpred.errors import DataError, is_system_error
from vidpred.files import expand_home, require_folder
from vidpred.video import folders


@dataclass(eq=False, repr=False)
class VideoFolderDataModule(ClipDataModule):
    """All videos below a folder, files by their endings and folders of frames, split by name.

    A video's split follows from a hash of its path below the root, so it stays where it is when
    others come or go. With few videos a split can come out empty: when there are at least three, it
    then borrows the video whose hash lies nearest from the largest split, and gives it back as soon
    as one of its own is there. Give lists where a split must never change.

    Args:
        root: Folder of the videos, at any depth; the name of a video's own folder is its class.
        val_fraction: Share of the videos for validation.
        test_fraction: Share of the videos for test.
        train_list: Text file with a path below `root` on each line; with it the other two are
            needed, and nothing is split by hash. Empty lines and those that begin with # are
            skipped.
        val_list: The same for validation.
        test_list: The same for test.

    The other options are those of `ClipDataModule`.
    """

    root: str | Path
    _: KW_ONLY
    val_fraction: OpenUnitInterval = 0.1
    test_fraction: OpenUnitInterval = 0.1
    train_list: str | Path | None = None
    val_list: str | Path | None = None
    test_list: str | Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError(
                f"val_fraction is {self.val_fraction}, test_fraction {self.test_fraction}; "
                "expected their sum below 1"
            )
        lists = (self.train_list, self.val_list, self.test_list)
        given = [path for path in lists if path is not None]
        if len(given) not in (0, 3):
            raise ValueError(
                f"{len(given)} of train_list, val_list and test_list are given; "
                "expected all three or none"
            )
        self._root = expand_home(self.root)
        self.lists = dict(zip(SPLITS, (expand_home(path) for path in given), strict=False))

    def index_root(self) -> Path:
        """Give the folder of the videos."""
        return self._root

    def list_split(self, split: Split) -> Listing:
        """Say which videos a split holds.

        Raises:
            DataError: When the root or a list is not there, or no video is below the root.
        """
        require_folder(self._root, "a folder of videos")
        if self.lists:
            return self._read_list(self.lists[split])
        names = find_videos(self._root)
        if not names:
            raise DataError(folders.no_videos(self._root))
        chosen = split_by_hash(
            names, val_fraction=self.val_fraction, test_fraction=self.test_fraction
        )
        return Listing(tuple(self._video(name) for name in chosen[split]))

    def _read_list(self, path: Path) -> Listing:
        try:
            lines = read_lines(path)
        except OSError as error:
            raise DataError(f"{path}: there is no such list ({error.strerror})") from error
        names = list(dict.fromkeys(line for line in lines if not line.startswith("#")))
        roots = (self._root, self._root.resolve(), self._root.absolute())
        for name in names:
            if name_below(self._root / name, roots) is None:
                raise DataError(
                    f"{path}: row {name!r} does not name a place below {self._root}; expected "
                    "paths from the root on, without ..: give a root above all videos, or put "
                    "links to the others into it"
                )
        present = [name for name in names if _is_there(self._root / name)]
        there = set(present)
        missing = tuple(name for name in names if name not in there)
        if missing:
            example = missing_example(self._root, missing[0])
            if not present:
                raise DataError(f"{path}: none of its {len(names)} videos is there; {example}")
            _say_once(f"{path}: {len(missing)} of its {len(names)} videos are not there; {example}")
        return Listing(tuple(self._video(name) for name in present), missing)

    def _video(self, name: str) -> Video:
        path = self._root / name
        # The whole name: two files may differ in their ending alone.
        return Video(path=path, video_id=name, label=path.parent.name)


def find_videos(root: Path) -> list[str]:
    """Give the videos below a folder as sorted paths with forward slashes.

    See `vidpred.video.folders`. What is passed over next to frames is said once in the log.

    Raises:
        DataError: When a folder in it cannot be read, or it holds the frames of one video itself.
    """
    found = folders.find_videos(root)
    if found.frames:
        raise DataError(folders.frames_in_the_root(root, found.frames))
    folders.require_all_readable(root, found.unreadable)
    if found.notes:
        _say_once(
            f"{root}: {len(found.notes)} folders of frames, such as "
            + "; ".join(f"{name}: {note}" for name, note in list(found.notes.items())[:2])
        )
    return list(found.videos)


def missing_example(root: Path, row: str) -> str:
    """Say what was looked for because of a row, and what lies there instead.

    Args:
        root: Folder of the videos.
        row: Of a list, with nothing below the root.
    """
    looked = f"looked for {str(root / row)!r}"
    plain = row.strip("\"'").replace("\\", "/")
    for words, name in (
        ("a list without quotes, and with / between folders", plain),
        ("a list without labels, a path a line", re.split(r"[\s,;]+\S+$", plain)[0]),
        ("paths from the root on", plain.removeprefix(f"{root.name}/").removeprefix("./")),
        ("paths that do not begin with /", plain.lstrip("/")),
    ):
        if name and name != row and _is_there(root / name):
            return f"{looked}, and {name!r} is there: expected {words}"
    folder = root / Path(plain).parent
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError:
        names = []
    alike = [name for name in names if _folded(name) == _folded(Path(plain).name)]
    if alike:
        return (
            f"{looked}, and {alike[0]!r} is there, which differs in the case of letters or in how "
            "accents are coded: write the list with the names of the files, or rename them"
        )
    if names:
        return f"{looked}; in its folder lie {', '.join(map(repr, names[:3]))}"
    held = ", ".join(map(repr, find_videos(root)[:3])) or "no video"
    return f"{looked}, whose folder is not there or empty; below {root} lie {held}"


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except OSError as error:
        # What the system does not give is there as far as a list is concerned; reading names it.
        return is_system_error(error)
    return True


@cache
def _say_once(message: str) -> None:
    rank_zero_warn(message)


def split_by_hash(
    names: list[str], *, val_fraction: float, test_fraction: float
) -> dict[Split, list[str]]:
    """Split names by a hash of each, see `VideoFolderDataModule` for the rule with few names.

    Args:
        names: Paths below the root.
        val_fraction: Expected share of validation.
        test_fraction: Expected share of test.
    """
    ordered = sorted(names, key=_position)
    splits: dict[Split, list[str]] = {"test": [], "val": [], "train": []}
    for name in ordered:
        position = _position(name)
        if position < test_fraction:
            splits["test"].append(name)
        elif position < test_fraction + val_fraction:
            splits["val"].append(name)
        else:
            splits["train"].append(name)
    if len(names) >= len(splits):
        for split, members in splits.items():
            if not members:
                donor = max(splits.values(), key=len)
                # Hashes run from test over val to train: the nearest neighbor is at one end.
                members.append(donor.pop(-1 if split == "train" else 0))
    return {split: sorted(splits[split]) for split in SPLITS}


def _position(name: str) -> float:
    """Spread names evenly over [0, 1)."""
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:6], "big") / 2**48
