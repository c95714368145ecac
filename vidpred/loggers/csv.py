"""Curves as CSV in the run's folder; a resume or a test adds to them."""

import csv
from pathlib import Path

from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter


class AppendingWriter(ExperimentWriter):
    """Continues the `metrics.csv` that it finds, where Lightning's writer deletes it."""

    def _check_log_dir_exists(self) -> None:
        path = Path(self.metrics_file_path)
        if path.is_file():
            with path.open(newline="") as file:
                self.metrics_keys = next(csv.reader(file), [])


class RunCSVLogger(CSVLogger):
    """Writes `metrics.csv` and `hparams.yaml` into the run's folder itself.

    Args:
        save_dir: The run's folder; `metrics.csv` grows when it exists.
        flush_logs_every_n_steps: Rows that are written at once.
    """

    def __init__(self, save_dir: str | Path, *, flush_logs_every_n_steps: int = 10) -> None:
        super().__init__(
            save_dir, name="", version="", flush_logs_every_n_steps=flush_logs_every_n_steps
        )

    @property
    def log_dir(self) -> str:
        """The run's folder."""
        return self.save_dir

    @property
    @rank_zero_experiment
    def experiment(self) -> ExperimentWriter:
        """The writer of the two files."""
        if not isinstance(self._experiment, AppendingWriter):
            self._experiment = AppendingWriter(self.log_dir)
        return self._experiment
