"""The doctor names every kind of damage, and nothing else."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from damaged_tree import EVERY_DAMAGE, damage_every_way, scribble, videos

from vidpred.data.doctor.diagnosing import diagnose
from vidpred.data.doctor.findings import Diagnosis, Finding
from vidpred.data.doctor.split_lists import OFFICIAL_CLASSES, OFFICIAL_LISTS, OFFICIAL_VIDEOS
from vidpred.data.index.video_index import VideoIndex
from vidpred.video.conditions import conditions_path, write_conditions

MakeVideo = Callable[..., Path]


@pytest.fixture
def root(toy_root: Path, tmp_path: Path) -> Path:
    """A copy of the toy set that a test may damage: 24 videos of 12 frames, 48 x 64."""
    return shutil.copytree(toy_root, tmp_path / "set")


def examine(root: Path, **options: object) -> Diagnosis:
    with VideoIndex(root, cache=root.parent / "cache") as index:
        return diagnose(index, **options)  # type: ignore[arg-type]  # as each test gives them


def by_kind(diagnosis: Diagnosis) -> dict[str, Finding]:
    found = {finding.kind: finding for finding in diagnosis.findings}
    assert len(found) == len(diagnosis.findings)
    return found


def name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def row(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def test_a_whole_set_is_healthy(root: Path) -> None:
    diagnosis = examine(root, full=True)
    assert diagnosis.findings == ()
    assert diagnosis.healthy
    assert diagnosis.layout == "UCF101 layout"  # its classes are not UCF101's
    assert diagnosis.counts["videos"] == 24
    assert diagnosis.counts["classes"] == 4
    assert diagnosis.counts["frames"] == 24 * 12
    assert diagnosis.counts["decoded whole"] == 24
    assert diagnosis.quarantine == {}


def test_every_kind_of_damage_is_named(root: Path, make_video: MakeVideo) -> None:
    tree = damage_every_way(root, make_video)

    diagnosis = examine(root, full=True)
    found = by_kind(diagnosis)
    assert set(found) == EVERY_DAMAGE
    assert found["truncated"].items[0].startswith(f"{name(root, tree.cut)}: its last ")
    assert found["empty"].items == (name(root, tree.empty),)
    assert (
        found["unreadable"].items[0].startswith(f"{name(root, tree.text)}: FFmpeg cannot read it")
    )
    assert found["too_short"].items == (f"{name(root, tree.short)}: 3 frames",)
    assert found["odd_size"].items == (f"{name(root, tree.large)}: 64 x 48",)
    assert found["duplicate"].items == (f"{name(root, tree.copy)} = {name(root, tree.original)}",)
    assert found["header"].items == (
        f"{name(root, tree.liar)}: the header says 99, the file holds 12",
    )
    assert found["missing"].items == (row(tree.gone),)
    assert found["damaged"].items[0].startswith(name(root, tree.scribbled))
    assert "Zoom -> ZOOM" in found["case"].summary
    assert len(found["case"].items) == 6
    assert found["unlisted"].items == ("UCF-101/extra.avi",)
    assert found["groups"].items[0].startswith(f"split 2: {tree.crossing.split('_c')[0]}")
    assert any("no row at all" in item for item in found["lists"].items)
    assert any(
        f"split 2: 1 rows are in train and in test, as {tree.crossing.lower()}" in item.lower()
        for item in found["lists"].items
    )
    # Each of them is about one thing.
    assert {kind for kind in found if len(found[kind].items) != 1} == {"case", "lists"}
    assert {kind for kind in found if not found[kind].fault} == {
        *("case", "unlisted", "header", "odd_size"),
    }
    assert all(finding.advice for finding in diagnosis.findings if finding.kind != "lists")
    assert not diagnosis.healthy
    # What no training should read; short, odd and doubled videos hold frames that are true.
    sources = {key: entry.source for key, entry in diagnosis.quarantine.items()}
    assert sources == {
        name(root, tree.cut): "doctor",
        name(root, tree.scribbled): "doctor",
        name(root, tree.empty): "index",
        name(root, tree.text): "index",
    }


def test_damage_deep_inside_is_found_by_decoding_whole_files(root: Path) -> None:
    scribbled = videos(root)[8]
    scribble(scribbled)
    assert by_kind(examine(root, sample=0)) == {}
    assert set(by_kind(examine(root, sample=24))) == {"damaged"}


def test_equal_size_alone_makes_no_copy(root: Path) -> None:
    first, second, third = videos(root)[:3]
    for path in (second, third):
        shutil.copyfile(first, path)
    scribble(third)
    assert by_kind(examine(root, sample=0))["duplicate"].items == (
        f"{name(root, first)} = {name(root, second)}",
    )


def test_quarantine_is_lifted_when_a_file_is_mended_or_was_sound(root: Path) -> None:
    bad, good = videos(root)[:2]
    content = bad.read_bytes()
    scribble(bad)
    assert set(examine(root, full=True).quarantine) == {name(root, bad)}
    bad.write_bytes(content)
    with VideoIndex(root, cache=root.parent / "cache") as index:
        index.quarantine(good, "the network failed")
    diagnosis = examine(root, sample=0)
    assert diagnosis.quarantine == {}
    assert diagnosis.healthy
    assert by_kind(diagnosis)["released"].items == (
        f"{name(root, good)}: training said the network failed",
    )


def test_what_was_decoded_is_not_decoded_again(root: Path) -> None:
    phases: list[str] = []

    class StopError(Exception):
        pass

    def stop(phase: str, done: int, total: int) -> None:
        if phase == "Decoding whole videos":
            raise StopError

    with VideoIndex(root, cache=root.parent / "cache") as index:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("vidpred.data.doctor.video_files.CHUNK", 10)
            with pytest.raises(StopError):
                diagnose(index, full=True, progress=stop)
        assert len(index.remembered("decoded")) == 10
    seen: list[tuple[str, int, int]] = []
    diagnosis = examine(root, full=True, progress=lambda *step: seen.append(step))
    assert diagnosis.counts["decoded whole"] == 24
    assert ("Decoding whole videos", 14, 14) in seen  # ten were done before
    examine(root, full=True, progress=lambda phase, *_: phases.append(phase))
    assert phases == []
    videos(root)[0].touch()
    examine(root, full=True, progress=lambda phase, *_: phases.append(phase))
    assert phases == ["Indexing videos", "Decoding whole videos", "Looking for repeated frames"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "there is no such list"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "is not UTF-8 text"),
        (lambda path: path.write_text(path.read_text() * 2), "are there more than once"),
        (
            lambda path: path.write_text("\n".join(path.read_text().split("\n")[1:])),
            "are in none of its two lists",
        ),
    ],
)
def test_damaged_lists_are_named(
    root: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(root / "ucfTrainTestlist" / "trainlist03.txt")
    finding = by_kind(examine(root))["lists"]
    assert finding.fault
    assert any(message in item and "3" in item for item in finding.items), finding.items


def test_names_that_differ_in_case_alone_are_a_fault(root: Path) -> None:
    folder = videos(root)[0].parent
    shutil.copytree(folder, folder.with_name(folder.name.lower()))
    if len(list(folder.parent.iterdir())) == 4:
        pytest.skip("this file system ignores the case of names")
    findings = [f for f in examine(root).findings if f.kind == "case" and f.fault]
    assert findings[0].items == (f"{folder.name} and {folder.name.lower()}",)


def test_missing_videos_may_be_meant(root: Path) -> None:
    videos(root)[0].unlink()
    assert not examine(root).healthy
    diagnosis = examine(root, subset=True)
    assert diagnosis.healthy
    assert not by_kind(diagnosis)["missing"].fault


def test_a_folder_without_lists_is_a_folder(tmp_path: Path, make_video: MakeVideo) -> None:
    root = tmp_path / "mine"
    for number in range(3):
        make_video(root / f"{number}.mp4", 8, 40, 48)
    make_video(root / "deep" / "tall.mkv.mp4", 8, 48, 40)
    (root / "deep" / "cut.mp4").write_bytes((root / "0.mp4").read_bytes()[:-200])
    diagnosis = examine(root)
    found = by_kind(diagnosis)
    assert diagnosis.layout == "folder"
    assert set(found) == {"odd_size", "truncated"}
    assert not found["odd_size"].fault  # own videos may have any size
    assert found["truncated"].items == (
        "deep/cut.mp4: its last 200 bytes are missing, it was cut off; fetch it again",
    )


def test_a_pipe_is_not_called_empty(root: Path) -> None:
    os.mkfifo(root / "UCF-101" / "Bounce" / "pipe.avi")
    found = by_kind(examine(root))
    assert "empty" not in found
    assert any("it is a pipe or a device" in item for item in found["unreadable"].items)


def test_an_empty_folder_and_a_lost_one(root: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert by_kind(examine(tmp_path / "empty"))["layout"].fault
    (root / "UCF-101").rename(root / "videos")
    assert "move the class folders" in by_kind(examine(root))["layout"].advice


def test_a_quarantine_that_nobody_will_see_is_a_fault(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with VideoIndex(root, cache=tmp_path / "file") as index:
        with pytest.warns(UserWarning, match="cannot be kept"):
            diagnosis = diagnose(index)
        assert by_kind(diagnosis)["cache"].fault


def test_numbers_out_of_range_are_refused(root: Path) -> None:
    for options in ({"frames": 0}, {"sample": -1}, {"seed": -1}, {"workers": 0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            examine(root, **options)


def test_official_numbers_are_those_of_the_card() -> None:
    card = yaml.safe_load(
        (Path(__file__).parents[3] / "datasets" / "ucf101" / "card.yaml").read_text()
    )
    counts = card["counts"]
    assert counts["videos"] == OFFICIAL_VIDEOS
    assert counts["classes"] == len(OFFICIAL_CLASSES)
    for split, (train, test) in counts["splits"].items():
        assert OFFICIAL_LISTS[f"trainlist0{split}.txt"][0] == train
        assert OFFICIAL_LISTS[f"testlist0{split}.txt"][0] == test
        assert train + test == OFFICIAL_VIDEOS


@pytest.mark.slow
def test_real_clips_are_a_sound_part_of_ucf101(real_data: Path, tmp_path: Path) -> None:
    with VideoIndex(real_data / "ucf101", cache=tmp_path) as index:
        diagnosis = diagnose(index, sample=5)
    found = by_kind(diagnosis)
    assert diagnosis.layout == "UCF101"
    on_disk = len(list((real_data / "ucf101/UCF-101").glob("*/*.avi")))
    assert diagnosis.counts["videos"] == on_disk
    assert set(found) == {"missing", "header", "repeats"}  # the lists are the official ones
    # card.yaml: 371 pictures, the header counts 372
    lies = [item for item in found["header"].items if "v_Kayaking_g12_c03.avi" in item]
    assert lies == [
        "UCF-101/Kayaking/v_Kayaking_g12_c03.avi: the header says 372, the file holds 371"
    ]
    assert len(found["missing"].items) == OFFICIAL_VIDEOS - on_disk
    assert diagnosis.quarantine == {}


def test_official_lists_that_were_cut_are_named(real_data: Path, tmp_path: Path) -> None:
    root = tmp_path / "ucf101"
    shutil.copytree(real_data / "ucf101" / "ucfTrainTestlist", root / "ucfTrainTestlist")
    path = root / "ucfTrainTestlist" / "testlist01.txt"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (root / "UCF-101").mkdir()
    items = by_kind(examine(root))["lists"].items
    assert any("not the official 3783" in item for item in items)
    assert all("01" in item or "split 1" in item for item in items)


@pytest.mark.slow
def test_every_real_video_decodes_whole_and_is_not_cut(real_data: Path, tmp_path: Path) -> None:
    """The folder's README says that each was decoded end to end and none failed."""
    for folder in ("ucf101", "other"):
        with VideoIndex(real_data / folder, cache=tmp_path) as index:
            diagnosis = diagnose(index, full=True, subset=True)
        assert diagnosis.healthy
        assert diagnosis.quarantine == {}
        assert "pictures" not in by_kind(diagnosis)  # as many as the packets tell


def test_conditions_that_training_cannot_use_are_named(root: Path) -> None:
    good, short, broken = videos(root)[:3]
    for path, rows in ((good, 12), (short, 11), (broken, 12)):
        write_conditions(path, {"actions": np.zeros((rows, 2), np.float32)})
    broken_file = conditions_path(broken)
    broken_file.write_bytes(broken_file.read_bytes()[:100])
    diagnosis = examine(root)
    finding = by_kind(diagnosis)["conditions"]
    assert finding.summary == "2 files of conditions cannot be used"
    assert dict(item.split(": ", 1) for item in finding.items).keys() == {
        name(root, conditions_path(path)) for path in (short, broken)
    }
    assert any("'actions' has 11 rows" in item for item in finding.items)
    assert not diagnosis.healthy
    assert diagnosis.quarantine == {}  # the videos are fine


def test_conditions_of_another_frame_rate_are_named(root: Path) -> None:
    good, twice = videos(root)[:2]
    for path, rows in ((good, 12), (twice, 24)):
        write_conditions(path, {"actions": np.zeros((rows, 2), np.float32)})
    diagnosis = examine(root)
    finding = by_kind(diagnosis)["conditions"]
    where = name(root, conditions_path(twice))
    assert finding.items == (f"{where}: 'actions' has 24 rows for 12 frames",)
    assert diagnosis.healthy
