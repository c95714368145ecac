"""A training that diverged resumes from where it was well, at lower rates."""

import json
from pathlib import Path
from typing import Any, TypedDict

from jsonargparse.typing import OpenUnitInterval, PositiveInt
from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_warn
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn
from torch.optim import Optimizer

from vidpred.errors import TrainingDivergedError
from vidpred.files import write_json
from vidpred.loggers import ResilientWandbLogger
from vidpred.ops.checks import require_positive
from vidpred.runs.checkpoints import good_checkpoints, saved_checkpoints
from vidpred.runs.optimizer_settings import unscheduled

RECOVERY_FILE = "recovery.json"

RATES = ("lr", "initial_lr", "max_lr", "min_lr")
"""Entries of an optimizer's parameter groups that are rates; schedulers write some of them."""


class RecoveryRecord(TypedDict):
    """One going back.

    Attributes:
        batch: At which the training diverged.
        terms: What diverged.
        problem: In which way.
        checkpoint: Name of the file that it resumed from.
        checkpoint_batch: Batches seen there.
        checkpoint_time: When it was written, in nanoseconds: two names may be one file, and one
            name is given to several in turn.
    """

    batch: int
    terms: str
    problem: str
    checkpoint: str
    checkpoint_batch: int
    checkpoint_time: int


class DivergenceRecovery(Callback):
    """After a divergence, let the run resume from its last good checkpoint at lower rates.

    Good is a checkpoint from before the divergence whose weights are all finite. The latest is
    taken that has not been resumed from yet, then the earliest. Where none has been written there
    is `checkpoints/start.ckpt`, which this writes before the first batch. The rates of both
    optimizers are multiplied by `rate_factor` at each retry. What happened is in
    `recovery.json` in the run's folder, and holds for later resumes too; delete the file to have
    the configured rates again.

    `vidpred fit` starts again by itself. From Python, catch `TrainingDivergedError` and call
    `trainer.fit` of a new trainer in the same folder with `ckpt_path=error.resume_from`. A training
    in several processes is not started again: its processes do not diverge at one moment.

    Args:
        max_retries: So many times; then the run ends as it would have.
        rate_factor: What rates are multiplied by each time.
    """

    def __init__(
        self, *, max_retries: PositiveInt = 3, rate_factor: OpenUnitInterval = 0.5
    ) -> None:
        require_positive("max_retries", max_retries)
        if not 0 < rate_factor < 1:
            raise ValueError(f"rate_factor is {rate_factor}; expected between 0 and 1")
        self.max_retries = int(max_retries)
        self.rate_factor = float(rate_factor)
        self._folder = Path()
        self._applied = 1.0
        self._asked = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lower the rates as often as the run has gone back."""
        self._folder = Path(trainer.log_dir or trainer.default_root_dir)
        self._asked = False
        wanted = self.rate_factor ** len(self._retries())
        # Without a scheduler the rates are the configured ones, whatever a checkpoint holds.
        fresh = unscheduled(trainer)
        for optimizer in trainer.optimizers:
            is_fresh = any(optimizer is each for each in fresh)
            _scale_rates(optimizer, wanted if is_fresh else wanted / self._applied)
        for config in trainer.lr_scheduler_configs:
            _scale_scheduler(config.scheduler, wanted / self._applied)
        self._applied = wanted
        if wanted != 1:
            rank_zero_info(
                f"rates are {wanted:g} of those of the configuration, since this run diverged "
                f"before ({self._folder / RECOVERY_FILE})"
            )

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Leave something to go back to from the first batches."""
        if self._asked:
            return
        self._asked = True
        folder = self._folder / "checkpoints"
        if not saved_checkpoints(folder):
            trainer.save_checkpoint(folder / "start.ckpt", weights_only=False)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Decide whether and from where to resume."""
        if trainer.state.fn != TrainerFn.FITTING or trainer.world_size > 1 or not self._asked:
            return
        if not isinstance(exception, TrainingDivergedError):
            return
        retries = self._retries()
        if len(retries) >= self.max_retries:
            rank_zero_warn(f"diverged after {len(retries)} retries; expected a rate far lower")
            return
        good = list(good_checkpoints(self._folder / "checkpoints", exception.well_before))
        if not good:
            rank_zero_warn("there is no good checkpoint from before it diverged")
            return
        tried = [retry["checkpoint_time"] for retry in retries]
        untried = [found for found in good if found[0].stat().st_mtime_ns not in tried]
        path, batches_seen = (untried or good[-1:])[0]
        retry = RecoveryRecord(
            batch=exception.batch,
            terms=exception.terms,
            problem=exception.problem,
            checkpoint=path.name,
            checkpoint_batch=batches_seen,
            checkpoint_time=path.stat().st_mtime_ns,
        )
        try:
            write_json(self._folder / RECOVERY_FILE, [*retries, retry])
        except OSError as error:
            rank_zero_warn(f"{self._folder / RECOVERY_FILE} cannot be written: {error}")
            return
        exception.resume_from = path
        for logger in trainer.loggers:
            if isinstance(logger, ResilientWandbLogger):
                logger.finalize("failed")
                logger.finish()  # the next try has a logger of its own

    def state_dict(self) -> dict[str, Any]:
        """Remember what is in the rates of the optimizers' and the schedulers' states."""
        return {"applied": self._applied}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take notice of that."""
        self._applied = state_dict["applied"]

    def _retries(self) -> list[RecoveryRecord]:
        path = self._folder / RECOVERY_FILE
        if not path.is_file():
            return []
        found: list[RecoveryRecord] = json.loads(path.read_text(encoding="utf-8"))
        return found


def _scale_rates(optimizer: Optimizer, factor: float) -> None:
    for group in optimizer.param_groups:
        for name in RATES:
            if name in group:
                group[name] = group[name] * factor


def _scale_scheduler(scheduler: Any, factor: float) -> None:
    scheduler.base_lrs = [rate * factor for rate in scheduler.base_lrs]
    for inner in getattr(scheduler, "_schedulers", []):  # of those that join several
        _scale_scheduler(inner, factor)
