"""Trainings that really diverge: what is kept of them, and how they go on."""

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.utils.data import DataLoader
from worlds import loader, trainer

from vidpred.callbacks import (
    DivergenceGuard,
    DivergenceRecovery,
    InterruptCheckpoint,
)
from vidpred.cli.main import main
from vidpred.errors import TrainingDivergedError
from vidpred.models import MultiScaleGenerator, Predictor
from vidpred.models.multiscale import GeneratorScale
from vidpred.storage.checkpoint import read_checkpoint
from vidpred.tasks import ReconstructionTask

JUMP = 10


def jumping(optimizer: Optimizer) -> LRScheduler:
    """A rate that is small for ten steps, and then far too large."""
    return LambdaLR(optimizer, lambda step: 1.0 if step < JUMP else 1e5)


def grey_clips(count: int) -> list[dict[str, Any]]:
    random = torch.Generator().manual_seed(1)
    return [
        {
            "frames": torch.randint(118, 138, (5, 3, 16, 16), dtype=torch.uint8, generator=random),
            "video_id": f"grey{k}",
            "start": torch.tensor(k),
        }
        for k in range(count)
    ]


def task(lr: float = 0.01, layers: int = 1, **options: Any) -> ReconstructionTask:
    generator = MultiScaleGenerator([GeneratorScale((8,) * layers, (3,) * (layers + 1))])
    return ReconstructionTask(generator, optimizer=partial(SGD, lr=lr), **options)


def fit(
    training: ReconstructionTask,
    folder: Path,
    *callbacks: Any,
    clips: Any = None,
    batches: int = 30,
    **options: Any,
) -> Any:
    engine = trainer(
        callbacks=list(callbacks),
        default_root_dir=folder,
        log_every_n_steps=1,
        enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks),
    )
    engine.fit(training, loader(clips or grey_clips(2 * batches), 2), **options)
    return engine


def test_the_batch_of_a_nan_is_kept_as_plain_data(tmp_path: Path) -> None:
    with pytest.raises(TrainingDivergedError, match="not finite at batch") as diverged:
        fit(task(lr=1e30, layers=4), tmp_path, DivergenceGuard())
    kept = torch.load(tmp_path / "checkpoints" / "diverged_batch.pt", weights_only=True)
    number = diverged.value.batch
    assert number > 0
    clips = grey_clips(60)[2 * number : 2 * number + 2]
    assert kept["video_id"] == [clip["video_id"] for clip in clips]
    assert kept["start"].tolist() == [2 * number, 2 * number + 1]
    assert torch.equal(kept["frames"], torch.stack([clip["frames"] for clip in clips]))
    assert kept["batch"] == number
    assert "lp_loss at scale" in kept["terms"]


def test_a_batch_that_is_a_view_is_kept_alone(tmp_path: Path) -> None:
    many = torch.stack([clip["frames"] for clip in grey_clips(60)])
    batches = [{"frames": many[k : k + 2]} for k in range(0, 60, 2)]
    engine = trainer(callbacks=[DivergenceGuard()], default_root_dir=tmp_path)
    with pytest.raises(TrainingDivergedError):
        engine.fit(task(lr=1e30, layers=4), DataLoader(batches, batch_size=None))
    kept = torch.load(tmp_path / "checkpoints" / "diverged_batch.pt", weights_only=True)["frames"]
    assert kept.untyped_storage().nbytes() == kept.numel()


def test_an_explosion_without_nan_stops_the_training(tmp_path: Path) -> None:
    training = task(lr_scheduler=jumping)
    with pytest.raises(TrainingDivergedError, match="times as large as usual") as diverged:
        fit(training, tmp_path, DivergenceGuard())
    error = diverged.value
    assert error.terms == "lp_loss_scale_1"
    # The step after the rate's jump is the first that is too large; then three losses in a row.
    assert JUMP <= error.well_before <= JUMP + 1
    assert error.batch == error.well_before + 2
    assert all(torch.isfinite(weight).all() for weight in training.parameters())
    assert (tmp_path / "checkpoints" / "diverged_batch.pt").exists()


class OneFactor(Predictor):
    """A network without scales that learns one number: the next frame is the last one times it."""

    def __init__(self) -> None:
        super().__init__(context_frames=4)
        self.factor = nn.Parameter(torch.tensor(0.9))

    def step(self, context: Tensor, *, condition: Any = None) -> Tensor:
        return (self.factor * context[:, -1:]).sigmoid()

    def config(self) -> dict[str, Any]:
        return {}


def test_a_loss_without_scales_is_watched_too(tmp_path: Path) -> None:
    training = ReconstructionTask(
        OneFactor(), optimizer=partial(SGD, lr=0.01), lr_scheduler=jumping
    )
    with pytest.raises(TrainingDivergedError, match="times as large as usual") as diverged:
        fit(training, tmp_path, DivergenceGuard())
    assert diverged.value.terms == "lp_loss"


def test_only_the_terms_that_are_named_are_watched(tmp_path: Path) -> None:
    training = task(lr_scheduler=jumping)
    fit(training, tmp_path, DivergenceGuard(watched=["mine"]))
    assert training.batches_seen == 30


def test_explosions_may_be_allowed(tmp_path: Path) -> None:
    training = task(lr_scheduler=jumping)
    fit(training, tmp_path, DivergenceGuard(explosion_factor=None))
    assert training.batches_seen == 30


def test_a_batch_that_is_hard_stops_nothing(tmp_path: Path) -> None:
    clips = grey_clips(60)
    for clip in clips[40:44]:  # two batches of black and white
        clip["frames"] = torch.randint(0, 2, clip["frames"].shape).mul(255).to(torch.uint8)
    training = task()
    fit(training, tmp_path, DivergenceGuard(), clips=clips)
    assert training.batches_seen == 30


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* is not empty:UserWarning")  # on purpose
def test_it_goes_back_to_a_checkpoint_from_before_and_lowers_scheduled_rates(
    tmp_path: Path,
) -> None:
    every = ModelCheckpoint(
        tmp_path / "checkpoints", filename="{step}", every_n_train_steps=1, save_top_k=-1
    )
    recovery = DivergenceRecovery(rate_factor=0.25)
    with pytest.raises(TrainingDivergedError) as diverged:
        fit(task(lr_scheduler=jumping), tmp_path, DivergenceGuard(), recovery, every)
    error = diverged.value
    assert error.resume_from is not None
    seen = read_checkpoint(error.resume_from)["vidpred"]["batches_seen"]
    assert seen == error.well_before  # later ones are there, and are finite
    assert len(list((tmp_path / "checkpoints").glob("*.ckpt"))) > seen + 1
    again = DivergenceRecovery(rate_factor=0.25)
    calm = partial(LambdaLR, lr_lambda=lambda step: 1.0)
    engine = fit(
        task(lr_scheduler=calm),
        tmp_path,
        *(DivergenceGuard(), again, every),
        batches=seen + 2,
        ckpt_path=error.resume_from,
    )
    assert engine.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.01 / 4)
    # What a resume of this resume begins from has the lower rate already.
    assert again.state_dict() == {"applied": 0.25}


def recovering(folder: Path, toy_root: Path, factor: float, *more: str) -> int:
    """Train by the command line at a rate at which nothing stays finite."""
    options = folder / "options.yaml"
    options.write_text(
        "trainer:\n  callbacks+:\n    - class_path: vidpred.callbacks.DivergenceRecovery\n"
        f"      init_args: {{max_retries: 2, rate_factor: {factor}}}\n"
    )
    return main(
        [
            *("fit", "-c", "experiment/l2.yaml", "-c", str(options), "--data.root", str(toy_root)),
            *("--run_dir", str(folder / "run"), "--wandb.enabled", "false"),
            *("--model.optimizer.init_args.lr", "1e30", "--trainer.accelerator", "cpu"),
            *("--data.batch_size", "2", "--data.samples_per_epoch", "8", "--data.num_workers", "0"),
            *("--trainer.enable_progress_bar", "false", "--trainer.max_epochs", "1", *more),
        ]
    )


def rate_of(checkpoint: Path) -> float:
    (state,) = read_checkpoint(checkpoint)["optimizer_states"]
    return float(state["param_groups"][0]["lr"])


@pytest.mark.filterwarnings("ignore:not finite at batch")
@pytest.mark.slow
def test_the_command_line_goes_on_at_lower_rates(tmp_path: Path, toy_root: Path) -> None:
    assert recovering(tmp_path, toy_root, 1e-31) == 0
    checkpoints = tmp_path / "run" / "checkpoints"
    (retry,) = json.loads((tmp_path / "run" / "recovery.json").read_text())
    assert retry["checkpoint"] == "start.ckpt"
    assert retry["problem"] == "not finite"
    assert (checkpoints / "diverged_batch.pt").exists()
    last = read_checkpoint(checkpoints / "last.ckpt")
    assert last["vidpred"]["batches_seen"] == 4
    weights: list[Tensor] = list(last["state_dict"].values())
    assert all(torch.isfinite(weight).all() for weight in weights)
    assert rate_of(checkpoints / "last.ckpt") == pytest.approx(0.1)
    # A later resume is at the lower rate as well.
    resumed = ("--ckpt_path", "last", "--trainer.max_epochs", "2")
    assert recovering(tmp_path, toy_root, 1e-31, *resumed) == 0
    assert rate_of(checkpoints / "last.ckpt") == pytest.approx(0.1)


@pytest.mark.filterwarnings("ignore:not finite at batch", "ignore:diverged after 2 retries")
@pytest.mark.slow
def test_the_command_line_gives_up_in_the_end(
    tmp_path: Path, toy_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recovering(tmp_path, toy_root, 0.9) == 2
    assert len(json.loads((tmp_path / "run" / "recovery.json").read_text())) == 2
    assert "not finite at batch" in capsys.readouterr().err


def test_the_latest_good_checkpoint_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    def lost(optimizer: Optimizer) -> LRScheduler:
        return LambdaLR(optimizer, lambda step: 1.0 if step < 5 else 1e38)

    often = ModelCheckpoint(tmp_path / "checkpoints", every_n_train_steps=1, save_top_k=-1)
    with pytest.raises(TrainingDivergedError):
        fit(task(layers=4, lr_scheduler=lost), tmp_path, often, InterruptCheckpoint())
    (path,) = re.findall(r"latest good one, to resume from: --ckpt-path (\S+)", caplog.text)
    weights: list[Tensor] = list(read_checkpoint(path)["state_dict"].values())
    assert all(torch.isfinite(weight).all() for weight in weights)


def test_without_a_checkpoint_a_new_start_is_advised(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with pytest.raises(TrainingDivergedError, match="Lower the learning rate"):
        fit(task(lr=1e30, layers=4), tmp_path, InterruptCheckpoint())
    assert "no good checkpoint before it: start again with a lower learning rate" in caplog.text


def test_refuses_numbers_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match=r"explosion_factor is 0\.5"):
        DivergenceGuard(explosion_factor=0.5)
    with pytest.raises(ValueError, match=r"rate_factor is 1\.0"):
        DivergenceRecovery(rate_factor=1.0)
