import argparse
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from filelock import FileLock
from http_site import Reply, Site, serving

from vidpred.cli.prepare import add_prepare_parser
from vidpred.data import UCF101DataModule
from vidpred.data.fetch.prepare_ucf101 import (
    DEFAULT_VIDEOS,
    OFFICIAL_LISTS,
    OFFICIAL_VIDEOS,
    Prepared,
    custom_source,
    prepare_ucf101,
)
from vidpred.data.fetch.rar_programs import rar_readers
from vidpred.data.ucf101_layout import LIST_DIR, VIDEO_DIR
from vidpred.errors import DataError


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as served:
        yield served


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def write_zip(entries: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


def put(site: Site, videos: dict[str, bytes], lists: dict[str, bytes]) -> None:
    """Put the archives of a data set on a site."""
    site.put("/data/videos.zip", write_zip(videos))
    site.put("/data/lists.zip", write_zip({f"lists/{name}": lists[name] for name in lists}))


def prepare(site: Site, root: Path, *, keep_archives: bool = False) -> Prepared:
    return prepare_ucf101(
        root,
        videos=custom_source(f"{site.address}/data/videos.zip"),
        lists=custom_source(f"{site.address}/data/lists.zip"),
        keep_archives=keep_archives,
        retries=0,
        timeout=5,
    )


def below(folder: Path, prefix: str) -> dict[str, bytes]:
    return {f"{prefix}{name}": content for name, content in contents(folder).items()}


def test_what_arrives_is_what_training_reads(site: Site, tmp_path: Path, toy_root: Path) -> None:
    put(site, below(toy_root / VIDEO_DIR, "any/folder/"), contents(toy_root / LIST_DIR))
    done = prepare(site, tmp_path / "ucf101")
    assert contents(tmp_path / "ucf101" / VIDEO_DIR) == contents(toy_root / VIDEO_DIR)
    assert contents(tmp_path / "ucf101" / LIST_DIR) == contents(toy_root / LIST_DIR)
    number = len(contents(toy_root / VIDEO_DIR))
    assert (done.videos, done.lists) == (number, 7)
    data = UCF101DataModule(tmp_path / "ucf101", num_workers=0)
    data.setup("test")
    assert len(list(data.test_dataloader())) > 0
    # Nothing is left behind but the two folders; and a second call asks the site for nothing.
    visible = [path for path in (tmp_path / "ucf101").iterdir() if path.name[0] != "."]
    assert sorted(path.name for path in visible) == [VIDEO_DIR, LIST_DIR]
    assert not (tmp_path / "ucf101" / ".downloads").exists()
    asked = len(site.ranges)
    assert prepare(site, tmp_path / "ucf101").videos is None
    assert len(site.ranges) == asked


LISTS = {"trainlist01.txt": b"A/v_A_g08_c01.avi 1\r\n", "testlist01.txt": b"A/v_A_g01_c01.avi\r\n"}


def test_videos_find_their_class(site: Site, tmp_path: Path) -> None:
    """By the folder when it has the class's name in any case, else by the file's name."""
    videos = {
        "UCF-101/HandstandPushups/v_HandStandPushups_g01_c01.avi": b"1",
        "UCF-101/handstandpushups/v_HandStandPushups_g01_c02.avi": b"2",
        "v_Archery_g01_c01.avi": b"3",
        "flat/v_YoYo_g25_c05.avi": b"4",
        "__MACOSX/UCF-101/Archery/._v_Archery_g01_c01.avi": b"left out",
        "UCF-101/Archery/thumbs.db": b"left out",
    }
    put(site, videos, {**LISTS, "notes.txt": b"left out"})
    done = prepare(site, tmp_path)
    assert contents(tmp_path / VIDEO_DIR) == {
        "Archery/v_Archery_g01_c01.avi": b"3",
        "HandstandPushups/v_HandStandPushups_g01_c01.avi": b"1",
        "HandstandPushups/v_HandStandPushups_g01_c02.avi": b"2",
        "YoYo/v_YoYo_g25_c05.avi": b"4",
    }
    assert contents(tmp_path / LIST_DIR) == LISTS
    assert (done.videos, done.lists) == (4, 2)


def test_the_same_video_twice_is_refused(site: Site, tmp_path: Path) -> None:
    put(site, {"a/v_A_g01_c01.avi": b"1", "A/v_A_g01_c01.avi": b"2"}, LISTS)
    with pytest.raises(DataError, match="would be the same file"):
        prepare(site, tmp_path)
    assert not (tmp_path / VIDEO_DIR).exists()


def test_what_broke_off_goes_on(site: Site, tmp_path: Path) -> None:
    put(site, {"v_A_g01_c01.avi": bytes(300_000)}, LISTS)
    site.replies = [Reply(), Reply(status=416), Reply(break_after=100_000), Reply(status=500)]
    with pytest.raises(DataError, match=r"500 .*100,000 bytes are kept"):
        prepare(site, tmp_path)
    # The lists are there already, the videos not at all.
    assert contents(tmp_path / LIST_DIR) == LISTS
    assert not (tmp_path / VIDEO_DIR).exists()
    done = prepare(site, tmp_path)
    assert (done.lists, done.videos) == (None, 1)
    assert site.ranges[4] == "bytes=100000-"


def test_archives_can_be_kept_and_come_from_the_disk(site: Site, tmp_path: Path) -> None:
    put(site, {"v_A_g01_c01.avi": b"1"}, LISTS)
    prepare(site, tmp_path / "one", keep_archives=True)
    kept = tmp_path / "one" / ".downloads"
    assert sorted(contents(kept)) == ["lists.zip", "videos.zip"]
    prepare_ucf101(tmp_path / "two", videos=kept / "videos.zip", lists=kept / "lists.zip")
    assert contents(tmp_path / "two" / LIST_DIR) == LISTS
    # A file of the user's is never deleted.
    assert sorted(contents(kept)) == ["lists.zip", "videos.zip"]


def test_a_zip_of_real_videos_as_the_default_is(real_data: Path, tmp_path: Path) -> None:
    """All videos in one folder; each goes into the folder of its class."""
    folder = real_data / "ucf101" / VIDEO_DIR
    some = sorted(folder.glob("*/*.avi"))[::60]
    videos = {f"UCF101/{path.name}": path.read_bytes() for path in some}
    (tmp_path / "UCF101_videos.zip").write_bytes(write_zip(videos))
    lists = tmp_path / "lists.zip"
    lists.write_bytes(write_zip(below(real_data / "ucf101" / LIST_DIR, "ucfTrainTestlist/")))
    done = prepare_ucf101(tmp_path / "ucf101", videos=tmp_path / "UCF101_videos.zip", lists=lists)
    assert (done.videos, done.lists) == (len(some), 7)
    there = {path.name: path.read_bytes() for path in (tmp_path / "ucf101").rglob("*.avi")}
    assert there == {path.name: path.read_bytes() for path in some}


@pytest.mark.skipif(not rar_readers(), reason="no program that reads RAR is installed")
def test_a_rar_of_videos(tmp_path: Path) -> None:
    archive = Path(__file__).parent / "rar" / "videos5.rar"
    lists = tmp_path / "lists.zip"
    lists.write_bytes(write_zip(LISTS))
    done = prepare_ucf101(tmp_path / "ucf101", videos=archive, lists=lists)
    assert (done.videos, done.lists) == (2, 2)
    assert contents(tmp_path / "ucf101" / VIDEO_DIR) == {
        "A/v_A_g01_c01.avi": b"one",
        "A/v_A_g08_c01.avi": b"two",
    }


def test_without_a_reader_of_rar_nothing_is_fetched(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    videos = custom_source(f"{site.address}/UCF101.rar")
    with pytest.raises(DataError, match="nothing here reads it: install one of: bsdtar"):
        prepare_ucf101(tmp_path / "ucf101", videos=videos)
    assert site.ranges == []


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "page.rar").write_bytes(b"<html>")
    with pytest.raises(DataError, match="expected a RAR or ZIP archive"):
        prepare_ucf101(tmp_path / "ucf101", lists=tmp_path / "page.rar", videos=tmp_path / "x.zip")
    with pytest.raises(DataError, match="cannot be read"):
        prepare_ucf101(tmp_path / "ucf101", lists=tmp_path / "no", videos=tmp_path / "x.zip")


def test_a_folder_is_prepared_by_one_at_a_time(site: Site, tmp_path: Path) -> None:
    with FileLock(tmp_path / ".prepare.lock"), pytest.raises(DataError, match="another `vidpred"):
        prepare(site, tmp_path)


def test_a_root_that_cannot_be(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="choose a folder that you may write to"):
        prepare(site, tmp_path / "file" / "ucf101")


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    add_prepare_parser(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["prepare", "ucf101", *words])
    status: int = arguments.run(arguments)
    return status


def test_the_command_ends_with_the_doctor(
    site: Site, tmp_path: Path, toy_root: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("VIDPRED_CACHE", str(tmp_path / "cache"))
    put(site, below(toy_root / VIDEO_DIR, "UCF-101/"), contents(toy_root / LIST_DIR))
    root = tmp_path / "ucf101"
    given = (f"--videos={site.address}/data/videos.zip", f"--lists={site.address}/data/lists.zip")
    assert run(str(root), *given) in (0, 2)
    said = capsys.readouterr()
    assert said.out.startswith(f"{root}\n")
    number = len(contents(toy_root / VIDEO_DIR))
    assert f"{number} videos" in said.out
    assert f"{number} videos unpacked" in said.err
    assert "7 lists unpacked" in said.err


def test_the_users_mistakes_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.zip").write_bytes(write_zip({"a": b""}))
    files = (f"--videos={tmp_path / 'a.zip'}", f"--lists={tmp_path / 'a.zip'}")
    with pytest.raises(DataError, match="expected 64 hexadecimal digits"):
        run(str(tmp_path / "root"), *files, "--videos-sha256=xyz")
    with pytest.raises(SystemExit, match="2"):
        run(str(tmp_path / "root"), *files, "--max-unpacked-gb=0")
    assert "'0'; expected a number above 0" in capsys.readouterr().err


def test_an_address_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match=r"^http://\[::1/x\.zip: no valid address .*expected one"):
        custom_source("http://[::1/x.zip")


def test_a_hash_of_a_file_on_the_disk_is_checked(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match="has the SHA-256"):
        custom_source(str(tmp_path / "a.zip"), sha256="0" * 64)
    with pytest.raises(DataError, match="no such archive"):
        custom_source(str(tmp_path / "b.zip"), sha256="0" * 64)


def test_the_card_says_what_is_fetched() -> None:
    card = Path(__file__).parents[3] / "datasets" / "ucf101" / "card.yaml"
    archives = yaml.safe_load(card.read_text(encoding="utf-8"))["archives"]
    for name, remote in (
        ("videos", DEFAULT_VIDEOS),
        ("lists", OFFICIAL_LISTS),
        ("official", OFFICIAL_VIDEOS),
    ):
        facts = (remote.address, remote.size, remote.sha256 or "unknown")
        assert tuple(archives[name].values()) == facts


def test_what_is_fetched_by_default_has_a_known_hash() -> None:
    for remote in (DEFAULT_VIDEOS, OFFICIAL_LISTS):
        assert remote.size
        assert len(remote.sha256 or "") == 64


def test_the_videos_are_named_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="both name the videos; give one of them"):
        run(str(tmp_path), "--official-rar", "--videos=x.zip")
