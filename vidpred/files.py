"""Files that are whole or not there, and the folder of those that can be made again."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs


@contextmanager
def replacing(path: Path, *, keep_suffix: bool = True) -> Iterator[Path]:
    """Write a file so that it appears under its name only when it is complete.

    Args:
        path: The file, in a folder that exists; what was there is replaced.
        keep_suffix: Write to a path with the same suffix, which some writers go by; False hides it
            from whoever looks for files with this suffix meanwhile.

    Yields:
        A path in the same folder to write to.

    Raises:
        OSError: When the file cannot take its place.
    """
    stem, suffix = (path.stem, path.suffix) if keep_suffix else (path.name, "")
    temporary = path.with_name(f".{stem}.{os.getpid()}{suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def file_sha256(path: Path) -> str:
    """Give the SHA-256 of a file's content, in hexadecimal.

    Raises:
        OSError: When the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder() -> Path:
    """Give the folder of everything that can be made again: `VIDPRED_CACHE`, or the user's."""
    chosen = os.environ.get("VIDPRED_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return platformdirs.user_cache_path("vidpred", appauthor=False)
