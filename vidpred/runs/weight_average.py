"""An average of the weights over the training, which is what is validated and saved."""

from typing import Any

import pytorch_lightning as pl
from lightning_utilities.core.rank_zero import rank_zero_warn
from pytorch_lightning.callbacks import EMAWeightAveraging


def warn_of_counted_steps(trainer: pl.Trainer) -> None:
    """Say that Lightning's own average counts the steps of several optimizers together."""
    own = any(type(callback) is EMAWeightAveraging for callback in trainer.callbacks)  # type: ignore[attr-defined]  # set by a function
    if own and len(trainer.optimizers) > 1:
        rank_zero_warn(
            f"EMAWeightAveraging counts the steps of all {len(trainer.optimizers)} optimizers, and "
            "with an even update_every_n_steps may never average; expected "
            "vidpred.callbacks.WeightAverage, which counts batches"
        )


class WeightAverage(EMAWeightAveraging):
    """Keeps an exponential moving average of the weights, by batches.

    Lightning's own counts the steps of all optimizers together: two a batch in adversarial
    training, so that with an even `update_every_n_steps` it would never take the weights, and would
    validate and save the untrained network. Here a step is a batch after which weights have moved,
    however many optimizers moved them. Before the first of them counts, the average is the weights
    as they are.

    Args:
        decay: Share of the average that stays at each update, in [0, 1).
        update_every_n_steps: Such batches between two updates, at least 1.
        update_starting_at_step: The first of them that may count, from 0; None is the first.

    The other arguments are those of `pytorch_lightning.callbacks.EMAWeightAveraging`.

    Raises:
        ValueError: For values outside these ranges.

    Example:
        >>> WeightAverage(decay=0.99).update_every_n_steps
        1
    """

    def __init__(
        self,
        *,
        decay: float = 0.999,
        update_every_n_steps: int = 1,
        update_starting_at_step: int | None = None,
        **kwargs: Any,
    ) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay is {decay}; expected a number that is at least 0 and below 1")
        if update_every_n_steps < 1:
            raise ValueError(
                f"update_every_n_steps is {update_every_n_steps}; expected a number that is at "
                "least 1"
            )
        self._steps = self._last_step = 0
        super().__init__(
            decay=decay,
            update_every_n_steps=update_every_n_steps,
            update_starting_at_step=update_starting_at_step,
            **kwargs,
        )

    @property
    def state_key(self) -> str:
        """That of Lightning's own, whose checkpoints resume."""
        return EMAWeightAveraging.__qualname__

    def state_dict(self) -> dict[str, Any]:
        """Add how many batches have moved the weights."""
        return {**super().state_dict(), "steps": self._steps, "last_step": self._last_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue to count; Lightning's own counted the steps of all optimizers."""
        super().load_state_dict(state_dict)
        latest = self._latest_update_step
        self._steps = state_dict.get("steps", latest)
        self._last_step = state_dict.get("last_step", latest)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Begin with the weights as they are."""
        super().setup(trainer, pl_module, stage)
        self._steps, self._last_step = 0, trainer.global_step

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any, **__: Any
    ) -> None:
        """Take the weights, when this batch moved them and its turn has come."""
        if trainer.global_step == self._last_step:  # gradients were accumulated
            return
        self._last_step = trainer.global_step
        number, self._steps = self._steps, self._steps + 1
        if not self.should_update(step_idx=number):
            return
        assert self._average_model is not None
        self._average_model.update_parameters(pl_module)
        self._latest_update_step = trainer.global_step

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the average to the validation."""
        self._follow(pl_module)
        super().on_validation_epoch_start(trainer, pl_module)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Save both."""
        self._follow(pl_module)
        super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the average in the network, or say that there is none."""
        if self._follow(pl_module):
            rank_zero_warn(
                "the weights were never averaged: update_starting_at_step or "
                "update_starting_at_epoch was not reached, so those that are saved are the last "
                "ones"
            )
        super().on_train_end(trainer, pl_module)

    def _follow(self, pl_module: pl.LightningModule) -> bool:
        """Let the average be the weights as long as none has counted; say whether that is so."""
        average = self._average_model
        if average is None or int(average.n_averaged):
            return False
        average.module.load_state_dict(pl_module.state_dict())
        return True
