"""Temporary files within a bound, which are removed with the folder that holds them."""

import errno
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from vidpred.page.refusals import DISK_FULL, Gone, PageError, in_mebibytes

_PREFIX = "vidpred-serve-"
_LOCK = ".lock"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DiskBudget:
    """Bytes that all folders of a server share.

    Args:
        limit: Most bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._lock = threading.Lock()

    def take(self, amount: int) -> None:
        """Reserve bytes before they are written.

        Raises:
            PageError: When the limit does not allow them.
        """
        with self._lock:
            if self.used + amount > self.limit:
                raise PageError(
                    f"the temporary files of this page would take more than "
                    f"{in_mebibytes(self.limit)}; remove a clip, predict fewer frames or smaller "
                    "ones, or start `vidpred serve` with a larger --max-disk",
                    DISK_FULL,
                )
            self.used += amount

    def give_back(self, amount: int) -> None:
        """Release bytes that are no longer there."""
        with self._lock:
            self.used -= amount


class Folder:
    """A folder of temporary files; removing it ends whatever still writes into it.

    Args:
        path: Is made.
        budget: Of which its files take.
    """

    def __init__(self, path: Path, budget: DiskBudget) -> None:
        path.mkdir()
        self.path = path
        self._budget = budget
        self._bytes = 0
        self._removed = False
        self._lock = threading.Lock()

    def write(self, name: str, content: bytes) -> None:
        """Write a file, or append to it.

        Args:
            name: Of our own making, never a user's.
            content: Bytes at its end.

        Raises:
            PageError: When the limit or the disk is reached.
            Gone: When the folder has been removed.
        """
        with self._lock:
            if self._removed:
                raise Gone
            self._budget.take(len(content))
            self._bytes += len(content)
            try:
                with (self.path / name).open("ab") as file:
                    file.write(content)
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                raise PageError(
                    f"no space left on the disk ({self.path.parent}); free some space, or set "
                    "TMPDIR to a folder on a larger disk and start `vidpred serve` again",
                    DISK_FULL,
                ) from error

    def remove(self) -> None:
        """Remove it with all files; once is enough, more do no harm."""
        with self._lock:
            self._removed = True
            shutil.rmtree(self.path, ignore_errors=True)
            self._budget.give_back(self._bytes)
            self._bytes = 0


@contextmanager
def temporary_root() -> Iterator[Path]:
    """Give a folder that is removed at the end, and remove those of servers that were killed."""
    for stale in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        _remove_if_unused(stale)
    root = Path(tempfile.mkdtemp(prefix=_PREFIX))  # readable for this user alone
    try:
        with FileLock(root / _LOCK):
            yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _remove_if_unused(root: Path) -> None:
    """Remove a folder whose lock no server holds."""
    lock = root / _LOCK
    if not lock.is_file():  # just made, or not ours
        return
    try:
        with FileLock(lock, blocking=False):
            shutil.rmtree(root, ignore_errors=True)
    except (Timeout, OSError):
        return
