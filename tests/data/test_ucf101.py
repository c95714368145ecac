import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from vidpred.data import UCF101DataModule
from vidpred.data.catalog import SPLITS
from vidpred.data.ucf101_lists import group_of, read_list, validation_rows
from vidpred.errors import DataError

MakeVideo = Callable[..., Path]

# Rows of the official lists, from the data set's own documentation.
OFFICIAL_ROWS = {1: (9537, 3783), 2: (9586, 3734), 3: (9624, 3696)}


@pytest.mark.parametrize("split", [1, 2, 3])
def test_official_counts_and_whole_groups(real_data: Path, split: Literal[1, 2, 3]) -> None:
    data = UCF101DataModule(real_data / "ucf101", split=split)
    listings = {name: data.list_split(name) for name in SPLITS}
    rows = {name: len(found.videos) + len(found.missing) for name, found in listings.items()}
    assert (rows["train"] + rows["val"], rows["test"]) == OFFICIAL_ROWS[split]
    on_disk = len(list((real_data / "ucf101/UCF-101").glob("*/*.avi")))
    assert sum(len(found.videos) for found in listings.values()) == on_disk
    groups = {
        name: {video.group for video in found.videos}
        | {"/".join((row.split("/")[0], group_of(row) or "")) for row in found.missing}
        for name, found in listings.items()
    }
    assert not groups["train"] & groups["val"]
    assert not groups["test"] & (groups["train"] | groups["val"])
    assert {name: len(found.videos) > 0 for name, found in listings.items()} == dict.fromkeys(
        SPLITS, True
    )


def test_validation_is_a_tenth_of_each_class_by_whole_groups(real_data: Path) -> None:
    rows = read_list(real_data / "ucf101/ucfTrainTestlist/trainlist01.txt")
    held_out = validation_rows(rows, 0.1)
    for label in {row.split("/")[0] for row in rows}:
        groups = {group_of(row) for row in rows if row.startswith(f"{label}/")}
        val = {group_of(row) for row in held_out if row.startswith(f"{label}/")}
        rest = {
            group_of(row) for row in rows if row.startswith(f"{label}/") and row not in held_out
        }
        assert len(groups) == 18  # g08 to g25
        assert len(val) == 2
        assert not val & rest


def test_validation_does_not_depend_on_the_order_or_on_other_classes() -> None:
    rows = [f"{label}/v_{label}_g{group:02d}_c01.avi" for label in "AB" for group in range(8, 26)]
    chosen = validation_rows(rows, 0.2)
    assert validation_rows(rows[::-1], 0.2) == chosen
    assert validation_rows(rows[:18], 0.2) == {row for row in chosen if row.startswith("A")}


def test_a_class_of_one_group_stays_in_train() -> None:
    rows = ["A/v_A_g08_c01.avi", "A/v_A_g08_c02.avi", "B/v_B_g08_c01.avi", "B/v_B_g09_c01.avi"]
    chosen = validation_rows(rows, 0.9)
    assert len(chosen) == 1
    assert chosen < set(rows[2:])


def make_tree(root: Path, make_video: MakeVideo) -> Path:
    """Case disagrees everywhere: folder, file names, lists."""
    for group in (1, 2, 3):
        make_video(root / f"UCF-101/HandstandPushups/v_HandStandPushups_g{group:02d}_c01.avi")
    lists = root / "ucfTrainTestlist"
    lists.mkdir()
    train = [f"HandStandPushups/v_HandstandPushups_g{group:02d}_c01.avi 37" for group in (2, 3, 4)]
    test = [f"Handstandpushups/v_HandStandPushups_g01_c0{clip}.AVI" for clip in (1, 2)]
    (lists / "trainlist01.txt").write_bytes("".join(f"{row}\r\n" for row in train).encode())
    (lists / "testlist01.txt").write_bytes("".join(f"{row}\r\n" for row in test).encode())
    return root


def test_names_match_whatever_their_case(tmp_path: Path, make_video: MakeVideo) -> None:
    data = UCF101DataModule(make_tree(tmp_path, make_video))
    found = {name: data.list_split(name) for name in SPLITS}
    assert sum(len(listing.videos) for listing in found.values()) == 3
    test = found["test"].videos[0]
    assert test.label == "HandstandPushups"
    assert test.group == "HandstandPushups/g01"
    assert test.video_id == "Handstandpushups/v_HandStandPushups_g01_c01"
    assert found["test"].missing == ("Handstandpushups/v_HandStandPushups_g01_c02.AVI",)


def test_missing_files_are_counted_in_the_summary(real_data: Path) -> None:
    data = UCF101DataModule(real_data / "ucf101", max_test_videos=10, num_workers=0)
    data.setup("test")
    lines = data.summary().splitlines()
    assert lines[2] == "test: 97 videos, 44 classes (3686 listed videos are not on the disk)"
    counts = [int(count) for line in lines for count in re.findall(r"\d+", line)[::2]]
    assert sum(counts) == 9537 + 3783
    assert len(data.test_dataloader()) == 10


def test_lists_may_be_elsewhere(tmp_path: Path, make_video: MakeVideo) -> None:
    make_tree(tmp_path, make_video)
    (tmp_path / "ucfTrainTestlist").rename(tmp_path / "lists")
    with pytest.raises(DataError, match="set list_dir"):
        UCF101DataModule(tmp_path).list_split("test")
    data = UCF101DataModule(tmp_path, list_dir=tmp_path / "lists")
    assert len(data.list_split("test").videos) == 1


def test_what_is_not_there_is_named_with_what_to_do(tmp_path: Path, make_video: MakeVideo) -> None:
    with pytest.raises(DataError, match=r"absent: there is no such folder.*vidpred data toy"):
        UCF101DataModule(tmp_path / "absent").setup("fit")
    with pytest.raises(DataError, match=r"UCF-101: there is no such folder.*crcv"):
        UCF101DataModule(tmp_path).setup("fit")
    root = make_tree(tmp_path / "set", make_video)
    for path in root.glob("UCF-101/*/*"):
        path.unlink()
    with pytest.raises(DataError, match="no class folder in it holds a file"):
        UCF101DataModule(root).setup("fit")
    # Videos, but none that the lists name.
    make_video(root / "UCF-101/Other/v_Other_g01_c01.avi")
    with pytest.raises(
        DataError, match=r"no video of the train split is on the disk \(2 are listed"
    ):
        UCF101DataModule(root).setup("fit")


def test_a_video_in_two_splits_is_refused(tmp_path: Path, make_video: MakeVideo) -> None:
    root = make_tree(tmp_path, make_video)
    with (root / "ucfTrainTestlist/testlist01.txt").open("a") as file:
        file.write("HandstandPushups/v_HandstandPushups_g02_c01.avi\n")
    with pytest.raises(DataError, match="must belong to one split"):
        UCF101DataModule(root).setup("test")


@pytest.mark.parametrize("content", ["", "v_A_g01_c01.avi\n", "a/b/c.avi 1\n"])
def test_other_lists_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "list.txt"
    path.write_text(content)
    with pytest.raises(DataError, match=r"list\.txt"):
        read_list(path)


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match="split is 4"):
        UCF101DataModule("x", split=4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="val_fraction is 1"):
        UCF101DataModule("x", val_fraction=1.0)
