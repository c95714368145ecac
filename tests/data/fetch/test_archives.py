"""ZIP archives: what is unpacked, what is refused, and what a kill leaves."""

import io
import os
import signal
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from light_children import WITHOUT_TORCH
from small_archives import BELOW_TOP, GOOD, all_below_top, run, tree, write_zip

from vidpred.data.fetch.archive_readers import Member, Reader, ZipReader
from vidpred.data.fetch.unpacking import check_name, unpack
from vidpred.errors import DataError


def test_a_zip_is_unpacked(tmp_path: Path) -> None:
    content = write_zip({"top/": b"", **GOOD, "top/picture.png": b"left out"})
    (tmp_path / "archive").write_bytes(content)
    seen = []
    result = unpack(
        tmp_path / "archive",
        tmp_path / "target",
        readers=[ZipReader()],
        place=all_below_top,
        max_bytes=2000,
        progress=lambda *step: seen.append(step),
    )
    assert tree(tmp_path / "target") == BELOW_TOP
    assert (result.files, result.left_out) == (3, 1)
    assert seen[-1] == (1002, 1002)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "target"]


@pytest.mark.parametrize(
    "name",
    [
        "../out.txt", "top/../../out.txt", "..\\out.txt", "/out.txt", "\\out.txt", "//host/out.txt",
        "C:/out.txt", "C:out.txt", "c:\\out.txt", "top/..", "top/a\nb.txt", "top/\u202etxt.exe",
        "x" * 256, "a/" * 16 + "b", "x/" * 600, "é" * 128, "", "./",
    ],
)  # fmt: skip
def test_names_that_no_honest_archive_holds(name: str) -> None:
    with pytest.raises(DataError, match="nothing was unpacked"):
        check_name(name)


@pytest.mark.parametrize("name", ["a/b.txt", "./a/b.txt", "a\\b.txt", "a//b.txt", "a/b.txt/"])
def test_honest_names(name: str) -> None:
    assert check_name(name) == PurePosixPath("a/b.txt")


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "C:\\out.txt"])
def test_an_archive_with_one_bad_name_is_refused_whole(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing was unpacked"):
        run(write_zip({**GOOD, name: b"bad"}), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]
    assert not (tmp_path.parent / "out.txt").exists()


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_are_refused(mode: int, tmp_path: Path) -> None:
    file = io.BytesIO(write_zip(GOOD))
    info = zipfile.ZipInfo("top/link.txt")
    info.external_attr = (mode | 0o777) << 16
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="is a link or a device"):
        run(file.getvalue(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


@pytest.mark.parametrize("name", ["top/A/one.txt", "top/a/ONE.txt", "other/A/one.txt"])
def test_names_that_would_be_one_file(name: str, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate") if name in GOOD else _nothing():
        content = io.BytesIO(write_zip(GOOD))
        with zipfile.ZipFile(content, "a") as archive:
            archive.writestr(name, b"again")
    with pytest.raises(DataError, match="would be the same file"):
        run(content.getvalue(), tmp_path)


def _nothing() -> "pytest.WarningsRecorder":
    from contextlib import nullcontext

    return nullcontext()  # type: ignore[return-value]


def test_a_bomb_is_not_lit(tmp_path: Path) -> None:
    content = write_zip({"top/bomb.txt": bytes(2_000_000)})
    assert len(content) < 10_000
    with pytest.raises(DataError, match=r"2,000,000 bytes when unpacked, and at most 1,000,000"):
        run(content, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_a_bomb_that_lies_about_its_size(tmp_path: Path) -> None:
    content = write_zip({"top/bomb.txt": bytes(500_000)})
    lying = content.replace((500_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    assert lying != content
    with pytest.raises(DataError, match="cannot be unpacked"):
        run(lying, tmp_path)
    assert not (tmp_path / "target").exists()


def test_more_than_the_disk_holds(tmp_path: Path) -> None:
    class Boasting(ZipReader):
        """Says that a petabyte is in the archive."""

        def members(self, archive: Path) -> list[Member]:
            return [Member("top/big.txt", 10**15, "file", 0)]

    with pytest.raises(DataError, match=r"1,000,000,000,000,000 bytes are needed to unpack"):
        run(write_zip(GOOD), tmp_path, readers=[Boasting()], max_bytes=10**18)


def test_a_damaged_zip(tmp_path: Path) -> None:
    content = write_zip({**GOOD, "top/C/three.txt": os.urandom(5000)})
    for damaged in (content[: len(content) // 2], content.replace(b"\x1d", b"\x1e"), b"PK\x03\x04"):
        with pytest.raises(DataError, match="delete it and fetch it again"):
            run(damaged, tmp_path)
        assert not (tmp_path / "target").exists()


def test_an_encrypted_zip(tmp_path: Path) -> None:
    content = bytearray(write_zip({"top/a.txt": b"secret"}))
    content[6] |= 1  # general purpose flags of the local header, and of the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(DataError, match="encrypted"):
        run(bytes(content), tmp_path)


def test_an_archive_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds none of the files"):
        run(write_zip({"readme.md": b"hello"}), tmp_path)


def test_what_is_there_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    with pytest.raises(DataError, match="is there already"):
        run(write_zip(GOOD), tmp_path)


def test_what_is_unpacked_is_kept_for_the_same_archive_alone(tmp_path: Path) -> None:
    good = write_zip(GOOD)
    with pytest.raises(DataError, match="cannot be unpacked"):
        run(_damage(good, "top/B/two.txt"), tmp_path)
    staging = tmp_path / ".target.unpacking"
    assert tree(staging) == {"A/one.txt": b"1" * 1000}
    (staging / "A" / "one.txt").write_bytes(b"m" * 1000)
    # Another archive of the same names and sizes: nothing of the first one is left in it.
    assert run(good, tmp_path) == BELOW_TOP


def _damage(archive: bytes, name: str) -> bytes:
    """Change a byte of the contents of one file."""
    place = archive.index(name.encode()) + len(name)
    return archive[:place] + bytes([archive[place] ^ 0xFF]) + archive[place + 1 :]


KILLED = f"""
{WITHOUT_TORCH}
import time
from vidpred.data.fetch.archive_readers import ZipReader
from vidpred.data.fetch.unpacking import unpack
def place(path):
    return Path(*path.parts[1:])
def slowly(done, total):
    time.sleep(0.02)
unpack(
    Path(sys.argv[1]), Path(sys.argv[2]), readers=[ZipReader()], place=place, max_bytes=10**9,
    progress=slowly,
)
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_unpacking_goes_on(tmp_path: Path, ending: signal.Signals) -> None:
    entries = {f"top/{number // 10}/{number}.txt": os.urandom(1000) for number in range(100)}
    archive, target = tmp_path / "a.zip", tmp_path / "target"
    archive.write_bytes(write_zip(entries))
    staging = tmp_path / ".target.unpacking"
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(archive), str(target)], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 30
    while len(list(staging.glob("*/*.txt"))) < 20 and time.monotonic() < deadline:
        time.sleep(0.005)
    child.send_signal(ending)
    assert child.wait(timeout=10) != 0
    assert not target.exists()
    there = {path: path.stat().st_mtime_ns for path in staging.glob("*/*.txt")}
    assert 20 <= len(there) < 100
    unpack(archive, target, readers=[ZipReader()], place=all_below_top, max_bytes=10**9)
    assert {f"top/{name}": content for name, content in tree(target).items()} == entries
    # What was there is not written again.
    for path, written in there.items():
        assert (target / path.relative_to(staging)).stat().st_mtime_ns == written


def test_the_next_reader_goes_on(tmp_path: Path) -> None:
    class Broken(ZipReader):
        """Reads the list, and no file."""

        name = "broken"

        def contents(self, *_: object) -> "list[tuple[int, list[bytes]]]":  # type: ignore[override]
            return []

    readers: list[Reader] = [Broken(), ZipReader()]
    assert run(write_zip(GOOD), tmp_path, readers=readers) == BELOW_TOP
    assert not (tmp_path / ".target.unpacking.json").exists()
