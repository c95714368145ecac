"""RAR archives through installed programs, and the lists that those print."""

import sys
from pathlib import Path

import pytest
from small_archives import BELOW_TOP, run, tree

from vidpred.data.fetch.archive_readers import Member, Reader
from vidpred.data.fetch.rar_programs import SevenZipReader, UnrarReader, rar_readers
from vidpred.errors import DataError

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
