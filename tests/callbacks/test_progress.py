"""What a training prints: a line a validation, a table at its end, a plain sentence."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from vidpred.batch import Evaluation
from vidpred.callbacks import Curves, FrameQuality, TrainingBar, TrainingProgress
from vidpred.callbacks.progress import comparison_sentence
from vidpred.callbacks.quality_results import QualityResults
from vidpred.loggers import RunCSVLogger

pytestmark = pytest.mark.filterwarnings("ignore:The '.*' does not have many workers")


class Scaled(LightningModule):
    """Predicts the last frame times a factor: 1 is copying, less is worse."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        self.batches_seen = 0

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.batches_seen += 1
        self.log_dict({"train/loss_g": torch.tensor(0.25), "step": float(self.batches_seen)})
        return self.factor * 0 * batch.mean()

    def validation_step(self, batch: Tensor, batch_idx: int) -> Evaluation:
        context, target = batch[:, :3], batch[:, 3:]
        pred = (context[:, -1:] * self.factor).expand_as(target)
        return {"context": context, "target": target, "pred": pred}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def clips(count: int) -> Tensor:
    """A bright square that moves by two pixels a frame."""
    frames = torch.full((count, 5, 3, 24, 24), 0.3)
    for t in range(5):
        frames[:, t, :, 6:14, 2 * t : 2 * t + 8] = 0.9
    return frames


def fit(folder: Path, factor: float, epochs: int = 2, **options: Any) -> TrainingProgress:
    progress = TrainingProgress()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[FrameQuality(), progress, Curves()],
        logger=RunCSVLogger(folder),
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        **options,
    )
    load: Any = DataLoader(clips(4), batch_size=2)  # type: ignore[arg-type]
    trainer.fit(Scaled(factor), load, load)
    return progress


def test_a_line_a_validation_also_into_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(tmp_path, 0.8)
    said = capsys.readouterr()
    assert said.out == ""
    lines = [line for line in said.err.splitlines() if line.startswith("epoch ")]
    assert len(lines) == 2
    assert lines[0].startswith("epoch 1/2, batch 2 | loss_g 0.25 | PSNR t+1 (moving area) ")
    assert "copy last" in lines[0]
    assert "best " in lines[1]
    assert " at batch 2" in lines[1]  # the first of two alike
    assert lines[1].endswith("0:00 left")


def test_the_end_says_plainly_that_the_model_is_worse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(tmp_path, 0.5)
    said = capsys.readouterr().err
    assert "copy last" in said  # the table
    assert "The model is worse than copying the last frame" in said.splitlines()[-1]


def test_an_epoch_without_validation_gets_a_line_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(tmp_path, 0.8, check_val_every_n_epoch=2)
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("epoch ")]
    assert len(lines) == 2
    assert "PSNR" not in lines[0]
    assert "PSNR" in lines[1]


def test_curves_are_in_the_folder(tmp_path: Path) -> None:
    fit(tmp_path, 0.8)
    for name in ("curves.png", "curves.html", "metrics_tidy.csv"):
        assert (tmp_path / name).stat().st_size > 100


def test_the_best_validation_survives_a_resume(tmp_path: Path) -> None:
    progress = fit(tmp_path, 0.8)
    again = TrainingProgress()
    again.load_state_dict(progress.state_dict())
    assert again.best == progress.best is not None


def results(model: float | None, copied: float | None) -> QualityResults:
    def score(value: float | None) -> Any:
        return {"whole": {"psnr": {"mean": value, "per_frame": [value], "clips": [1]}}}

    whole: Any = {"scores": {"model": score(model), "copy_last": score(copied)}}
    found: QualityResults = whole
    return found


def test_the_sentence_compares_the_first_frame() -> None:
    better = comparison_sentence(results(30.0, 28.5))
    assert better.startswith("The model is 1.50 dB better than copying the last frame")
    assert "28.00 dB against 30.00 dB" in comparison_sentence(results(28.0, 30.0))
    assert "at a lower learning rate; see curves.html" in comparison_sentence(results(28.0, 30.0))
    assert "not compared with copying" in comparison_sentence(results(None, None))
    resting: Any = {
        name: {area: {"psnr": {"per_frame": [value]}} for area, value in areas.items()}
        for name, areas in {
            "model": {"whole": 25.8, "moving": None},
            "copy_last": {"whole": 100.0, "moving": None},
        }.items()
    }
    said = comparison_sentence({"scores": resting})  # type: ignore[typeddict-item] # all it reads
    assert "Nothing moves in the validation clips, where a copy is right: check the data" in said


def test_the_bar_shows_losses_and_psnr_in_place_of_a_version(tmp_path: Path) -> None:
    trainer = Trainer(accelerator="cpu", logger=RunCSVLogger(tmp_path), enable_checkpointing=False)
    trainer._logger_connector._callback_metrics.update(  # as after a validation
        {"train/loss_g": torch.tensor(0.1234), "val/selection": torch.tensor(21.5)}
    )
    shown = TrainingBar().get_metrics(trainer, Scaled(1.0))
    assert shown == {"loss_g": "0.123", "PSNR t+1": "21.50 dB"}


def test_the_bar_counts_epochs_from_1(tmp_path: Path) -> None:
    bar = TrainingBar()
    for epochs, said in ((6, "Epoch 1/6"), (-1, "Epoch 1")):
        trainer = Trainer(accelerator="cpu", max_epochs=epochs, logger=False)
        bar.setup(trainer, Scaled(1.0), "fit")
        assert bar._get_train_description(0).strip() == said


def test_there_is_no_bar_where_the_standard_error_is_a_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bar = TrainingBar(console_kwargs={"stderr": True})
    assert bar.is_disabled
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        callbacks=[bar],
        logger=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        default_root_dir=tmp_path,
    )
    load: Any = DataLoader(clips(4), batch_size=2)  # type: ignore[arg-type]
    trainer.fit(Scaled(1.0), load, load)
    assert "Epoch" not in capfd.readouterr().err
    assert TrainingBar(console_kwargs={"stderr": True, "force_terminal": True}).is_enabled
