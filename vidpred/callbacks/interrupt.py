"""Leave a checkpoint to resume from when a run ends before its time."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_warn
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.trainer.states import TrainerFn

from vidpred.errors import TrainingDivergedError


class InterruptCheckpoint(Callback):
    """Saves `checkpoints/interrupted.ckpt` in the run's folder on Ctrl-C or on an error.

    After a loss that is not finite the file is `checkpoints/diverged.ckpt`, to look into and not to
    go on from: the steps before may have spoilt the weights already.
    """

    def __init__(self) -> None:
        self._trained = False

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Note that there is something to save."""
        self._trained = True

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Save where training stands, and say how to go on from there."""
        if trainer.state.fn != TrainerFn.FITTING or not self._trained:
            return
        folder = Path(trainer.log_dir or trainer.default_root_dir)
        diverged = isinstance(exception, TrainingDivergedError)
        name = "diverged.ckpt" if diverged else "interrupted.ckpt"
        path = folder / "checkpoints" / name
        try:
            trainer.save_checkpoint(path, weights_only=False)
        except OSError as error:
            # The first error is what the user must see; a second one here would hide it.
            rank_zero_warn(f"{path} could not be saved ({error}); resume from an earlier one")
            return
        if diverged:
            rank_zero_info(f"saved {path} to look into; go on from an earlier checkpoint")
            return
        configuration = folder / "config.yaml"
        rank_zero_info(
            f"saved {path}; go on with: vidpred fit -c {configuration} --ckpt_path {path}"
        )
