"""Whether files are what they were when they were scored."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from vidpred.files import file_sha256


def fingerprint_of(paths: Iterable[Path]) -> str:
    """Describe files by name, size and time of change, without reading them.

    Args:
        paths: Files, and folders of files; what cannot be looked at counts as absent.

    Returns:
        A digest that changes when one of them does.
    """
    known = hashlib.sha256()
    for path in paths:
        members = sorted(path.iterdir()) if path.is_dir() else [path]
        for file in members:
            try:
                state = file.stat()
            except OSError:
                continue
            known.update(os.fsencode(f"{file.name}\0{state.st_size}\0{state.st_mtime_ns}\0"))
    return known.hexdigest()


def digest_of_names(names: Iterable[str]) -> str:
    """Give the SHA-256 of a set of names, whatever their order."""
    return hashlib.sha256(os.fsencode("\n".join(sorted(names)))).hexdigest()


def content_digest(paths: Iterable[Path]) -> str:
    """Give the SHA-256 of names and contents of files, and of folders of files."""
    known = hashlib.sha256()
    for path in paths:
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            known.update(os.fsencode(f"{path.name}\0{file.name}\0{file_sha256(file)}\0"))
    return known.hexdigest()
