"""Anybody's own folder of videos."""

import hashlib
import os
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from jsonargparse.typing import (
    OpenUnitInterval,
)

from vidpred.data.base import ClipDataModule
from vidpred.data.catalog import SPLITS, Listing, Split, Video, read_lines
from vidpred.data.index.scanning import VIDEO_SUFFIXES
from vidpred.errors import DataError
from vidpred.video.images import IMAGE_SUFFIXES


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
        self._root = Path(self.root).expanduser()
        self.lists = dict(zip(SPLITS, (Path(path).expanduser() for path in given), strict=False))

    def index_root(self) -> Path:
        """Give the folder of the videos."""
        return self._root

    def list_split(self, split: Split) -> Listing:
        """Say which videos a split holds.

        Raises:
            DataError: When the root or a list is not there, or no video is below the root.
        """
        if not self._root.is_dir():
            raise DataError(f"{self._root}: there is no such folder; expected a folder of videos")
        if self.lists:
            return self._read_list(self.lists[split])
        names = find_videos(self._root)
        if not names:
            raise DataError(
                f"{self._root}: no video in it or below; "
                f"looked for {' '.join(sorted(VIDEO_SUFFIXES))}"
            )
        chosen = split_by_hash(
            names, val_fraction=self.val_fraction, test_fraction=self.test_fraction
        )
        return Listing(tuple(self._video(name) for name in chosen[split]))

    def _read_list(self, path: Path) -> Listing:
        if not path.is_file():
            raise DataError(f"{path}: there is no such list")
        names = list(dict.fromkeys(line for line in read_lines(path) if not line.startswith("#")))
        present = [name for name in names if (self._root / name).exists()]
        missing = tuple(name for name in names if name not in set(present))
        return Listing(tuple(self._video(name) for name in present), missing)

    def _video(self, name: str) -> Video:
        path = self._root / name
        # The whole name: two files may differ in their ending alone.
        return Video(path=path, video_id=name, label=path.parent.name)


def find_videos(root: Path) -> list[str]:
    """Give the videos below a folder as sorted paths with forward slashes, without hidden ones.

    A folder that holds images and nothing else that counts, neither folders nor video files, is a
    video too: its frames.
    """
    found = []
    for place, folders, files in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        shown = [name for name in files if not name.startswith(".")]
        videos = [name for name in shown if Path(name).suffix.lower() in VIDEO_SUFFIXES]
        folder = Path(place).relative_to(root)
        found += [(folder / name).as_posix() for name in videos]
        images = any(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in shown)
        if images and not videos and not folders and folder.parts:
            found.append(folder.as_posix())
    return sorted(found)


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
                # Hashes run from test over val to train: the nearest neighbour is at one end.
                members.append(donor.pop(-1 if split == "train" else 0))
    return {split: sorted(splits[split]) for split in SPLITS}


def _position(name: str) -> float:
    """Spread names evenly over [0, 1)."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48
