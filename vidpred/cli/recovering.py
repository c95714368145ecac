"""A training that diverged is started again, when its recovery says from where."""

from collections.abc import Sequence
from pathlib import Path

from lightning_utilities.core.rank_zero import rank_zero_warn

from vidpred.errors import TrainingDivergedError

REPLACED = ("--ckpt_path", "--resume", "--run_dir")


def arguments_to_go_on(arguments: Sequence[str], error: TrainingDivergedError) -> list[str] | None:
    """Give the command line of the next try.

    Args:
        arguments: Command line of the try that diverged, beginning with the command.
        error: How it diverged; `vidpred.callbacks.DivergenceRecovery` has noted what to go on from.

    Returns:
        The command line; None when nothing is to be tried.
    """
    path = error.resume_from
    if path is None:
        return None
    kept: list[str] = []
    skip = False
    for argument in arguments:
        if skip:
            skip = False
            continue
        name, equals, _ = argument.partition("=")
        if name in REPLACED:
            skip = not equals
            continue
        kept.append(argument)
    rank_zero_warn(
        f"{error.problem} at batch {error.batch}: {error.terms}. Going back to {path}, and on at "
        "lower rates"
    )
    return [*kept, "--run_dir", str(_run_dir(path)), "--ckpt_path", str(path)]


def _run_dir(checkpoint: Path) -> Path:
    return checkpoint.parent.parent
