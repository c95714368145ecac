"""What a training logs, by name."""

from collections.abc import Mapping

import pytorch_lightning as pl
import torch
from torch import Tensor

from vidpred.errors import SettingError
from vidpred.plain import scale_name


def training_values(
    scalars: Mapping[str, Tensor | float], terms: Mapping[str, Tensor], trainer: pl.Trainer
) -> dict[str, Tensor]:
    """Name scalars and loss terms for the loggers, under `train/`.

    A term of shape (S,) gets one name a scale: scale_8 to scale_1. Of several processes the mean is
    given, which is the loss of the batch of all.
    """
    values = {f"train/{name}": torch.as_tensor(value).detach() for name, value in scalars.items()}
    for name, term in terms.items():
        if not term.ndim:
            values[f"train/{name}"] = term.detach()
            continue
        for k, value in enumerate(term.detach()):
            values[f"train/{name}_{scale_name(k, len(term))}"] = value
    if trainer.world_size == 1:
        return values
    # All names at once; Lightning's `sync_dist` would ask the other processes for each.
    device = trainer.strategy.root_device
    together = torch.stack([value.to(device, torch.float32) for value in values.values()])
    mean = trainer.strategy.reduce(together, reduce_op="mean")
    return dict(zip(values, mean.unbind(), strict=True))


def require_counted(task: pl.LightningModule, counted: int) -> None:
    """Refuse a `training_step` that does not count its batch.

    Args:
        task: What is trained.
        counted: By how much its `batches_seen` grew in a batch.

    Raises:
        SettingError: Saying what to add.
    """
    if not counted:
        raise SettingError(
            f"{type(task).__name__}.training_step left batches_seen at {task.batches_seen}; "
            "expected 1 more, as checkpoints and logs count by it: add `self.batches_seen += 1`"
        )
