"""The trainer of the command line: one folder, whatever its loggers, and numbers that can be."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pytorch_lightning as pl
from lightning_utilities.core.rank_zero import rank_zero_warn
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.strategies.launchers.multiprocessing import _MultiProcessingLauncher

from vidpred.errors import SettingError
from vidpred.runs.checkpoints import RunCheckpoints

LEAST: Mapping[str, int] = {
    "accumulate_grad_batches": 1,  # a loss divided by -1 is maximized
    "check_val_every_n_epoch": 1,
    "log_every_n_steps": 0,
    "gradient_clip_val": 0,
}
"""Options of the trainer that Lightning takes as they come, and the least that has a meaning."""


Batches = Annotated[int | float, "a number of batches, or with a point a share of them"]
"""Whole numbers are tried first. Of a plain union `typing` keeps the order in which the process met
it first, and where that is the other one, the command line reads 1 batch as 1.0, which is all."""


class RunTrainer(pl.Trainer):
    """Lightning's trainer, whose run has one folder: `default_root_dir`.

    Lightning's own puts checkpoints and what callbacks write into the folder of the first logger,
    where a run that resumes does not look for them.

    Args:
        limit_train_batches: Batches of a training epoch, at most: a number (1), or with a point a
            share of them (1.0); None is all.
        limit_val_batches: The same for a validation.
        limit_test_batches: The same for a test.
        limit_predict_batches: The same for a prediction.
        overfit_batches: Lightning's, which data modules of vidpred refuse.

    The other options are Lightning's.

    Raises:
        SettingError: For numbers that would divide by zero, or turn the training around, and for
            strategies that copy a process: what it holds cannot be copied.
    """

    def __init__(
        self,
        *args: Any,
        limit_train_batches: Batches | None = None,
        limit_val_batches: Batches | None = None,
        limit_test_batches: Batches | None = None,
        limit_predict_batches: Batches | None = None,
        overfit_batches: Batches = 0.0,
        **kwargs: Any,
    ) -> None:
        for name, least in LEAST.items():
            value = kwargs.get(name)
            if value is not None and not value >= least:
                raise SettingError(f"trainer.{name} is {value}; expected at least {least}")
        interval = kwargs.get("val_check_interval")
        if isinstance(interval, int | float) and not interval > 0:
            raise SettingError(
                f"trainer.val_check_interval is {interval}; expected a number of batches, or a "
                "part of an epoch above 0; --trainer.limit_val_batches 0 validates never"
            )
        super().__init__(
            *args,
            limit_train_batches=limit_train_batches,
            limit_val_batches=limit_val_batches,
            limit_test_batches=limit_test_batches,
            limit_predict_batches=limit_predict_batches,
            overfit_batches=overfit_batches,
            **kwargs,
        )
        if isinstance(self.strategy.launcher, _MultiProcessingLauncher):
            raise SettingError(
                f"trainer.strategy is {kwargs.get('strategy')}, which copies this process; "
                "expected ddp, which starts the command once for each device"
            )
        for callback in self.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint) and callback.dirpath is None:
                callback.dirpath = str(Path(self.default_root_dir) / "checkpoints")

    @property
    def log_dir(self) -> str:
        """Folder of the run."""
        return str(self.default_root_dir)


def warn_of_lost_callbacks(trainer: pl.Trainer) -> None:
    """Say what a configuration loses that replaces the list of callbacks."""
    if not any(isinstance(callback, RunCheckpoints) for callback in trainer.callbacks):  # type: ignore[attr-defined]  # set by a function
        rank_zero_warn(
            "trainer.callbacks replaces those of vidpred: no scores of validations, no checkpoints "
            "to resume from, no pictures, no diagnostics; write trainer.callbacks+ to add yours to "
            "them"
        )
