"""What data sets consist of."""

from pathlib import Path

import pytest

from vidpred.data import Listing, Split, Video
from vidpred.data.catalog import SPLITS, read_lines, require_disjoint


def test_a_group_in_two_splits_is_warned_of() -> None:
    groups = {"train": ("a", "b", None), "val": ("a", "c", None), "test": ("d", "b", "d")}
    listings: dict[Split, Listing] = {
        split: Listing(
            tuple(
                Video(Path(f"{split}{number}.avi"), f"{split}{number}", group=group)
                for number, group in enumerate(groups[split])
            )
        )
        for split in SPLITS
    }
    with pytest.warns(UserWarning, match=r"2 groups .* train0 in train, val0 in val") as warned:
        require_disjoint(listings)
    assert len(warned) == 1


def test_lines_end_where_editors_end_them(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_bytes("\ufeffa.mp4\r\n\r\nb\u2028c.mp4\rd\x0be\x85f.mp4\n".encode())
    assert read_lines(path) == ["a.mp4", "b\u2028c.mp4", "d\x0be\x85f.mp4"]
