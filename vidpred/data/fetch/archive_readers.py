"""Readers of archives, and that of ZIP; those of RAR are in `vidpred.data.fetch.rar_programs`."""

import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Protocol

from vidpred.errors import DataError

ZIP_MAGICS = (b"PK\x03\x04",)


@dataclass(frozen=True)
class Member:
    """One entry of an archive.

    Attributes:
        name: As it is in the archive.
        size: Bytes when unpacked, as the archive says.
        kind: What it is; `other` is a link, a device or the like.
        crc: CRC-32 of its bytes; None for what is no file, and where the reader checks it itself.
    """

    name: str
    size: int
    kind: Literal["file", "folder", "other"]
    crc: int | None = None


class ReaderError(DataError):
    """An archive that this reader cannot read; another may."""


class Reader(Protocol):
    """Reads one kind of archive."""

    @property
    def name(self) -> str:
        """For messages."""

    def members(self, archive: Path) -> list[Member]:
        """List the entries in the archive's order.

        Raises:
            ReaderError: When the archive cannot be read by this reader.
        """

    def contents(
        self, archive: Path, members: Sequence[Member], wanted: set[int]
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Yield index and bytes of the wanted entries; each is read before the next is asked for.

        Raises:
            ReaderError: When the archive cannot be read by this reader.
        """


def chunks_of(file: IO[bytes], size: int) -> Iterator[bytes]:
    """Yield the next bytes of a stream, fewer than asked for when it ends.

    A byte more than `size` is never read: what follows may belong to the next file.
    """
    while size > 0:
        chunk = file.read(min(size, 1 << 20))
        if not chunk:
            return
        size -= len(chunk)
        yield chunk


class ZipReader:
    """ZIP, by the standard library, which checks every file's checksum."""

    name = "zipfile"

    def members(self, archive: Path) -> list[Member]:
        """See `Reader`."""
        with self._open(archive) as opened:
            return [_zip_member(info) for info in opened.infolist()]

    def contents(
        self, archive: Path, members: Sequence[Member], wanted: set[int]
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """See `Reader`."""
        with self._open(archive) as opened:
            infos = opened.infolist()
            for index in sorted(wanted):
                with opened.open(infos[index]) as file:
                    yield index, self._chunks(file, infos[index].file_size)

    def _chunks(self, file: IO[bytes], size: int) -> Iterator[bytes]:
        with _zip_troubles():
            yield from chunks_of(file, size)

    @contextmanager
    def _open(self, archive: Path) -> Iterator[zipfile.ZipFile]:
        with _zip_troubles(), zipfile.ZipFile(archive) as opened:
            yield opened


@contextmanager
def _zip_troubles() -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ReaderError(f"damaged, or of an unknown kind ({error})") from error


def _zip_member(info: zipfile.ZipInfo) -> Member:
    if info.flag_bits & 1:
        raise ReaderError(f"{info.filename!r} is encrypted")
    mode = stat.S_IFMT(info.external_attr >> 16)
    if info.is_dir():
        kind: Literal["file", "folder", "other"] = "folder"
    else:
        kind = "file" if mode in (0, stat.S_IFREG) else "other"
    return Member(info.orig_filename, info.file_size, kind, info.CRC)
