"""The configuration of a run, kept wherever something of the run is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import yaml
from pytorch_lightning.cli import SaveConfigCallback

from vidpred.files import replacing

CONFIGURATION_KEY = "vidpred_configuration"
"""Entry of a checkpoint that holds the configuration of its run, as `config.yaml` does."""


class RunConfiguration(SaveConfigCallback):
    """Writes the full configuration into the run folder, every checkpoint and to every logger."""

    configuration: Mapping[str, Any] = {}

    def save_config(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Write `config.yaml` when training, `<stage>_config.yaml` otherwise."""
        # Not `trainer.log_dir`, which asks all processes, and this one is alone here.
        folder = Path(trainer.default_root_dir)
        folder.mkdir(parents=True, exist_ok=True)
        # Lightning gives an enumeration's member, whose text differs between Python versions.
        stage = str(getattr(stage, "value", stage))
        name = "config.yaml" if stage == "fit" else f"{stage}_config.yaml"
        # Where a run is and what it began from are facts of this start, not of the configuration:
        # used again, it means its own folder, and new weights.
        saved = self.config.clone()
        saved["run_dir"] = saved["ckpt_path"] = saved["resume"] = None
        saved["accept_changes"] = False
        with replacing(folder / name) as partial:
            self.parser.save(saved, partial, skip_none=False, overwrite=True, multifile=False)
        # Through YAML: the command line's own number classes would be logged as text.
        configuration = yaml.safe_load((folder / name).read_text(encoding="utf-8"))
        configuration.pop("config", None)
        self.configuration = configuration
        for logger in trainer.loggers:
            logger.log_hyperparams(configuration)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep the configuration with what came of it."""
        checkpoint[CONFIGURATION_KEY] = self.configuration
