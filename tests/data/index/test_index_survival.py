"""Nothing that happens to the index or to those who build it makes it wrong."""

import os
import random
import shutil
import signal
import sqlite3
import threading
import time
import warnings
from pathlib import Path

import pytest

from vidpred.data.index import records as index_layout
from vidpred.data.index import video_index as index_module
from vidpred.data.index.video_index import VideoIndex
from vidpred.video import probe

# Python 3.12 and later warn of a fork beside threads; loaders on Linux fork, so it has to work.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

VIDEOS = 240


@pytest.fixture
def root(toy_root: Path, tmp_path: Path) -> Path:
    """Ten copies of the toy set's videos: 240 of 12 frames."""
    for number in range(10):
        shutil.copytree(toy_root / "UCF-101", tmp_path / "set" / str(number))
    return tmp_path / "set"


@pytest.fixture
def truth(root: Path) -> dict[str, int]:
    return {p.relative_to(root).as_posix(): probe(p).num_frames for p in root.rglob("*.avi")}


def frames_of(index: VideoIndex) -> dict[str, int]:
    return {name: index.facts(name).num_frames for name in index.known()}


def start(root: Path, cache: Path) -> tuple[int, int]:
    """Fork a process that builds the index as soon as the returned pipe is closed."""
    waiting, starting = os.pipe()
    child = os.fork()
    if child:
        os.close(waiting)
        return child, starting
    status = 1  # no pytest in here: the child only ever leaves by _exit or by a kill
    try:
        warnings.simplefilter("error")
        index_module.CHUNK = 4  # many small writes: more places to be killed at
        os.close(starting)
        with VideoIndex(root, cache=cache) as index:
            os.read(waiting, 1)
            index.refresh(workers=2)
            index.quarantine(next(iter(index.known())), "noise")
        status = 0
    finally:
        os._exit(status)


def test_processes_build_one_index_at_once(
    root: Path, tmp_path: Path, truth: dict[str, int]
) -> None:
    started = [start(root, tmp_path / "cache") for _ in range(3)]
    for _, starting in reversed(started):  # a later child holds the pipes of those before it
        os.close(starting)
    assert [os.waitpid(child, 0)[1] for child, _ in started] == [0, 0, 0]
    with VideoIndex(root, cache=tmp_path / "cache") as index:
        assert index.refresh().new == 0
        assert frames_of(index) == truth


@pytest.mark.parametrize("seed", range(10))
def test_killed_builders_lose_nothing_that_was_written(
    root: Path, tmp_path: Path, truth: dict[str, int], seed: int
) -> None:
    cache = tmp_path / "cache"
    moments = random.Random(seed)
    known = 0
    for _ in range(6):
        child, starting = start(root, cache)
        os.close(starting)
        time.sleep(moments.uniform(0, 0.12))  # building takes about 0.2 s
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] in (0, signal.SIGKILL)
        with VideoIndex(root, cache=cache) as index:
            index._store.check()  # a damaged file would warn, and warnings are errors
            assert known <= len(index.known()) <= VIDEOS
            assert frames_of(index).items() <= truth.items()
            known = len(index.known())
    with VideoIndex(root, cache=cache) as index:
        index.refresh()
        assert frames_of(index) == truth


def test_a_builder_killed_in_its_very_transaction_leaves_the_last_batch(
    root: Path, tmp_path: Path, truth: dict[str, int]
) -> None:
    cache = tmp_path / "cache"
    some = sorted(truth)[:8]
    with VideoIndex(root, cache=cache) as index:
        index.refresh(some)
    child = os.fork()
    if child == 0:  # it only ever leaves by a kill or by _exit
        try:
            own = VideoIndex(root, cache=cache)
            own.known()
            connection = own._store._connection
            assert connection is not None
            connection.execute("PRAGMA cache_size = 1")  # pages reach the disk before the commit
            connection.execute("BEGIN IMMEDIATE")
            for number in range(2000):
                connection.execute(
                    "INSERT INTO facts VALUES (?, 1, 1, ?, ?, NULL)",
                    (str(number).encode(), index_layout.LAYOUT, "x" * 500),
                )
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert Path(f"{index.file}-journal").stat().st_size > 0  # the kill came in time
    with VideoIndex(root, cache=cache) as index:
        assert list(index.known()) == some
        assert index.refresh().new == VIDEOS - 8


def test_readers_are_answered_while_another_process_writes(root: Path, tmp_path: Path) -> None:
    with VideoIndex(root, cache=tmp_path / "cache") as index:
        names = [p.relative_to(root).as_posix() for p in root.rglob("*.avi")]
        index.refresh(names[:8])
        child, starting = start(root, tmp_path / "cache")
        os.close(starting)
        slowest, status = 0.0, None
        while status is None:
            finished, status_now = os.waitpid(child, os.WNOHANG)
            status = status_now if finished else None
            began = time.perf_counter()
            index.facts(names[0])
            slowest = max(slowest, time.perf_counter() - began)
        assert status == 0
        assert slowest < 1


def test_threads_share_one_index(root: Path, tmp_path: Path, truth: dict[str, int]) -> None:
    found: dict[str, int] = {}
    with VideoIndex(root, cache=tmp_path / "cache") as index:

        def ask(names: list[str]) -> None:
            found.update({name: index.facts(name).num_frames for name in names})

        names = sorted(truth)[:30]
        threads = [threading.Thread(target=ask, args=(names[part::3],)) for part in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {name: truth[name] for name in names}


@pytest.mark.parametrize("damage", ["no database", "cut", "zeros", "other tables"])
def test_a_damaged_index_is_set_aside_and_built_anew(
    root: Path, tmp_path: Path, truth: dict[str, int], damage: str
) -> None:
    cache = tmp_path / "cache"
    with VideoIndex(root, cache=cache) as index:
        index.refresh()
        file = index.file
    content = file.read_bytes()
    if damage == "no database":
        file.write_bytes(b"all my holiday pictures " * 500)
    elif damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "zeros":
        file.write_bytes(content[:4096] + bytes(len(content) - 4096))
    else:
        with sqlite3.connect(file) as other:
            other.execute("PRAGMA user_version = 77")
        other.close()
    damaged = file.read_bytes()
    with VideoIndex(root, cache=cache) as index:
        with pytest.warns(UserWarning, match="damaged .* set aside and built again"):
            index.refresh()
        assert frames_of(index) == truth
        assert file.read_bytes() == damaged  # the file that was set aside is left as it was
    with VideoIndex(root, cache=cache) as index:  # in silence
        assert index.refresh().new == 0
        assert index.file != file


def test_damage_that_sqlite_cannot_see_is_read_anew(root: Path, tmp_path: Path) -> None:
    with VideoIndex(root, cache=tmp_path / "cache") as index:
        index.refresh([p for p in root.rglob("*.avi") if p.is_relative_to(root / "0")])
        connection = sqlite3.connect(index.file)
        with connection:
            connection.execute("""UPDATE facts SET facts = '{"num_frames": "many"}'""")
        connection.close()
        assert set(frames_of(index).values()) == {12}


def test_no_changed_byte_ends_a_reading_or_changes_what_is_known(
    toy_root: Path, tmp_path: Path
) -> None:
    names = sorted(p.relative_to(toy_root).as_posix() for p in toy_root.rglob("*.avi"))[:3]
    with VideoIndex(toy_root, cache=tmp_path / "whole") as index:
        index.refresh(names)
        index.quarantine(names[0], "frame 3 is damaged")
        index.remember("sha256", dict.fromkeys(names, "5" * 64))
        file, known = index.file, list(index.known().values())
    content = file.read_bytes()
    written = [place for place in range(100, len(content)) if content[place]]
    rng = random.Random(0)
    for number in range(100):
        damaged = bytearray(content)
        damaged[rng.choice(written)] ^= rng.choice([0x01, 0x20, 0x80, 0xFF])
        cache = tmp_path / str(number) / "index"
        cache.mkdir(parents=True)
        (cache / file.name).write_bytes(damaged)
        with warnings.catch_warnings(), VideoIndex(toy_root, cache=cache.parent) as index:
            warnings.simplefilter("ignore")
            assert [index.facts(name) for name in names] == known
            index.known(), index.quarantined(), index.remembered("sha256"), index.refresh(names)


def test_facts_of_another_layout_are_neither_read_nor_kept(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with VideoIndex(root, cache=tmp_path / "cache") as index:
        index.refresh()
        index.quarantine(next(iter(index.known())), "frame 3 is damaged")
        monkeypatch.setattr("vidpred.data.index.video_index.LAYOUT", "another")
        assert index.known() == {}
        assert index.refresh().new == VIDEOS
        assert len(index.known()) == VIDEOS
        assert len(index.quarantined()) == 1  # it says nothing about the layout of facts


def test_without_a_cache_the_index_lives_in_memory(
    root: Path, tmp_path: Path, truth: dict[str, int]
) -> None:
    (tmp_path / "file").touch()
    index = VideoIndex(root, cache=tmp_path / "file" / "cache")
    with pytest.warns(UserWarning, match="cannot be kept there .* Set VIDPRED_CACHE") as warned:
        index.refresh()
    assert len(warned) == 1
    assert frames_of(index) == truth  # and no other warning, which would be an error
    index.quarantine(next(iter(truth)), "frame 3 is damaged")
    assert index.in_memory
    assert len(index.quarantined()) == 1
    index.close()


def test_a_full_or_read_only_disk_keeps_what_was_known(root: Path, tmp_path: Path) -> None:
    with VideoIndex(root, cache=tmp_path / "cache") as index:
        names = [p.relative_to(root).as_posix() for p in root.rglob("*.avi")]
        index.refresh(names[:8])
        connection = index._store._connection
        assert connection is not None
        [(pages,)] = connection.execute("PRAGMA page_count").fetchall()
        connection.execute(f"PRAGMA max_page_count = {pages}")  # the disk is full from here on
        with pytest.warns(UserWarning, match="is full"):
            assert index.refresh().new == VIDEOS - 8
        assert index.in_memory
        assert len(index.known()) == VIDEOS
    with VideoIndex(root, cache=tmp_path / "cache") as index:
        assert len(index.known()) == 8
