"""The checkpoint that a run resumes from: found, read, compared with the configuration."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_warn

from vidpred.errors import CheckpointError, VidpredError
from vidpred.plain import differences
from vidpred.runs.checkpoints import saved_checkpoints
from vidpred.runs.configuration import CONFIGURATION_KEY
from vidpred.runs.folder import require_no_checkpoints
from vidpred.runs.resume import RESUME_KEY
from vidpred.storage.checkpoint import read_checkpoint, read_resumable

Reader = Callable[[Path], dict[str, Any]]
"""Reads a checkpoint, or refuses it by a `CheckpointError`."""


def find_checkpoint(
    command: str, run_dir: Path, *, ckpt_path: str | None, resume: str | None, run_is_named: bool
) -> Path | None:
    """Give the checkpoint that a command line means.

    Args:
        command: "fit", "validate" or "test".
        run_dir: Folder of the run.
        ckpt_path: A file, or "last" for the latest of the run.
        resume: "auto" takes the latest of the run when there is one.
        run_is_named: Whether the folder was given, and is not new.

    Returns:
        The file; None for a run that begins.

    Raises:
        VidpredError: When the options contradict each other, there is no checkpoint where one is
            needed, or there is one where none may be.
        CheckpointError: When "last" or --resume auto finds checkpoints and none can be used.
    """
    read = reader_of(command)
    if resume is None:
        if command == "fit" and ckpt_path is None:
            require_no_checkpoints(run_dir)
        return None if ckpt_path is None else _find(run_dir, ckpt_path, read)
    if command != "fit":
        raise VidpredError(f"--resume is for vidpred fit; vidpred {command} takes --ckpt-path FILE")
    if ckpt_path is not None:
        raise VidpredError(
            f"--resume {resume} looks for the latest checkpoint, and --ckpt-path names "
            f"{ckpt_path}; give one of them"
        )
    if not run_is_named:
        raise VidpredError(
            f"--resume {resume} needs to know the run: give its folder, --run-dir DIR "
            "(without it, each start makes a new one)"
        )
    return latest_checkpoint(run_dir, read)


def reader_of(command: str) -> Reader:
    """Give what reads a command's checkpoint: to score, weights alone are enough."""
    return read_resumable if command == "fit" else read_checkpoint


def _find(run_dir: Path, ckpt_path: str, read: Reader) -> Path:
    if ckpt_path != "last":
        return Path(ckpt_path)
    latest = latest_checkpoint(run_dir, read)
    if latest is None:
        raise VidpredError(
            f"{run_dir / 'checkpoints'} holds no checkpoint to resume from; "
            "name the run with --run-dir, or a checkpoint with --ckpt-path"
        )
    return latest


def latest_checkpoint(run_dir: Path, read: Reader) -> Path | None:
    """Give the latest checkpoint of a run that can be used, and say which ones cannot.

    Args:
        run_dir: Folder of the run.
        read: Refuses what cannot be used, such as `read_resumable`.

    Returns:
        The file; None when there is no checkpoint.

    Raises:
        CheckpointError: When there are some and none can be used.
    """
    problems: list[str] = []
    for path in saved_checkpoints(run_dir / "checkpoints"):
        try:
            read(path)
        except CheckpointError as error:
            problems.append(str(error))
            continue
        if problems:
            rank_zero_warn("\n".join([*problems, f"resuming from the one before: {path}"]))
        return path
    if problems:
        raise CheckpointError(
            "no checkpoint can be used:\n  " + "\n  ".join(problems) + "\n"
            "begin again in another folder (--run-dir)"
        )
    return None


def wandb_run_id(
    checkpoint: Mapping[str, Any], ckpt_path: Path | None, run_dir: Path
) -> str | None:
    """Give the W&B run to resume; None for a run that begins, or branches off elsewhere."""
    if ckpt_path is None or ckpt_path.resolve().parent.parent != run_dir.resolve():
        return None
    loggers = checkpoint.get(RESUME_KEY, {}).get("loggers", {})
    run_id: str | None = loggers.get("ResilientWandbLogger", {}).get("run_id")
    return run_id


def say_changes(checkpoint: Mapping[str, Any], configuration: Mapping[str, Any]) -> None:
    """Say what is configured otherwise than when the checkpoint was saved."""
    before = checkpoint.get(CONFIGURATION_KEY)
    if before is None:
        return
    without = {"config", "run_dir", "ckpt_path", "resume", "accept_changes"}
    changes = [
        f"{name} {was} -> {now}"
        for name, (was, now) in differences(before, configuration).items()
        if name.split(".")[0] not in without
    ]
    if changes:
        rank_zero_info("changed since the checkpoint: " + "; ".join(changes))
