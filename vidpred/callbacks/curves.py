"""Curves of a training in its folder, as a picture, a page and a tidy table."""

import time
from pathlib import Path

from lightning_utilities.core.rank_zero import rank_zero_warn
from pytorch_lightning import Callback, LightningModule, Trainer

from vidpred.loggers.csv import RunCSVLogger
from vidpred.loggers.curves import (
    METRICS_FILE,
    PAGE_FILE,
    PICTURE_FILE,
    TIDY_FILE,
    charts,
    draw_picture,
    read_rows,
    write_tidy,
)
from vidpred.loggers.curves_page import draw_page
from vidpred.loggers.media import log_curves


class Curves(Callback):
    """Draw what `metrics.csv` holds: `curves.png`, `curves.html` and `metrics_tidy.csv`.

    The picture is drawn again at validations, but not more often than `every_n_seconds`; all three
    are written when training ends, also when it is interrupted. When they cannot be written, this
    is said once and the run continues.

    Args:
        every_n_seconds: Least time between two pictures.
    """

    def __init__(self, *, every_n_seconds: float = 60.0) -> None:
        self.every_n_seconds = every_n_seconds
        self._drawn_at = time.monotonic()
        self._warned = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._drawn_at = time.monotonic()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the picture again when it is time."""
        due = time.monotonic() - self._drawn_at >= self.every_n_seconds
        if due and trainer.training and not trainer.sanity_checking:
            self._write(trainer, whole=False)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write all three."""
        self._write(trainer, whole=True)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Write all three of a training that was interrupted."""
        if isinstance(exception, KeyboardInterrupt | SystemExit):  # the latter by a signal
            self._write(trainer, whole=True)

    def _write(self, trainer: Trainer, *, whole: bool) -> None:
        if not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]  # set by a function
            return
        logger = next((each for each in trainer.loggers if isinstance(each, RunCSVLogger)), None)
        if logger is None:
            return
        self._drawn_at = time.monotonic()
        folder = Path(logger.log_dir)
        try:
            logger.save()
            rows = read_rows(folder / METRICS_FILE)
            found = charts(rows)
            if found:
                draw_picture(found, folder / PICTURE_FILE)
            if found and whole:
                draw_page(found, folder / PAGE_FILE, title=folder.resolve().name)
                step = getattr(trainer.lightning_module, "batches_seen", trainer.global_step)
                log_curves(trainer.loggers, found, folder / PICTURE_FILE, step)
            if rows and whole:
                write_tidy(rows, folder / TIDY_FILE)
        except (OSError, ValueError) as error:
            if not self._warned:
                self._warned = True
                rank_zero_warn(f"curves cannot be drawn: {error}. The run continues without them.")
