"""The trainer of the command line: its folder, and the numbers that it refuses."""

import typing
from pathlib import Path
from typing import Optional, Union

import pytest
from pytorch_lightning.callbacks import LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.cli import LightningArgumentParser
from pytorch_lightning.loggers import CSVLogger

from vidpred.errors import SettingError
from vidpred.runs.checkpoints import RunCheckpoints
from vidpred.runs.run_trainer import RunTrainer, warn_of_lost_callbacks


def trainer(folder: Path, **options: object) -> RunTrainer:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    return RunTrainer(default_root_dir=folder, **{**quiet, **options})


def test_a_run_has_one_folder_whatever_its_loggers(tmp_path: Path) -> None:
    best, own = ModelCheckpoint(), ModelCheckpoint(dirpath=tmp_path / "mine", monitor="x")
    logger = CSVLogger(tmp_path / "elsewhere")
    made = trainer(tmp_path / "run", logger=logger, callbacks=[best, own])
    assert Path(made.log_dir) == tmp_path / "run"
    assert Path(str(best.dirpath)) == tmp_path / "run" / "checkpoints"
    assert Path(str(own.dirpath)) == tmp_path / "mine"


def test_one_batch_is_not_all_of_them() -> None:
    # As in a process that has met these types in the other order, which `typing` then keeps.
    for forget in typing._cleanups:  # type: ignore[attr-defined]
        forget()
    assert str(Optional[Union[float, int, None]]).startswith("typing.Union[float")  # noqa: UP007, UP045
    parser = LightningArgumentParser()
    parser.add_class_arguments(RunTrainer, "trainer", skip={"callbacks", "logger"})
    for stage in ("train", "val", "test", "predict"):
        for given in ("1", "1.0", "0.5"):
            options = parser.parse_args([f"--trainer.limit_{stage}_batches", given]).trainer
            assert str(options[f"limit_{stage}_batches"]) == given


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("accumulate_grad_batches", -1, "is -1; expected at least 1"),
        ("accumulate_grad_batches", 0, "is 0; expected at least 1"),
        ("check_val_every_n_epoch", 0, "is 0; expected at least 1"),
        ("gradient_clip_val", -0.5, r"is -0\.5; expected at least 0"),
        ("gradient_clip_val", float("nan"), "is nan; expected at least 0"),
        ("val_check_interval", 0, "is 0; expected a number of batches"),
        ("val_check_interval", -1.0, r"is -1\.0; expected a number of batches"),
    ],
)
def test_numbers_without_sense_are_refused(
    tmp_path: Path, option: str, value: float, said: str
) -> None:
    with pytest.raises(SettingError, match=rf"trainer\.{option} {said}"):
        trainer(tmp_path, **{option: value})


@pytest.mark.parametrize("strategy", ["ddp_spawn", "ddp_fork"])
def test_copies_of_the_process_are_refused(tmp_path: Path, strategy: str) -> None:
    with pytest.raises(SettingError, match=rf"trainer\.strategy is {strategy}, .* expected ddp,"):
        trainer(tmp_path, strategy=strategy, devices=2)


def test_what_replaced_callbacks_lose_is_said(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    warn_of_lost_callbacks(trainer(tmp_path, callbacks=[RunCheckpoints()]))
    assert not [w for w in recwarn if "replaces those of vidpred" in str(w.message)]
    with pytest.warns(UserWarning, match=r"replaces those of vidpred: .* trainer\.callbacks\+"):
        warn_of_lost_callbacks(trainer(tmp_path, callbacks=[LearningRateMonitor()]))
