"""Leave a checkpoint to resume from when a run ends before its time."""

from pathlib import Path

import pytorch_lightning as pl
from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_warn
from pytorch_lightning.callbacks import Callback


class InterruptCheckpoint(Callback):
    """Saves `checkpoints/interrupted.ckpt` in the run's folder on Ctrl-C or on an error.

    After a loss that is not finite it holds the weights from before that batch.
    """

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Save where training stands, and say how to go on from there."""
        if not trainer.training or trainer.global_step == 0:
            return
        folder = Path(trainer.log_dir or trainer.default_root_dir)
        path = folder / "checkpoints" / "interrupted.ckpt"
        try:
            trainer.save_checkpoint(path)
        except OSError as error:
            # The first error is what the user must see; a second one here would hide it.
            rank_zero_warn(
                f"{path} could not be saved ({error}); resume from an earlier checkpoint"
            )
            return
        configuration = folder / "config.yaml"
        rank_zero_info(
            f"saved {path}; go on with: vidpred fit -c {configuration} --ckpt_path {path}"
        )
