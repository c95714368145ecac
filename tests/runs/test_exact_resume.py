"""A run that is broken off and resumed gives what it would have given, to the bit."""

import contextlib
import filecmp
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from same_checkpoints import require_same
from worlds import trainer

from vidpred.batch import ClipBatch
from vidpred.callbacks import (
    FrameQuality,
    InterruptCheckpoint,
    Pictures,
    RunCheckpoints,
    WeightAverage,
)
from vidpred.data import UCF101DataModule
from vidpred.errors import CheckpointError
from vidpred.loggers import RunCSVLogger
from vidpred.losses import MultiScaleLoss
from vidpred.models import (
    DiscriminatorScale,
    GeneratorScale,
    MultiScaleDiscriminator,
    MultiScaleGenerator,
)
from vidpred.runs.checkpoint_io import SafeCheckpointIO
from vidpred.storage.checkpoint import read_checkpoint
from vidpred.tasks import AdversarialTask, NextFrameTask, ReconstructionTask

pytestmark = [
    # As in the command line: the run goes on in its own folder.
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
    pytest.mark.filterwarnings("ignore:The '.*' does not have many workers"),
    pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before"),
]

SLOW = pytest.mark.slow

BATCHES = 6
EPOCHS = 2


class PowerCut(BaseException):
    """Ends a run as SIGKILL does: nobody catches it, nothing is saved for it."""


class Cut(pl.Callback):
    """Breaks a run off after a number of batches, when they are logged and validated."""

    def __init__(self, after: int | None) -> None:
        self.after = after

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if pl_module.batches_seen == self.after:
            raise PowerCut


def adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=1e-3)


def halving(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
    return torch.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5)


class NoisyData(UCF101DataModule):
    """Draws from every random source for each training batch, as augmentation may."""

    def on_after_batch_transfer(self, batch: ClipBatch, dataloader_idx: int) -> ClipBatch:
        if not self.trainer.training:
            return batch
        noise = torch.rand(()) + random.random() + float(np.random.rand())
        return {**batch, "frames": (batch["frames"] * (0.7 + 0.1 * noise)).to(torch.uint8)}


def tiny_generator() -> MultiScaleGenerator:
    torch.manual_seed(0)
    return MultiScaleGenerator([GeneratorScale((4,), (3, 3)), GeneratorScale((4,), (3, 3))])


def adversarial() -> NextFrameTask:
    generator = tiny_generator()
    scales = [DiscriminatorScale((4,), (3,), (8,)), DiscriminatorScale((4,), (3,), (8,))]
    return AdversarialTask(
        *(generator, MultiScaleDiscriminator(scales, spectral_norm=True)),
        instance_noise=0.1,
        loss=MultiScaleLoss(gradient_difference_weight=1),
        generator_optimizer=adam,
        discriminator_optimizer=adam,
        generator_lr_scheduler=halving,
        discriminator_lr_scheduler=halving,
        generator_accumulate_batches=3,
        discriminator_accumulate_batches=2,
    )


def reconstruction() -> NextFrameTask:
    return ReconstructionTask(tiny_generator(), optimizer=adam, lr_scheduler=halving)


def standard_callbacks(every_n_batches: int) -> list[pl.Callback]:
    return [
        WeightAverage(decay=0.9, update_every_n_steps=2),
        FrameQuality(),
        Pictures(num_clips=1, every_n_validations=2),
        ModelCheckpoint(
            monitor="val/selection", mode="max", filename="best", enable_version_counter=False
        ),
        RunCheckpoints(every_n_batches=every_n_batches, keep=30),
    ]


def fit(
    folder: Path, toy_root: Path, task: NextFrameTask, cut: int | None = None, **options: Any
) -> None:
    data = NoisyData(
        *(toy_root,),
        batch_size=4,
        samples_per_epoch=4 * BATCHES,
        mixed_videos=4,
        clips_per_video=2,
        patches_per_clip=2,
        num_workers=options.pop("num_workers", 0),
        max_val_videos=2,
        seed=3,
    )
    resume = options.pop("ckpt_path", None)
    # A process that resumes has drawn other numbers before.
    seed = 5 if resume is None else 6
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)
    engine = trainer(
        **{
            "max_epochs": EPOCHS,
            "enable_checkpointing": True,
            "default_root_dir": folder,
            "logger": RunCSVLogger(folder),
            "log_every_n_steps": 3,
            "val_check_interval": 4,
            "num_sanity_val_steps": 1,
            "callbacks": [Cut(cut), *standard_callbacks(every_n_batches=1)],
            "plugins": [SafeCheckpointIO()],
            **options,
        }
    )
    with contextlib.suppress(PowerCut):
        engine.fit(task, datamodule=data, ckpt_path=resume)


def last(folder: Path) -> Path:
    return folder / "checkpoints" / "last.ckpt"


# While gradients are accumulated, behind a validation, at the beginning of an epoch, at the end.
CUTS = (4, 5, 7, 11)


@pytest.fixture
def whole(tmp_path_factory: pytest.TempPathFactory, toy_root: Path) -> Path:
    """The run that nothing happened to, made once."""
    folder = tmp_path_factory.getbasetemp() / "whole_run"
    if not folder.exists():
        fit(folder, toy_root, adversarial())
    return folder


def require_same_run(whole: Path, other: Path) -> None:
    require_same(last(whole), last(other))
    assert (other / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()


@pytest.mark.parametrize("make", [adversarial, pytest.param(reconstruction, marks=SLOW)])
def test_a_run_that_is_cut_off_again_and_again_comes_to_the_same_end(
    make: Any, tmp_path: Path, toy_root: Path
) -> None:
    options = {} if make is adversarial else {"accumulate_grad_batches": 4}
    whole, cut_off = tmp_path / "whole", tmp_path / "cut_off"
    fit(whole, toy_root, make(), **options)
    for number, cut in enumerate((*CUTS, None)):
        resume = last(cut_off) if number else None
        fit(cut_off, toy_root, make(), cut=cut, ckpt_path=resume, **options)
        if cut is not None:  # the last checkpoint is of the batch before
            assert read_checkpoint(last(cut_off))["vidpred"]["batches_seen"] == cut - 1
    require_same_run(whole, cut_off)
    assert same_files(whole / "pictures", cut_off / "pictures")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("cut", range(2, EPOCHS * BATCHES))
def test_every_batch_is_one_to_resume_at(
    cut: int, workers: int, whole: Path, tmp_path: Path, toy_root: Path
) -> None:
    fit(tmp_path, toy_root, adversarial(), cut=cut, num_workers=workers)
    fit(tmp_path, toy_root, adversarial(), ckpt_path=last(tmp_path), num_workers=workers)
    require_same_run(whole, tmp_path)


@pytest.mark.parametrize(
    "limit", [{"max_steps": 7, "max_epochs": -1}, pytest.param({"max_epochs": 1}, marks=SLOW)]
)
def test_a_run_that_ended_can_be_made_longer(
    limit: dict[str, Any], whole: Path, tmp_path: Path, toy_root: Path
) -> None:
    fit(tmp_path, toy_root, adversarial(), **limit)
    fit(tmp_path, toy_root, adversarial(), ckpt_path=last(tmp_path))
    require_same_run(whole, tmp_path)


@SLOW
def test_the_best_checkpoint_is_resumed_too(whole: Path, tmp_path: Path, toy_root: Path) -> None:
    back = tmp_path / "back"
    fit(back, toy_root, adversarial())
    best = back / "checkpoints" / "best.ckpt"
    assert read_checkpoint(best)["vidpred"]["batches_seen"] < EPOCHS * BATCHES
    shutil.copy(best, back / "best.ckpt")
    for path in (back / "checkpoints").glob("*.ckpt"):
        if path != best:
            path.unlink()
    fit(back, toy_root, adversarial(), ckpt_path=back / "best.ckpt")
    require_same_run(whole, back)


@SLOW
def test_a_folder_that_was_moved_keeps_its_best(
    whole: Path, tmp_path: Path, toy_root: Path
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    fit(before, toy_root, adversarial(), cut=9)
    before.rename(after)
    fit(after, toy_root, adversarial(), ckpt_path=last(after))
    require_same_run(whole, after)


class Disturbance(pl.Callback):
    """Something happens to a run at a batch: in its training step, or in the validation after."""

    def __init__(self, batch: int, where: str, what: Callable[[], None]) -> None:
        self.batch, self.where, self.what = batch, where, what

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        if self.where == "training" and pl_module.batches_seen == self.batch:
            self.what()

    def on_validation_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        if self.where == "validation" and pl_module.batches_seen == self.batch:
            self.what()


def fit_disturbed(
    folder: Path, toy_root: Path, batch: int, where: str, what: Callable[[], None], **options: Any
) -> None:
    callbacks = standard_callbacks(every_n_batches=4)
    disturbed = [Disturbance(batch, where, what), *callbacks, InterruptCheckpoint()]
    fit(folder, toy_root, adversarial(), callbacks=disturbed, **options)


@pytest.mark.parametrize(
    ("number", "where"),
    [
        (signal.SIGINT, "training"),
        (signal.SIGTERM, "validation"),
        (signal.SIGHUP, "training"),
        pytest.param(signal.SIGTERM, "training", marks=SLOW),
        pytest.param(signal.SIGINT, "validation", marks=SLOW),
        pytest.param(signal.SIGUSR1, "training", marks=SLOW),
        pytest.param(signal.SIGUSR1, "validation", marks=SLOW),
    ],
)
def test_a_signal_waits_for_the_end_of_the_batch(
    number: signal.Signals, where: str, whole: Path, tmp_path: Path, toy_root: Path
) -> None:
    before = signal.getsignal(number)
    batch = 10 if where == "validation" else 7
    with pytest.raises(SystemExit) as stop:
        fit_disturbed(tmp_path, toy_root, batch, where, lambda: signal.raise_signal(number))
    assert stop.value.code in (128 + number, None)  # Lightning's own at SIGTERM has none
    saved = tmp_path / "checkpoints" / "interrupted.ckpt"
    assert read_checkpoint(saved)["vidpred"]["batches_seen"] == (10 if where == "validation" else 8)
    fit(tmp_path, toy_root, adversarial(), ckpt_path=saved)
    require_same_run(whole, tmp_path)
    # Lightning may have put the handler back: it finds out that it is not needed any more.
    signal.signal(number, before)


@pytest.mark.parametrize("where", ["validation", pytest.param("training", marks=SLOW)])
def test_half_a_batch_is_nothing_to_go_on_from(
    where: str, tmp_path: Path, toy_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fault() -> None:
        raise RuntimeError("a fault")

    with caplog.at_level("INFO"), pytest.raises(RuntimeError, match="a fault"):
        fit_disturbed(tmp_path, toy_root, 10 if where == "validation" else 9, where, fault)
    folder = tmp_path / "checkpoints"
    assert not (folder / "interrupted.ckpt").exists()
    assert f"--ckpt-path {last(tmp_path)}" in caplog.text
    assert read_checkpoint(last(tmp_path))["vidpred"]["batches_seen"] == 8


@SLOW
@pytest.mark.filterwarnings("ignore:stopped within a batch, and there is no checkpoint")
def test_signals_are_given_back(tmp_path: Path, toy_root: Path) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: heard.append(number))
    try:
        fit(tmp_path, toy_root, adversarial(), callbacks=[InterruptCheckpoint()], max_epochs=1)
        signal.raise_signal(signal.SIGUSR1)

        def fault() -> None:
            raise RuntimeError("a fault")

        with pytest.raises(RuntimeError, match="a fault"):
            fit_disturbed(tmp_path / "x", toy_root, 2, "training", fault)
        signal.raise_signal(signal.SIGUSR1)
        assert heard == [signal.SIGUSR1] * 2
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_run_under_nohup_outlives_its_terminal(tmp_path: Path, toy_root: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        batch = EPOCHS * BATCHES - 1
        hang_up = partial(signal.raise_signal, signal.SIGHUP)
        fit_disturbed(tmp_path, toy_root, batch, "training", hang_up)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert read_checkpoint(last(tmp_path))["vidpred"]["batches_seen"] == EPOCHS * BATCHES


def same_files(one: Path, other: Path) -> bool:
    names = sorted(path.name for path in one.iterdir())
    return (
        names == sorted(path.name for path in other.iterdir())
        and not filecmp.cmpfiles(one, other, names, shallow=False)[1]
    )


def test_only_the_latest_are_kept(tmp_path: Path, toy_root: Path) -> None:
    saving = RunCheckpoints(every_n_batches=2, every_minutes=None, keep=2)
    fit(tmp_path, toy_root, adversarial(), max_epochs=1, callbacks=[saving])
    folder = tmp_path / "checkpoints"
    names = {path.name for path in folder.iterdir()}
    assert names == {"batch_00000004.ckpt", "batch_00000006.ckpt", "last.ckpt"}
    assert last(tmp_path).samefile(folder / "batch_00000006.ckpt")


@SLOW
def test_the_clock_saves_as_well(tmp_path: Path, toy_root: Path) -> None:
    saving = RunCheckpoints(every_minutes=1e-9, keep=30)
    fit(tmp_path, toy_root, adversarial(), max_epochs=1, callbacks=[saving])
    assert len(list((tmp_path / "checkpoints").glob("batch_*.ckpt"))) == BATCHES


def test_a_validation_leaves_accumulated_gradients_alone(tmp_path: Path, toy_root: Path) -> None:
    with_validation, without = tmp_path / "with", tmp_path / "without"
    quiet = {"callbacks": [RunCheckpoints()], "max_epochs": 1}
    fit(with_validation, toy_root, adversarial(), **quiet, val_check_interval=1)
    fit(without, toy_root, adversarial(), **quiet, limit_val_batches=0)
    a, b = (read_checkpoint(last(path))["state_dict"] for path in (with_validation, without))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_what_could_not_be_loaded_again_is_not_saved(tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    SafeCheckpointIO().save_checkpoint({"kept": torch.ones(1)}, path)
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=r"pathlib.*Path.*plain values"):
        SafeCheckpointIO().save_checkpoint({"folder": tmp_path}, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.ckpt"]


def test_the_half_of_a_file_that_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    (tmp_path / f".last.ckpt.{gone.pid}").write_bytes(b"half")
    (tmp_path / f".last.ckpt.{os.getppid()}").write_bytes(b"of a process that runs")
    SafeCheckpointIO().save_checkpoint({}, tmp_path / "x.ckpt")
    assert {p.name for p in tmp_path.iterdir()} == {"x.ckpt", f".last.ckpt.{os.getppid()}"}
