"""Classes of the user that replace those of a configuration and keep its options."""

from pathlib import Path

import pytest
import yaml

from vidpred.cli.main import main
from vidpred.storage.checkpoint import read_checkpoint

DATA = """
import pytorch_lightning as pl
import torch


class Noise(pl.LightningDataModule):
    def __init__(self, batch_size: int = 2, eval_batch_size: int = 2):
        super().__init__()
        self.save_hyperparameters()

    def train_dataloader(self):
        clips = [{"frames": torch.randint(256, (5, 3, 32, 32), dtype=torch.uint8)}] * 8
        return torch.utils.data.DataLoader(clips, batch_size=self.hparams.batch_size)

    val_dataloader = train_dataloader
"""


@pytest.fixture
def noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An experiment whose data module is replaced after one of its options was given."""
    monkeypatch.chdir(tmp_path)
    Path("noise.py").write_text(DATA)
    return ["-c", "experiment/l2.yaml", "--data.batch_size=4", "--data=noise.Noise"]


def test_kept_numbers_can_be_shown(noise: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", *noise, "--print-config"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["data"]["init_args"] == {"batch_size": 4, "eval_batch_size": 2}


def test_kept_numbers_can_be_saved(noise: list[str]) -> None:
    quick = ["--trainer.max_epochs=1", "--trainer.enable_progress_bar=false"]
    assert main(["fit", *noise, *quick, "--run-dir=run", "--wandb.enabled=false"]) == 0
    saved = read_checkpoint(Path("run/checkpoints/last.ckpt"))
    assert saved["datamodule_hyper_parameters"]["batch_size"] == 4
