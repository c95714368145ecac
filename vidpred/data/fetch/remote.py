"""What is known about a file on a site, and whether a file on the disk is that one."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from vidpred.errors import DataError


@dataclass(frozen=True)
class Remote:
    """A file on a site, and what is known about it.

    Attributes:
        address: Of http or https.
        size: Its bytes, where they are known for sure.
        sha256: Its hash, where it is known for sure.
        magics: What files of the right kind begin with; empty allows all.
    """

    address: str
    size: int | None = None
    sha256: str | None = None
    magics: tuple[bytes, ...] = ()


def check_file(remote: Remote, path: Path, *, advice: str) -> None:
    """Compare a file with what is known of it: beginning, size and hash.

    Args:
        remote: What is known.
        path: The file.
        advice: What to do when it differs, as a sentence.

    Raises:
        DataError: When it differs, saying in what.
        OSError: When it cannot be read.
    """
    problem = _difference(remote, path)
    if problem is not None:
        raise DataError(
            f"{path.name.removesuffix('.part')}: {problem} ({remote.address}). {advice}"
        )


def _difference(remote: Remote, path: Path) -> str | None:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(max((len(magic) for magic in remote.magics), default=0))
        if remote.magics and not start.startswith(remote.magics):
            return f"begins with {start!r}, which is no archive of the expected kind"
        if remote.size is not None and size != remote.size:
            return f"has {size:,} bytes; expected {remote.size:,}"
        if remote.sha256 is None:
            return None
        file.seek(0)
        found = hashlib.file_digest(file, "sha256").hexdigest()
    expected = remote.sha256.strip().lower()
    return None if found == expected else f"has the SHA-256 {found}; expected {expected}"
