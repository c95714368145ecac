"""RAR archives through an installed program: unrar, 7-Zip or bsdtar.

The programs are used in one way: one call lists what is in the archive, another writes the contents
of its files to a pipe. None of them ever writes to the disk, so a malicious name in the archive
leads nowhere, and where the list has checksums every file is compared with its own here.
"""

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, TypeVar

from vidpred.data.fetch.archive_readers import Member, Reader, ReaderError, chunks_of

RAR_MAGICS = (b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00")
"""Of versions 1.5 to 4, and 5."""

HOW_TO_READ_RAR = (
    "install one of: bsdtar (`apt install libarchive-tools`; part of macOS), 7-Zip with RAR "
    "support (7-zip.org; `apt install 7zip 7zip-rar`; `brew install sevenzip`), unrar (rarlab.com; "
    "`apt install unrar`, not unrar-free; `brew install rar`)"
)

_Kind = Literal["file", "folder", "other"]
_Item = TypeVar("_Item")


def rar_readers() -> list[Reader]:
    """Give the readers that are installed, in the order in which they are tried.

    unrar is the format's own; 7-Zip has builds without RAR, which fail at once; bsdtar lists no
    checksums and comes last.
    """
    readers: list[Reader] = []
    unrar = shutil.which("unrar")
    # A free program of the same name takes other options and writes its own files.
    if unrar is not None and b"Roshal" in _banner(unrar):
        readers.append(UnrarReader(unrar))
    readers += [
        SevenZipReader(path, name) for name in ("7zz", "7z") if (path := shutil.which(name))
    ]
    bsdtar = shutil.which("bsdtar")
    if bsdtar is not None:
        readers.append(BsdtarReader(bsdtar))
    return readers


@dataclass(frozen=True)
class _PipingReader(ABC):
    """Lists by one call of a program and reads all contents, one after the other, by another.

    Attributes:
        program: Path of the program.
        name: For messages.
    """

    program: str
    name: str = ""

    @property
    @abstractmethod
    def listing(self) -> tuple[str, ...]:
        """Options that list the archive that is appended."""

    @property
    @abstractmethod
    def piping(self) -> tuple[str, ...]:
        """Options that write the contents of all files of the archive that is appended."""

    @abstractmethod
    def parse(self, text: str) -> list[Member]:
        """Read the program's list.

        A name with a line end in it may pass for several lines. That yields other names and sizes
        than the archive holds, never another place to write to: names and sizes are checked later.
        """

    def members(self, archive: Path) -> list[Member]:
        """See `Reader`."""
        with _running([self.program, *self.listing, str(archive.absolute())]) as output:
            text = output.rest().decode(errors="surrogateescape")
        return self.parse(text)

    def contents(
        self, archive: Path, members: Sequence[Member], wanted: set[int]
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """See `Reader`."""
        last = max(wanted, default=-1)
        # Absolute: a name such as "-x.rar" or "@x.rar" would be an option.
        with _running([self.program, *self.piping, str(archive.absolute())]) as output:
            for index, member in enumerate(members[: last + 1]):
                chunks = output.exactly(member.size if member.kind == "file" else 0)
                if index in wanted:
                    yield index, chunks
                for _ in chunks:  # what was not wanted
                    pass


@dataclass(frozen=True)
class UnrarReader(_PipingReader):
    """RAR by unrar, the program of the format's author."""

    name: str = "unrar"
    listing = ("lt", "-p-", "-c-", "-idp", "--")
    piping = ("p", "-p-", "-c-", "-inul", "--")

    def parse(self, text: str) -> list[Member]:
        """Read what `unrar lt` writes: a block of `Field: value` lines for each entry."""
        members = []
        for block in re.split(r"\n\s*\n", text):
            fields = _fields(block, ": ")
            if "Name" not in fields or "Type" not in fields:
                continue  # the program's banner, facts of the archive, "EOF"
            if fields.get("Flags", "").find("encrypted") >= 0:
                raise ReaderError(f"{fields['Name']!r} is encrypted")
            kinds: dict[str, _Kind] = {"File": "file", "Directory": "folder"}
            kind = kinds.get(fields["Type"], "other")
            members.append(_member(fields["Name"], fields.get("Size"), kind, fields.get("CRC32")))
        return members


@dataclass(frozen=True)
class SevenZipReader(_PipingReader):
    """RAR by 7-Zip, where it is built with RAR."""

    name: str = "7z"
    listing = ("l", "-slt", "-ba", "-p-", "--")
    piping = ("x", "-so", "-bd", "-p-", "--")

    def parse(self, text: str) -> list[Member]:
        """Read what `7z l -slt -ba` writes: a block of `Field = value` lines for each entry."""
        members = []
        for block in re.split(r"\n\s*\n", text):
            fields = _fields(block, " = ")
            if "Path" not in fields:
                continue
            if fields.get("Encrypted") == "+":
                raise ReaderError(f"{fields['Path']!r} is encrypted")
            links = ("Symbolic Link", "Hard Link", "Copy Link")
            unix = fields.get("Attributes", "").split(" ")[-1][:1]
            kind: _Kind = "file"
            if fields.get("Folder") == "+" or unix == "d":
                kind = "folder"
            elif (
                any(fields.get(name) for name in links)
                or fields.get("Alternate Stream") == "+"
                or unix in tuple("lbcps")
            ):
                kind = "other"
            members.append(_member(fields["Path"], fields.get("Size"), kind, fields.get("CRC")))
        return members


@dataclass(frozen=True)
class BsdtarReader:
    """RAR by libarchive's bsdtar, which writes the archive again as a tar to a pipe.

    It lists no checksums. It compares those of compressed files itself and (libarchive 3.6) leaves
    out those of files that are stored as they are; damaged videos are then for the doctor to find.

    Attributes:
        program: Path of the program.
        name: For messages.
    """

    program: str
    name: str = "bsdtar"

    _LINE = re.compile(
        # Mode, links, owner, group, size or device, date (month, day, time or year), name.
        r"([-a-zA-Z])\S+ +\d+ +\d+ +\d+ +(\d+)(?:,\d+)? +\S+ +\S+ +\S+ (.*)"
    )

    def members(self, archive: Path) -> list[Member]:
        """See `Reader`."""
        command = [self.program, "--numeric-owner", "-tvf", str(archive.absolute())]
        with _running(command) as output:
            text = output.rest().decode(errors="surrogateescape")
        members = []
        for line in text.splitlines():
            found = self._LINE.fullmatch(line)
            if found is None:
                raise ReaderError(f"the line {line[:100]!r} of its list is not understood")
            kinds: dict[str, _Kind] = {"-": "file", "d": "folder"}
            kind = "other" if " link to " in found[3] else kinds.get(found[1], "other")
            members.append(Member(found[3], int(found[2]) if kind == "file" else 0, kind))
        return members

    def contents(
        self, archive: Path, members: Sequence[Member], wanted: set[int]
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """See `Reader`."""
        command = [self.program, "-cf", "-", "--format=pax", f"@{archive.absolute()}"]
        last = max(wanted, default=-1)
        with _running(command) as output:
            try:
                with tarfile.open(fileobj=output.stream, mode="r|") as entries:
                    for index, member in enumerate(members[: last + 1]):
                        entry = entries.next()
                        if entry is None or (entry.isfile() and entry.size != member.size):
                            raise output.failure()
                        if index in wanted:
                            opened = entries.extractfile(entry)
                            if opened is None:
                                raise ReaderError(f"{member.name!r} has no contents")
                            yield index, chunks_of(opened, member.size)
            except tarfile.TarError as error:
                raise output.failure() from error


def _fields(block: str, separator: str) -> dict[str, str]:
    pairs = (line.split(separator, 1) for line in block.splitlines() if separator in line)
    return {name.strip(): value for name, value in pairs}


def _member(name: str, size: str | None, kind: _Kind, crc: str | None) -> Member:
    if kind != "file":
        return Member(name, 0, kind)
    if not (size or "").isdecimal():
        raise ReaderError(f"{name!r} has the size {size!r}; expected a number of bytes")
    return Member(name, int(size or 0), kind, int(crc, 16) if crc else None)


@dataclass(frozen=True)
class _Output:
    """What a program writes."""

    process: "subprocess.Popen[bytes]"
    errors: IO[bytes]

    @property
    def stream(self) -> IO[bytes]:
        assert self.process.stdout is not None  # a pipe was asked for
        return self.process.stdout

    def rest(self) -> bytes:
        """Read all of it.

        Raises:
            ReaderError: When the program fails.
        """
        text = self.stream.read()
        if self.process.wait():
            raise self.failure()
        return text

    def exactly(self, size: int) -> Iterator[bytes]:
        """Yield the next bytes.

        Raises:
            ReaderError: When the program ends before.
        """
        for chunk in chunks_of(self.stream, size):
            size -= len(chunk)
            yield chunk
        if size:
            raise self.failure()

    def failure(self) -> ReaderError:
        """Give an error with the program's last words."""
        self.process.kill()
        status = self.process.wait()
        self.errors.seek(0)
        said = self.errors.read().decode(errors="replace").split("\n")
        words = next((line.strip() for line in reversed(said) if line.strip()), "no message")
        return ReaderError(f"it stopped too early (exit status {status}, {words})")


@contextmanager
def _running(command: Sequence[str]) -> Iterator[_Output]:
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                # Lists in English, with the dates of `ls`, whatever the user's language.
                env={**os.environ, "LC_ALL": "C.UTF-8"},
            )
        except OSError as error:
            raise ReaderError(f"cannot be run ({error})") from error
        with process:
            try:
                yield _Output(process, errors)
            finally:
                process.kill()  # what may still come is not wanted


def _banner(program: str) -> bytes:
    try:
        done = subprocess.run(
            [program], stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return b""
    return done.stdout[:1000]
