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

from vidpred.data.fetch.archive_readers import Member, Reader, ZipReader
from vidpred.data.fetch.rar_programs import SevenZipReader, UnrarReader, rar_readers
from vidpred.data.fetch.unpacking import check_name, unpack
from vidpred.errors import DataError

GOOD = {"top/A/one.txt": b"1" * 1000, "top/B/two.txt": b"22", "top/B/empty.txt": b""}


def all_below_top(path: PurePosixPath) -> Path | None:
    return Path(*path.parts[1:]) if path.suffix == ".txt" else None


def write_zip(entries: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def run(content: bytes, folder: Path, *, readers: list[Reader] | None = None,
        max_bytes: int = 10**6) -> dict[str, bytes]:  # fmt: skip
    archive = folder / "archive"
    archive.write_bytes(content)
    target = folder / "target"
    unpack(
        archive, target, readers=readers or [ZipReader()], place=all_below_top, max_bytes=max_bytes
    )
    return tree(target)


BELOW_TOP = {name.removeprefix("top/"): content for name, content in GOOD.items()}


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


RARS = Path(__file__).parent / "rar"
"""Written once by hand after the public descriptions of both formats, without compression:
"RAR archive file format" (technote.txt of RAR 3.93) for version 4, "RAR 5.0 archive format"
(rarlab.com) for version 5."""

READERS = ["bsdtar", "unrar", "7zz", "7z"]


def rar(name: str, version: int) -> bytes:
    return (RARS / f"{name}{version}.rar").read_bytes()


def reader(name: str) -> Reader:
    """Give an installed reader that reads RAR at all."""
    for candidate in rar_readers():
        if candidate.name == name:
            try:
                candidate.members(RARS / "good5.rar")
            except DataError as error:
                pytest.skip(f"{name} is installed, but without RAR: {error}")
            return candidate
    pytest.skip(f"{name} is not installed")


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("name", READERS)
def test_a_rar_is_unpacked(name: str, version: int, tmp_path: Path) -> None:
    expected = {**BELOW_TOP, "C/x.txt": b"3"}
    assert run(rar("good", version), tmp_path, readers=[reader(name)]) == expected


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("name", READERS)
def test_only_what_is_missing_of_a_rar_is_written(name: str, version: int, tmp_path: Path) -> None:
    one = reader(name)
    wanted = {index for index, member in enumerate(one.members(RARS / f"good{version}.rar"))
              if member.name.endswith(("two.txt", "x.txt"))}  # fmt: skip
    archive = RARS / f"good{version}.rar"
    found = {
        index: b"".join(chunks)
        for index, chunks in one.contents(archive, one.members(archive), wanted)
    }
    assert list(found.values()) == [b"22", b"3"]


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("link", "is a link or a device"),
        ("outside", "nothing was unpacked"),
        ("twice", "would be the same file"),
    ],
)
def test_a_malicious_rar_is_refused(
    name: str, version: int, bad: str, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=problem):
        run(rar(bad, version), tmp_path, readers=[reader(name)])
    assert not (tmp_path / "target").exists()
    assert not (tmp_path / ".target.unpacking").exists()
    assert not (tmp_path.parent / "out.txt").exists()


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("name", READERS)
def test_a_rar_larger_than_allowed_is_refused(name: str, version: int, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"1,011 bytes when unpacked, and at most 500"):
        run(rar("good", version), tmp_path, readers=[reader(name)], max_bytes=500)


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kept", [900, 400, 60, 20])
def test_a_truncated_rar(name: str, version: int, kept: int, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{name}: |holds none"):
        run(rar("good", version)[:kept], tmp_path, readers=[reader(name)])
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("name", [name for name in READERS if name != "bsdtar"])
def test_a_rar_with_a_wrong_checksum(name: str, version: int, tmp_path: Path) -> None:
    """libarchive 3.6, and so bsdtar, compares no checksum of files that are stored as they are."""
    with pytest.raises(DataError, match=f"{name}: "):
        run(rar("crc", version), tmp_path, readers=[reader(name)])
    assert "B/two.txt" not in tree(tmp_path / ".target.unpacking")


SEVEN_ZIP = """\
Path = top
Folder = +
Size = 0
Attributes = D drwxr-xr-x
Encrypted = -
CRC =

Path = top/A = b.txt
Folder = -
Size = 1000
Attributes =  -rw-r--r--
Encrypted = -
CRC = B3B44E47
Symbolic Link =

Path = top/link.txt
Folder = -
Size = 0
Attributes =  lrwxrwxrwx
Encrypted = -
CRC = 00000000
Symbolic Link = /etc/passwd
"""
UNRAR = """\
UNRAR 6.21 freeware      Copyright (c) 1993-2023 Alexander Roshal

Archive: good5.rar
Details: RAR 5

        Name: top/A: b.txt
        Type: File
        Size: 1000
 Packed size: 1000
  Attributes: -rw-r--r--
       CRC32: B3B44E47
     Host OS: Unix

        Name: top
        Type: Directory
  Attributes: drwxr-xr-x

        Name: top/link.txt
        Type: Unix symbolic link
      Target: /etc/passwd
        Size: 0

     Service: EOF
"""
CRC = 0xB3B44E47  # zlib.crc32(b"1" * 1000)


def test_the_list_of_7zip() -> None:
    assert SevenZipReader("7z").parse(SEVEN_ZIP) == [
        Member("top", 0, "folder"),
        Member("top/A = b.txt", 1000, "file", CRC),
        Member("top/link.txt", 0, "other"),
    ]
    with pytest.raises(DataError, match="is encrypted"):
        SevenZipReader("7z").parse(SEVEN_ZIP.replace("Encrypted = -", "Encrypted = +"))


def test_the_list_of_unrar() -> None:
    assert UnrarReader("unrar").parse(UNRAR) == [
        Member("top/A: b.txt", 1000, "file", CRC),
        Member("top", 0, "folder"),
        Member("top/link.txt", 0, "other"),
    ]
    with pytest.raises(DataError, match="has the size None; expected a number of bytes"):
        UnrarReader("unrar").parse(UNRAR.replace("Size: 1000", "Length: 1000"))


def test_a_program_that_fails_is_named_with_its_last_words(tmp_path: Path) -> None:
    program = tmp_path / "7z"
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('ERROR: no codec for RAR')\n")
    program.chmod(0o755)
    with pytest.raises(DataError, match=r"7z: it stopped .* \(exit status 1, ERROR: no codec"):
        run(rar("good", 5), tmp_path, readers=[SevenZipReader(str(program))])


def test_the_next_reader_goes_on(tmp_path: Path) -> None:
    class Broken(ZipReader):
        """Reads the list, and no file."""

        name = "broken"

        def contents(self, *_: object) -> "list[tuple[int, list[bytes]]]":  # type: ignore[override]
            return []

    readers: list[Reader] = [Broken(), ZipReader()]
    assert run(write_zip(GOOD), tmp_path, readers=readers) == BELOW_TOP
    assert not (tmp_path / ".target.unpacking.json").exists()


def test_another_program_by_the_name_of_unrar_is_not_run_on_archives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's unrar-free takes other options."""
    program = tmp_path / "unrar"
    program.write_text(f"#!{sys.executable}\nprint('unrar-free')\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "unrar" not in [one.name for one in rar_readers()]
    program.write_text(f"#!{sys.executable}\nprint('UNRAR 6.21 freeware (c) Alexander Roshal')\n")
    assert "unrar" in [one.name for one in rar_readers()]
