"""Checkpoints to resume from, so often that a run that is killed loses minutes."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from jsonargparse.typing import PositiveFloat, PositiveInt
from lightning_utilities.core.rank_zero import rank_zero_warn
from pytorch_lightning.callbacks import Checkpoint
from torch import Tensor

from vidpred.errors import CheckpointError
from vidpred.ops.checks import require_positive
from vidpred.storage.checkpoint import CHECKPOINT_KEY, read_checkpoint

LAST = "last.ckpt"
NUMBERED = re.compile(r"batch_(\d+)\.ckpt")


class RunCheckpoints(Checkpoint):
    """Saves `checkpoints/batch_<batches seen>.ckpt` at the end of each epoch and in between.

    The latest is `last.ckpt` as well. Lightning's own callback counts the steps of all optimizers,
    and saves within an epoch before the batch is logged and validated, so that these are lost.

    Args:
        every_minutes: Save when so much time has passed; None looks at no clock.
        every_n_batches: Save when the number of batches seen is a multiple; None counts none.
        keep: Number of the latest that are kept; one that is damaged leaves the one before.
    """

    def __init__(
        self,
        *,
        every_minutes: PositiveFloat | None = 5.0,
        every_n_batches: PositiveInt | None = None,
        keep: PositiveInt = 3,
    ) -> None:
        if every_minutes is not None and not every_minutes > 0:
            raise ValueError(f"every_minutes is {every_minutes}; expected more than 0, or null")
        if every_n_batches is not None:
            require_positive("every_n_batches", every_n_batches)
        require_positive("keep", keep)
        self.every_minutes = every_minutes
        self.every_n_batches = every_n_batches
        self.keep = keep
        self._saved_at = time.monotonic()
        self._saved_batch = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to count."""
        self._saved_at = time.monotonic()
        self._saved_batch = _batches_seen(pl_module)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Save what the batches before have made, when it is time."""
        if self._is_due(trainer, _batches_seen(pl_module)):
            self._save(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save at the end of an epoch."""
        if _batches_seen(pl_module) != self._saved_batch:
            self._save(trainer, pl_module)

    def _is_due(self, trainer: pl.Trainer, batch: int) -> bool:
        if batch == self._saved_batch:
            return False
        if self.every_n_batches is not None and batch % self.every_n_batches == 0:
            return True
        if self.every_minutes is None:
            return False
        late = bool(time.monotonic() - self._saved_at >= 60 * self.every_minutes)
        if trainer.world_size == 1:
            return late
        # All at the same batch; to ask each other takes time, so not at each.
        return batch % 16 == 0 and bool(trainer.strategy.reduce_boolean_decision(late, all=False))

    def _save(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.fast_dev_run:  # type: ignore[attr-defined]  # as above
            return
        batch = _batches_seen(pl_module)
        folder = Path(trainer.log_dir or trainer.default_root_dir) / "checkpoints"
        path = folder / f"batch_{batch:08d}.ckpt"
        trainer.save_checkpoint(path, weights_only=False)
        self._saved_at, self._saved_batch = time.monotonic(), batch
        if trainer.is_global_zero:
            _name_again(path, folder / LAST)
            numbered = [p for p in saved_checkpoints(folder) if NUMBERED.fullmatch(p.name)]
            for old in numbered[self.keep :]:
                old.unlink(missing_ok=True)


def saved_checkpoints(folder: Path) -> list[Path]:
    """Give the checkpoints of a run to resume from, the latest first.

    By the time when they were written: after going back to an earlier one, the latest has not the
    highest number. Of two names of one file the general one comes first.
    """
    # After a loss that diverged the weights may be spoilt.
    found = [path for path in folder.glob("*.ckpt") if path.name != "diverged.ckpt"]
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)


def good_checkpoints(folder: Path, well_before: int) -> Iterator[tuple[Path, int]]:
    """Give the checkpoints from before a divergence whose weights are finite, the latest first.

    Args:
        folder: Of checkpoints.
        well_before: Batch before which all was as usual.

    Yields:
        A checkpoint, and the batches that it has seen.
    """
    for path in saved_checkpoints(folder):
        try:
            checkpoint = read_checkpoint(path)
        except CheckpointError as error:
            rank_zero_warn(str(error))
            continue
        seen = int(checkpoint[CHECKPOINT_KEY]["batches_seen"])
        weights = [w for w in checkpoint["state_dict"].values() if isinstance(w, Tensor)]
        if seen <= well_before and all(torch.isfinite(weight).all() for weight in weights):
            yield path, seen


def _name_again(path: Path, name: Path) -> None:
    """Give a file a second name without a second copy, replacing what had it."""
    partial = name.with_name(f".{name.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    try:
        partial.hardlink_to(path)
    except OSError:  # not every file system has links
        name.unlink(missing_ok=True)
        name.symlink_to(path.name)
        return
    partial.replace(name)
    partial.unlink(missing_ok=True)  # where both were one file already, renaming does nothing


def _batches_seen(pl_module: pl.LightningModule) -> int:
    return int(getattr(pl_module, "batches_seen", pl_module.global_step))
