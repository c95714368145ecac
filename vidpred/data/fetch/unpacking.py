"""Archives unpacked without trust: no path of theirs is used, nothing appears half.

What an archive says decides which files are looked for in it; where they go is decided here. An
archive with anything suspicious is refused as a whole before a byte is written: the data sets that
we know have none of it.
"""

import hashlib
import json
import os
import re
import shutil
import unicodedata
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vidpred.data.fetch.archive_readers import Member, Reader, ReaderError
from vidpred.errors import DataError
from vidpred.files import write_json

MAX_MEMBERS = 200_000
"""Names in one archive; UCF101 has 13,320 files."""

MAX_NAME = 255
MAX_PATH = 1024
MAX_DEPTH = 16
_DRIVE = re.compile(r"[A-Za-z]:")

Place = Callable[[PurePosixPath], Path | None]
"""Says where below the target a file of an archive goes; None leaves it out."""

Progress = Callable[[int, int], None]
"""Called with the bytes that are unpacked and all that will be."""


@dataclass(frozen=True)
class Unpacked:
    """What came of an archive.

    Attributes:
        files: Files that are in their place.
        left_out: Files of the archive that were not wanted.
    """

    files: int
    left_out: int


def unpack(
    archive: Path,
    target: Path,
    *,
    readers: Sequence[Reader],
    place: Place,
    max_bytes: int,
    progress: Progress | None = None,
) -> Unpacked:
    """Unpack what is wanted of an archive into a folder that appears when all of it is there.

    Files go to a hidden folder next to `target`; after an interruption those that are there are
    kept. A reader that fails is followed by the next one, which continues with what is missing.

    Args:
        archive: The file.
        target: Folder to make; its parent exists.
        readers: Tried in this order.
        place: Where a file goes, relative to `target`.
        max_bytes: What the archive may hold when unpacked.
        progress: Called as files appear.

    Returns:
        Counts.

    Raises:
        DataError: When the archive is damaged, suspicious, too large, holds nothing that is
            wanted, or cannot be written; when `target` exists or no reader can read it.
    """
    if target.exists():
        raise DataError(f"{target}: is there already; move it away to unpack {archive.name} again")
    problems = []
    for reader in readers:
        try:
            members = reader.members(archive)
            plan = _plan(archive, members, place, max_bytes)
            _unpack(archive, target, reader, members, plan, progress)
        except ReaderError as error:
            problems.append(f"{reader.name}: {error}")
            continue
        except OSError as error:
            raise DataError(
                f"{error.filename or target}: cannot be written ({error.strerror or error}); what "
                "is unpacked is kept. Make room or mend the permissions and run the same again"
            ) from error
        files = sum(member.kind == "file" for member in members)
        return Unpacked(len(plan), files - len(plan))
    raise DataError(
        f"{archive}: cannot be unpacked ({'; '.join(problems)}). If it is damaged, delete it and "
        "fetch it again; what is unpacked so far is kept"
    )


def check_name(name: str) -> PurePosixPath:
    """Refuse names that could lead out of a folder, or that no honest archive holds.

    Args:
        name: Of an entry, with either kind of slash.

    Returns:
        The path that it means.

    Raises:
        DataError: Saying what is wrong with the name.
    """
    slashed = name.replace("\\", "/")
    parts = [part for part in slashed.split("/") if part not in ("", ".")]
    shown = repr(name if len(name) <= 80 else f"{name[:80]}...")
    if slashed.startswith("/") or _DRIVE.match(slashed):
        raise DataError(f"the name {shown} is absolute; nothing was unpacked")
    if ".." in parts:
        raise DataError(f"the name {shown} leads out of its folder; nothing was unpacked")
    if any(unicodedata.category(letter).startswith("C") for letter in name):
        raise DataError(f"the name {shown} has control characters; nothing was unpacked")
    if (
        not parts
        or len(parts) > MAX_DEPTH
        or len(slashed) > MAX_PATH
        or max(len(part.encode(errors="replace")) for part in parts) > MAX_NAME
    ):
        raise DataError(f"the name {shown} is empty, too long or too deep; nothing was unpacked")
    return PurePosixPath(*parts)


def _plan(
    archive: Path, members: Sequence[Member], place: Place, max_bytes: int
) -> dict[int, Path]:
    """Decide where each wanted entry goes, or refuse the archive."""
    if len(members) > MAX_MEMBERS:
        raise DataError(f"{archive}: holds {len(members):,} names; at most {MAX_MEMBERS:,} pass")
    total = sum(member.size for member in members)
    if total > max_bytes:
        raise DataError(
            f"{archive}: would be {total:,} bytes when unpacked, and at most {max_bytes:,} are "
            "allowed; if it is the archive that you want, raise the limit"
        )
    names: dict[str, str] = {}
    places: dict[str, str] = {}
    plan: dict[int, Path] = {}
    for index, member in enumerate(members):
        try:
            path = check_name(member.name)
        except DataError as error:
            raise DataError(f"{archive}: {error}") from error
        if member.kind == "other":
            raise DataError(
                f"{archive}: {member.name!r} is a link or a device; only files and folders are "
                "unpacked, and nothing was"
            )
        if member.kind == "folder":
            continue
        _require_single(archive, names, str(path), member.name)
        destination = place(path)
        if destination is not None:
            _require_single(archive, places, str(destination), member.name)
            plan[index] = destination
    if not plan:
        raise DataError(f"{archive}: holds none of the files that are looked for in it")
    return plan


def _require_single(archive: Path, seen: dict[str, str], path: str, name: str) -> None:
    # Some disks do not distinguish Archery from archery, nor two ways to write an accented letter.
    key = unicodedata.normalize("NFC", path).casefold()
    if key in seen:
        raise DataError(
            f"{archive}: {seen[key]!r} and {name!r} would be the same file; nothing was unpacked"
        )
    seen[key] = name


def _unpack(
    archive: Path,
    target: Path,
    reader: Reader,
    members: Sequence[Member],
    plan: dict[int, Path],
    progress: Progress | None,
) -> None:
    staging = target.with_name(f".{target.name}.unpacking")
    stamp = target.with_name(f".{target.name}.unpacking.json")
    # Always of the same name, so that the next run writes over what a killed one left; and outside
    # of the folder, so that it can never be taken for a part of it.
    temporary = target.with_name(f".{target.name}.unpacking.part")
    _begin_or_go_on(staging, stamp, _identity(archive, members, plan))
    missing = {
        index for index, path in plan.items() if _size(staging / path) != members[index].size
    }
    total = sum(members[index].size for index in plan)
    left = sum(members[index].size for index in missing)
    free = shutil.disk_usage(staging).free
    if left > free:
        raise DataError(
            f"{target.parent}: {left:,} bytes are needed to unpack {archive.name} and {free:,} are "
            "free. Make room and run the same command again"
        )
    for index, chunks in reader.contents(archive, members, set(missing)) if missing else ():
        _write(staging / plan[index], temporary, members[index], chunks)
        missing.remove(index)
        left -= members[index].size
        if progress is not None:
            progress(total - left, total)
    if missing:
        raise ReaderError(f"{members[min(missing)].name!r} did not come")
    staging.rename(target)
    stamp.unlink()


def _begin_or_go_on(staging: Path, stamp: Path, identity: str) -> None:
    """Keep what is unpacked when it is of the same archive and plan, else start over."""
    try:
        same = json.loads(stamp.read_text(encoding="utf-8")) == identity
    except (FileNotFoundError, ValueError):
        same = False
    if not same:
        shutil.rmtree(staging, ignore_errors=True)
        write_json(stamp, identity)
    staging.mkdir(exist_ok=True)


def _identity(archive: Path, members: Sequence[Member], plan: dict[int, Path]) -> str:
    facts = archive.stat()
    rows = [(path.as_posix(), members[index].size) for index, path in sorted(plan.items())]
    text = json.dumps([facts.st_size, facts.st_mtime_ns, rows])
    return hashlib.sha256(text.encode()).hexdigest()


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _write(path: Path, temporary: Path, member: Member, chunks: Iterator[bytes]) -> None:
    """Write one file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size, crc = 0, 0
    try:
        with temporary.open("wb") as file:
            for chunk in chunks:
                size += len(chunk)
                if size > member.size:
                    break
                crc = zlib.crc32(chunk, crc)
                file.write(chunk)
        if size != member.size:
            more = "more than " if size > member.size else f"{size:,} of "
            raise ReaderError(f"{member.name!r} holds {more}{member.size:,} bytes")
        if member.crc is not None and crc != member.crc:
            raise ReaderError(f"{member.name!r} is damaged: its checksum differs")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
