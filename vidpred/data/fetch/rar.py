"""RAR archives, unpacked by whatever is installed: libarchive, unrar, 7-Zip or bsdtar.

No package unpacks RAR in Python, for its compression is not free; the package rarfile reads what is
in an archive, with the checksum of every file. The programs are used in one way: they write the
contents of all files to a pipe, one after the other. None of them ever writes to the disk, so none
can be led astray by a name in the archive, and every file's checksum is compared here.
"""

import importlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO, Literal

import rarfile  # type: ignore[import-untyped]  # it ships no types

from vidpred.data.fetch.archive_readers import Member, Reader, ReaderError, chunks_of

RAR_MAGICS = (b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00")
"""Of versions 1.5 to 4, and 5."""

HOW_TO_READ_RAR = (
    "install one of: libarchive (`apt install libarchive13` or `brew install libarchive`, and `pip "
    "install libarchive-c`), unrar (`apt install unrar`, not unrar-free; `brew install rar`; "
    "rarlab.com), 7-Zip with RAR support (7-zip.org; `apt install p7zip-full p7zip-rar`), bsdtar "
    "(`apt install libarchive-tools`)"
)


def rar_readers() -> list[Reader]:
    """Give the readers that are installed, in the order in which they are tried.

    libarchive goes through the archive file by file and passes over what is not wanted; unrar is
    the format's own; 7-Zip has builds without RAR, which fail at once; bsdtar is libarchive again.
    """
    readers: list[Reader] = []
    library = _libarchive()
    if library is not None:
        readers.append(LibarchiveReader(library))
    unrar = shutil.which("unrar")
    # A free program of the same name takes other options and writes its own files.
    if unrar is not None and b"Roshal" in _first_words(unrar):
        readers.append(ProgramReader("unrar", (unrar, "p", "-p-", "-c-", "-inul", "--")))
    for name in ("7zz", "7z", "7za"):
        program = shutil.which(name)
        if program is not None:
            readers.append(ProgramReader(name, (program, "x", "-so", "-bd", "-p-", "--")))
    bsdtar = shutil.which("bsdtar")
    if bsdtar is not None:
        readers.append(ProgramReader("bsdtar", (bsdtar, "-xOf")))
    return readers


def list_rar(archive: Path) -> list[Member]:
    """List what is in a RAR archive, in its order.

    One of version 4 that is cut exactly between two files passes for a short one, because it need
    not have an end: the known size of the file is what guards against that.

    Raises:
        ReaderError: When the archive is damaged, encrypted, or without checksums.
    """
    try:
        # Strict: otherwise a list that breaks off passes for a short one.
        with rarfile.RarFile(archive, errors="strict") as opened:
            if opened.needs_password():
                raise ReaderError("it is encrypted")
            return [_member(info) for info in opened.infolist()]
    except (rarfile.Error, EOFError, ValueError) as error:
        raise ReaderError(f"its list cannot be read ({error})") from error


def _member(info: "rarfile.RarInfo") -> Member:
    kind: Literal["file", "folder", "other"] = "other"
    if info.is_dir():
        kind = "folder"
    elif info.is_file() and info.file_redir is None:
        kind = "file"
    if kind == "file" and info.CRC is None:
        raise ReaderError(f"{info.filename!r} has no CRC-32; only archives with it are read")
    return Member(info.filename, info.file_size if kind == "file" else 0, kind, info.CRC)


@dataclass(frozen=True)
class LibarchiveReader:
    """RAR by the system's libarchive, through the package libarchive-c.

    Attributes:
        library: The imported package.
        name: For messages.
    """

    library: ModuleType
    name: str = "libarchive"

    def members(self, archive: Path) -> list[Member]:
        """See `Reader`."""
        return list_rar(archive)

    def contents(
        self, archive: Path, members: Sequence[Member], wanted: set[int]
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """See `Reader`."""
        indices = {members[index].name: index for index in wanted}
        try:
            with self.library.file_reader(str(archive)) as entries:
                for entry in entries:
                    index = indices.pop(entry.pathname, None)
                    if index is not None:
                        yield index, self._blocks(entry, members[index].size)
                    if not indices:
                        return
        except self.library.ArchiveError as error:
            raise ReaderError(error.msg) from error

    def _blocks(self, entry: object, size: int) -> Iterator[bytes]:
        if size == 0:
            return
        try:
            # The package has no types.
            yield from entry.get_blocks(1 << 16)  # type: ignore[attr-defined]
        except self.library.ArchiveError as error:
            raise ReaderError(error.msg) from error


@dataclass(frozen=True)
class ProgramReader:
    """RAR by an installed program.

    Attributes:
        name: Of the program.
        command: Writes the contents of all files of the archive that is appended to its output.
    """

    name: str
    command: tuple[str, ...]

    def members(self, archive: Path) -> list[Member]:
        """See `Reader`."""
        return list_rar(archive)

    def contents(
        self, archive: Path, members: Sequence[Member], wanted: set[int]
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """See `Reader`."""
        last = max(wanted, default=-1)
        # Absolute: a name such as "-x.rar" or "@x.rar" would be an option.
        with _output([*self.command, str(archive.absolute())]) as output:
            for index, member in enumerate(members[: last + 1]):
                chunks = output.exactly(member.size)
                if index in wanted:
                    yield index, chunks
                for _ in chunks:  # what was not wanted
                    pass


@dataclass(frozen=True)
class _Output:
    """What a program writes.

    Its exit status does not count: bsdtar complains of folders, and does all the same what it
    should. What counts is that all bytes come, with the right checksums.
    """

    process: "subprocess.Popen[bytes]"
    errors: IO[bytes]

    def exactly(self, size: int) -> Iterator[bytes]:
        """Yield the next bytes.

        Raises:
            ReaderError: With the program's last words, when it ends before.
        """
        assert self.process.stdout is not None  # a pipe was asked for
        for chunk in chunks_of(self.process.stdout, size):
            size -= len(chunk)
            yield chunk
        if size:
            status = self.process.wait()
            self.errors.seek(0)
            said = self.errors.read().decode(errors="replace").split("\n")
            words = next((line.strip() for line in reversed(said) if line.strip()), "no message")
            raise ReaderError(f"it stopped too early (exit status {status}, {words})")


@contextmanager
def _output(command: Sequence[str]) -> Iterator[_Output]:
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
            )
        except OSError as error:
            raise ReaderError(f"cannot be run ({error})") from error
        with process:
            try:
                yield _Output(process, errors)
            finally:
                process.kill()  # nobody wants what may still come


def _libarchive() -> ModuleType | None:
    try:
        return importlib.import_module("libarchive")
    except (ImportError, OSError, AttributeError, TypeError):
        # Without the system's library the package breaks off in `ctypes`, in one of these ways.
        return None


def _first_words(program: str) -> bytes:
    try:
        done = subprocess.run(
            [program], stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return b""
    return done.stdout[:1000]
