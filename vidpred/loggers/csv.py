"""Curves as CSV in the run's folder; a resumed run appends after the rows of its checkpoint."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from lightning_fabric.loggers.logger import rank_zero_experiment
from lightning_utilities.core.rank_zero import rank_zero_only, rank_zero_warn
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter

from vidpred.files import replacing

PREVIOUS = "metrics.previous.csv"
"""What `metrics.csv` was before a resume last dropped rows from it."""


class AppendingWriter(ExperimentWriter):
    """Continues the `metrics.csv` that it finds, where Lightning's writer deletes it.

    What is logged at one step is one row, also when the file was written in between.

    Attributes:
        rows: Rows in the file.
    """

    def log_metrics(self, metrics_dict: dict[str, float], step: int | None = None) -> None:
        """Add values to the row of their step."""
        super().log_metrics(metrics_dict, step)
        if len(self.metrics) > 1 and _same(*self.metrics[-2:]):
            self.metrics[-2].update(self.metrics.pop())

    def _check_log_dir_exists(self) -> None:
        self.metrics_keys, rows = self._read()
        self.rows = len(rows)

    def save(self) -> None:
        """Write what was logged since the last time."""
        if self.metrics and self.rows:
            keys, found = self._read()
            if found and _same(found[-1], self.metrics[0]):
                self._join(keys, found)
        written = self.rows + len(self.metrics)
        super().save()
        self.rows = written

    def _join(self, keys: list[str], found: list[dict[str, str]]) -> None:
        """Add the first values that wait to the last row of the file."""
        first = {key: str(value) for key, value in self.metrics.pop(0).items()}
        found[-1].update(first)
        self.metrics_keys = sorted({*keys, *first})  # Lightning's order
        self._write(self.metrics_keys, found)

    def cut(self, rows: int) -> None:
        """Keep the first rows, and the columns in which they have a value.

        A row that a killed process wrote in part is behind them.
        """
        path = Path(self.metrics_file_path)
        keys, found = self._read()
        if len(found) < rows:
            rank_zero_warn(
                f"{path} has {len(found)} rows, fewer than the {rows} that the checkpoint knows; "
                "the curves have a gap"
            )
        if len(found) <= rows:
            return
        kept = found[:rows]
        with replacing(path.with_name(PREVIOUS)) as previous:
            previous.write_bytes(path.read_bytes())
        self.metrics_keys = [key for key in keys if any(row.get(key) for row in kept)]
        self.rows = len(kept)
        if kept:
            self._write(self.metrics_keys, kept)
        else:
            path.unlink()

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        self._write(fieldnames, self._read()[1])

    def _read(self) -> tuple[list[str], list[dict[str, str]]]:
        path = Path(self.metrics_file_path)
        if not path.is_file():
            return [], []
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            return list(reader.fieldnames or []), list(reader)

    def _write(self, keys: Sequence[str], rows: Sequence[Mapping[str, str]]) -> None:
        # Lightning writes over the file, so that a process that is killed here leaves a part of it.
        with (
            replacing(Path(self.metrics_file_path)) as partial,
            partial.open("w", newline="") as file,
        ):
            writer = csv.DictWriter(file, fieldnames=list(keys), extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Say whether two rows are of one step, which may be read from a file."""
    return bool(one.get("step") != "" and float(one["step"]) == float(other["step"]))


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

    def state_dict(self) -> dict[str, Any]:
        """Say how many rows there are, all of them written."""
        self.save()
        writer = self._experiment
        return {"rows": writer.rows if isinstance(writer, AppendingWriter) else 0}

    @rank_zero_only
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Drop the rows that come after; `metrics.previous.csv` keeps them until the next time."""
        cast(AppendingWriter, self.experiment).cut(state_dict["rows"])
