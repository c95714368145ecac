"""What a resume does with earlier validations: the best checkpoints, and early stopping."""

import shutil
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.utilities import rank_zero_info, rank_zero_only

from vidpred.files import replacing
from vidpred.plain import counted

Plain = dict[str, Any]


@runtime_checkable
class ValidationIdentity(Protocol):
    """A data module that knows which clips it validates on, as those of `vidpred.data` do."""

    def same_validation(self, state_dict: Plain) -> bool:
        """Say whether a checkpoint's data module validated on the same clips."""


def same_validation(trainer: pl.Trainer, checkpoint: Plain) -> bool:
    """Say whether the scores of a checkpoint compare with those that are to come."""
    data: Any = getattr(trainer, "datamodule", None)
    state = checkpoint.get(type(data).__qualname__)
    return not (isinstance(data, ValidationIdentity) and state) or data.same_validation(state)


NOT_STOPPED = {"stopped_epoch": 0, "stopping_reason": 0, "stopping_reason_message": None}
"""State of an early stopping that has not stopped."""


def end_of_run(callback: EarlyStopping, state: Plain) -> str | None:
    """Say why early stopping has ended a run, if it has, and would end it again."""
    reason: str | None = state.get("stopping_reason_message")
    waited = state["wait_count"]
    if 0 < waited >= state["patience"]:
        reason = f"{callback.monitor} did not improve in {counted(waited, 'validation')}"
        if waited < callback.patience:  # which was raised
            reason = None
    if reason is None:
        state.update(NOT_STOPPED)
    return reason


def forget_the_best(callback: ModelCheckpoint, state: Plain) -> list[Path]:
    """Let a best checkpoint of other validation clips compete no longer.

    Returns:
        Files in the run's folder that the next best checkpoint may replace.
    """
    rank_zero_info(
        "the validation clips are others, so their scores do not compare with the earlier ones: "
        "the best checkpoint is chosen among those that follow"
    )
    fresh = callback.state_dict()
    found = [Path(path) for path in state["best_k_models"]]
    for key in ("best_k_models", "kth_best_model_path", "kth_value", "best_model_path"):
        state[key] = fresh[key]
    state["best_model_score"] = state["current_score"] = None
    callback.current_score = None
    return [path for path in found if callback.dirpath and path.parent == Path(callback.dirpath)]


@rank_zero_only
def keep_copy(path: Path) -> None:
    """Keep a checkpoint under a name that is free; links to it still lead to the file."""
    if not path.is_file():
        return
    number, kept = 1, path.with_name(f"{path.stem}_of_other_clips{path.suffix}")
    while kept.exists():
        number += 1
        kept = path.with_name(f"{path.stem}_of_other_clips_{number}{path.suffix}")
    with replacing(kept) as partial:
        shutil.copyfile(path, partial)
    rank_zero_info(f"the earlier one is kept as {kept}")


def keep_the_best(callback: ModelCheckpoint, state: Plain) -> None:
    """Let Lightning know the best checkpoints again when a run's folder has got another name."""
    callback.current_score = state.get("current_score")  # saved, and not loaded
    there, here = state["dirpath"], callback.dirpath
    if there == here or not there or not here:
        return
    moved = {path: Path(here, Path(path).name) for path in state["best_k_models"]}
    if not all(path.is_file() for path in moved.values()):
        return  # the run resumes in a folder of its own, with a best of its own

    def new_name(path: str) -> str:
        return str(moved.get(path, path))

    state["dirpath"] = here
    state["best_k_models"] = {new_name(k): v for k, v in state["best_k_models"].items()}
    for key in ("best_model_path", "kth_best_model_path"):
        state[key] = new_name(state[key])
