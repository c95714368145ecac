"""How long a run has trained, over all its resumptions, and an end after so many minutes."""

import time
from typing import Any

import pytorch_lightning as pl
from jsonargparse.typing import PositiveFloat
from pytorch_lightning import Callback

CLOCK_KEY = "TrainingClock"
"""Of its state in a checkpoint."""


class TrainingClock(Callback):
    """Counts the seconds of training, validations left out, and ends the training in time.

    Lightning's own `Timer` counts validations as well, so that rows that predict slowly would train
    less. The count is part of every checkpoint: what is lost when a run is killed is not counted,
    and a resumed run trains for what is left.

    Args:
        minutes: Ends the training after the batch that reaches so many; None only counts.

    Attributes:
        seconds: Of training so far.

    Example:
        >>> TrainingClock(minutes=20).seconds
        0.0
    """

    def __init__(self, *, minutes: PositiveFloat | None = None) -> None:
        if minutes is not None and not minutes > 0:
            raise ValueError(f"minutes is {minutes}; expected more than 0, or null")
        self.minutes = None if minutes is None else float(minutes)
        self._before = 0.0
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """Of training so far."""
        running = 0.0 if self._since is None else time.monotonic() - self._since
        return self._before + running

    @property
    def state_key(self) -> str:
        """See `CLOCK_KEY`."""
        return CLOCK_KEY

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Train no further when the time was used up before."""
        self._stop_in_time(trainer)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start."""
        self._since = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any, **__: Any
    ) -> None:
        """Look at the clock."""
        self._stop_in_time(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Pause."""
        self._pause()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Continue; the check of a validation before the training counts for nothing."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._since = time.monotonic()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop."""
        self._pause()

    def state_dict(self) -> dict[str, Any]:
        """Give the seconds so far."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from the seconds of a checkpoint."""
        self._before = float(state_dict["seconds"])

    def _pause(self) -> None:
        self._before, self._since = self.seconds, None

    def _stop_in_time(self, trainer: pl.Trainer) -> None:
        if self.minutes is None:
            return
        late = trainer.strategy.broadcast(self.seconds >= 60 * self.minutes)
        trainer.should_stop = trainer.should_stop or late
