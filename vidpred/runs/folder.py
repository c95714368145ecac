"""Where a run lives: its folder is found, made, and never overwritten."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from vidpred.errors import VidpredError

STAMP_VARIABLE = "VIDPRED_RUN_STAMP"
"""Environment variable by which the processes of one run agree on its folder."""


LOCK = ".training.lock"


def run_of(files: Sequence[Path]) -> Path | None:
    """Give the folder of the run whose `config.yaml` is used again."""
    runs = (file.parent for file in files if file.name == "config.yaml")
    return next((run for run in runs if (run / "checkpoints").is_dir()), None)


def new_run_dir(command: str, files: Sequence[Path]) -> Path:
    """Name a folder after the experiment, or the first configuration, and the time."""
    name = next((file.stem for file in files if file.parent.name == "experiment"), None)
    name = name or (files[0].stem if files else command)
    stamp = f"{datetime.now():%Y%m%d-%H%M%S}"
    if "LOCAL_RANK" in os.environ:  # one of several processes that share a run
        stamp = os.environ.get(STAMP_VARIABLE, stamp)
    os.environ[STAMP_VARIABLE] = stamp
    return Path("runs", name, stamp)


def require_no_checkpoints(run_dir: Path) -> None:
    """Refuse to begin a run where another one has left checkpoints."""
    if any((run_dir / "checkpoints").glob("*.ckpt")):
        raise VidpredError(
            f"{run_dir} holds the checkpoints of a run already; resume it (--resume auto), "
            "or give the new run a folder of its own (--run-dir)"
        )


class NewFolder:
    """The folder of a run that begins, which a refused run does not leave behind.

    Entered before the folder is made; a folder that holds something already is never touched.
    """

    def __init__(self, run_dir: Path) -> None:
        """Note what is there.

        Args:
            run_dir: Folder of the run, which need not exist.
        """
        self._run_dir = run_dir
        self._was_empty = not run_dir.is_dir() or not any(run_dir.iterdir())
        self._made = [path for path in (run_dir, *run_dir.parents) if not path.exists()]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the folders that this run made, when nothing is in them."""
        for path in self._made:
            try:
                path.rmdir()
            except OSError:
                return  # something is in it, or another process was faster

    def discard(self) -> None:
        """Remove the files that this run made, unless it holds checkpoints or curves."""
        curves = self._run_dir / "metrics.csv"
        if not self._was_empty or (curves.is_file() and curves.stat().st_size):
            return
        if any(self._run_dir.rglob("*.ckpt")):
            return
        for path in list(self._run_dir.iterdir()) if self._run_dir.is_dir() else []:
            if path.name == LOCK:
                continue  # whoever holds it removes it
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def require_writable(run_dir: Path) -> None:
    """Make the folder of a run, and try to write in it.

    Raises:
        VidpredError: When that is not possible.
        OSError: When the disk is full.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=run_dir):
            pass
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise VidpredError(
            f"{run_dir} cannot be written ({error.strerror}); choose another folder with --run-dir"
        ) from error


@contextmanager
def hold(run_dir: Path) -> Iterator[None]:
    """Keep other processes from training in the folder.

    A job that is queued again may begin while the one before is still at its end.

    Raises:
        VidpredError: When one trains there already.
    """
    lock = FileLock(run_dir / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise VidpredError(
            f"another process trains in {run_dir}; wait until it ends, or give this run a "
            "folder of its own (--run-dir)"
        ) from None
    except NotImplementedError:
        pass  # a file system without locks
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def wait_until_free(run_dir: Path, seconds: float) -> None:
    """Wait for another process that trains in the folder, such as one that is saving its end.

    Args:
        run_dir: Folder of a run, which need not exist.
        seconds: At most; `hold` refuses whoever comes while it is still taken.
    """
    if not (run_dir / LOCK).exists():
        return
    try:
        with FileLock(run_dir / LOCK, timeout=seconds):
            (run_dir / LOCK).unlink(missing_ok=True)
    except (Timeout, NotImplementedError):
        pass
