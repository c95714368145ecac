"""Where a warning about a training goes: the terminal, `health.jsonl`, Weights & Biases."""

import json
from pathlib import Path
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_warn
from pytorch_lightning import Trainer
from pytorch_lightning.loggers import WandbLogger

from vidpred.loggers import ResilientWandbLogger

WARNINGS_FILE = "health.jsonl"


class WarningReport:
    """Reports symptoms of a training, each as a sentence with advice.

    Args:
        table: Name of the table of all warnings in W&B.

    Attributes:
        reported: Batch, symptom and text of all warnings so far.
    """

    def __init__(self, table: str) -> None:
        self.table = table
        self.reported: list[tuple[int, str, str]] = []
        self._file_failed = False

    def add(self, trainer: Trainer, folder: Path, batch: int, symptom: str, text: str) -> None:
        """Report a symptom.

        Args:
            trainer: Whose loggers hear of it.
            folder: The run's, where `health.jsonl` gets a line.
            batch: Training batches so far.
            symptom: Its short name.
            text: What is wrong and which option to change.
        """
        rank_zero_warn(f"health at batch {batch}: {text}")
        self.reported.append((batch, symptom, text))
        for logger in trainer.loggers:
            if isinstance(logger, ResilientWandbLogger):
                logger.alert(f"vidpred: {symptom}", text)
            if isinstance(logger, WandbLogger):
                import wandb

                columns: list[str | int] = ["batch", "symptom", "text"]
                table: Any = wandb.Table(columns=columns, data=self.reported)
                logger.log_metrics({self.table: table}, batch)
        if trainer.fast_dev_run:  # type: ignore[attr-defined]  # set by a function of Lightning
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / WARNINGS_FILE).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"batch": batch, "symptom": symptom, "text": text}) + "\n")
        except OSError as error:
            if not self._file_failed:
                self._file_failed = True
                rank_zero_warn(f"{folder / WARNINGS_FILE} cannot be written: {error}")
