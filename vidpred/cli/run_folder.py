"""Where a run lives: its folder is found, made, and never overwritten."""

import errno
import os
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from vidpred.errors import VidpredError

STAMP_VARIABLE = "VIDPRED_RUN_STAMP"
"""Environment variable by which the processes of one run agree on its folder."""


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
    checkpoints = run_dir / "checkpoints"
    if checkpoints.is_dir() and any(checkpoints.iterdir()):
        raise VidpredError(
            f"{run_dir} holds the checkpoints of a run already; go on with it (--ckpt_path last), "
            "or give the new run a folder of its own (--run_dir)"
        )


def latest_checkpoint(run_dir: Path) -> Path:
    """Give what a run is resumed from: its latest epoch, or where it was broken off after that.

    Raises:
        VidpredError: When there is neither.
    """
    names = ("last.ckpt", "interrupted.ckpt")
    found = [path for name in names if (path := run_dir / "checkpoints" / name).is_file()]
    if not found:
        raise VidpredError(
            f"{run_dir / 'checkpoints'} holds neither {' nor '.join(names)} to go on from; "
            "name the run with --run_dir, or a checkpoint with --ckpt_path"
        )
    return max(found, key=lambda path: path.stat().st_mtime)


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
            f"{run_dir} cannot be written ({error.strerror}); choose another folder with --run_dir"
        ) from error
