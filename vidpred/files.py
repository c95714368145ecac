"""Files that are whole or not there, and the folder of those that can be made again."""

import errno
import hashlib
import json
import logging
import os
import re
import shutil
import stat
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import platformdirs

from vidpred.errors import DataError, is_system_error

logger = logging.getLogger(__name__)

PIPE = Path("-")
"""What names the standard input in the place of a file."""

_LONG = 120
"""Bytes of a name from which on it is not repeated; file systems take 143 to 255."""


_ABANDONED_SECONDS = 3600.0


def temporary_name(path: Path, *, keep_suffix: bool = True) -> Path:
    """Name what is written before it takes its place: hidden, next to it, and never too long.

    Args:
        path: Of the file or folder.
        keep_suffix: Whether the name ends as that of the path.
    """
    stem, suffix = _hidden_parts(path, keep_suffix=keep_suffix)
    return path.with_name(f"{stem}.{os.getpid()}{suffix}")


def _hidden_parts(path: Path, *, keep_suffix: bool) -> tuple[str, str]:
    stem, suffix = (path.stem, path.suffix) if keep_suffix else (path.name, "")
    if len(os.fsencode(path.name)) > _LONG:
        stem = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    return f".{stem}", suffix


def remove_abandoned(path: Path, *, keep_suffix: bool = True) -> None:
    """Remove what killed processes have left of something that was to take this place.

    Only what has not changed for an hour: it may be of another machine that shares the disk.

    Args:
        path: The place, or a link to it. Hidden files of `temporary_name` next to it are looked at,
            and folders that `tempfile.mkdtemp` made with that name as their prefix.
        keep_suffix: As for `temporary_name`.
    """
    stem, suffix = _hidden_parts(path, keep_suffix=keep_suffix)
    name = re.compile(rf"{re.escape(stem)}\.(\d{{1,10}}){re.escape(suffix)}(\.\w{{8}})?")
    with suppress(OSError):  # what cannot be removed is in no way
        folder = written_place(path).parent
        for found in filter(None, map(name.fullmatch, os.listdir(folder))):
            entry = folder / found[0]
            if entry.is_dir() != (found[2] is not None):
                continue
            inside = [entry, *(entry.iterdir() if entry.is_dir() else ())]
            latest = max(each.stat().st_mtime for each in inside)
            if time.time() - latest < _ABANDONED_SECONDS or is_running(int(found[1])):
                continue
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


def is_running(pid: int) -> bool:
    """Say whether there is a process of this number on this machine."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True  # somebody else's
    return True


def written_place(path: Path) -> Path:
    """Give where something of this name is written: through a symbolic link, as by a shell's `>`.

    Returns:
        The same path, or what the link leads to, which need not exist.
    """
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def is_irregular(path: Path) -> bool:
    """Say whether a path is that of a pipe, a socket or a device, which no file may replace."""
    return path.exists() and not (path.is_file() or path.is_dir())


def read_text(path: Path) -> str:
    """Read a file of text in UTF-8.

    Raises:
        OSError: When it cannot be read, or is a device, which may have no end.
        UnicodeDecodeError: When it is no such text.
    """
    mode = path.stat().st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise OSError(errno.EINVAL, "it is a device; expected a file", str(path))
    return path.read_text(encoding="utf-8")


@contextmanager
def replacing(path: Path, *, keep_suffix: bool = True) -> Iterator[Path]:
    """Write a file so that it appears under its name only when it is complete.

    Args:
        path: The file, in a folder that exists; what was there is replaced. A symbolic link stays,
            and what it leads to is written.
        keep_suffix: Write to a path with the same suffix, which some writers go by; False hides it
            from whoever looks for files with this suffix meanwhile.

    Yields:
        A path in the same folder to write to.

    Raises:
        OSError: When the file cannot take its place.
    """
    if is_irregular(path):
        raise OSError(errno.EEXIST, "it is a pipe or a device", str(path))
    place = written_place(path)
    temporary = place.parent / temporary_name(path, keep_suffix=keep_suffix).name
    try:
        yield temporary
        os.replace(temporary, place)
    finally:
        temporary.unlink(missing_ok=True)


def replace_folder(new: Path, path: Path) -> None:
    """Put a folder in the place of another; at any time one of them is there, whole.

    Args:
        new: What takes the place.
        path: The place, of the same file system; a folder that is there is removed at last. See
            `written_place` for one that may be a symbolic link.

    Raises:
        OSError: When it cannot be done; what was there is there again.
    """
    old = temporary_name(path, keep_suffix=False)
    old = old.with_name(f"{old.name}.old")
    try:
        if path.exists():
            path.rename(old)
        new.rename(path)
    except BaseException:
        if old.exists() and not path.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    r"""Write text as UTF-8; bytes of a file's name that are no UTF-8 become such as `\udce9`.

    Raises:
        OSError: When the file cannot be written.
    """
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value: object) -> None:
    """Write JSON, whole or not at all.

    Args:
        path: The file; its folder is made when it does not exist.
        value: Plain data without NaN.

    Raises:
        OSError: When the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        write_text(temporary, json.dumps(value, indent=2, allow_nan=False) + "\n")


def file_sha256(path: Path) -> str:
    """Give the SHA-256 of a file's content, in hexadecimal.

    Raises:
        OSError: When the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_whole_zip(path: Path) -> None:
    """Refuse a ZIP file whose content is not what was written; `torch.load` does not look.

    Args:
        path: Any file. One that is no ZIP is left to its reader, and so is one without checksums
            (`torch.serialization.set_crc32_options(False)`).

    Raises:
        OSError: When the file cannot be read.
        zipfile.BadZipFile: When it is damaged.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        if any(entry.CRC for entry in archive.infolist()) and (name := archive.testzip()):
            raise zipfile.BadZipFile(f"{name} is not what was written")


def cache_folder() -> Path | None:
    """Give the folder of everything that can be made again: `VIDPRED_CACHE`, or the user's.

    Returns:
        None where the user has no home folder (a container's user without a line in /etc/passwd);
        the first call says so.
    """
    chosen = os.environ.get("VIDPRED_CACHE")
    try:
        if chosen:
            return Path(chosen).expanduser()
        return platformdirs.user_cache_path("vidpred", appauthor=False)
    except (RuntimeError, KeyError):
        _say_once(
            "this user has no home folder, so nothing is kept for later runs; set VIDPRED_CACHE to "
            "a folder that can be written"
        )
        return None


@cache
def _say_once(message: str) -> None:
    logger.warning(message)


def expand_home(path: str | Path) -> Path:
    """Replace a leading ~ by the user's home folder.

    Raises:
        DataError: When the user has none.
    """
    try:
        return Path(path).expanduser()
    except (RuntimeError, KeyError) as error:
        raise DataError(f"{path}: this user has no home folder; give the whole path") from error


def split_name(argument: str) -> tuple[str | None, str]:
    """Split `NAME=PATH`; a file whose own name holds `=` is a path without a name.

    Returns:
        The name, None where none is given, and the path.

    Example:
        >>> split_name("mine=runs/a/checkpoints/best.ckpt"), split_name("best.ckpt")
        (('mine', 'runs/a/checkpoints/best.ckpt'), (None, 'best.ckpt'))
    """
    name, _, path = argument.partition("=")
    there = os.path.exists(os.path.expanduser(argument))
    return (name, path) if name and path and not there else (None, argument)


def require_folder(path: Path, expected: str) -> Path:
    """Give the path of a folder that is there.

    Args:
        path: The folder.
        expected: What it is to be, for the message.

    Raises:
        DataError: When it is not there, is a file, or the system does not say.
    """
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            return path
        problem = f"it is a file; expected {expected}"
    except OSError as error:
        if is_system_error(error):
            problem = (
                f"the system does not give it ({error.strerror}); look after permissions, the disk "
                "or the network drive"
            )
        else:
            problem = f"there is no such folder; expected {expected}"
    except ValueError:
        raise DataError(f"{str(path)!r}: no name holds a NUL; expected {expected}") from None
    raise DataError(f"{path}: {problem}")
