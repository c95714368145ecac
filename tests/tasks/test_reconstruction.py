import math
import resource
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.cli import ReduceLROnPlateau
from torch import nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import OneCycleLR, StepLR
from worlds import adversarial_task, fit, loader, moving_squares, small_networks, trainer

import vidpred
from vidpred.errors import CheckpointError, NetworkError, SettingError, TrainingDivergedError
from vidpred.losses import MultiScaleLoss
from vidpred.models import MultiScaleGenerator
from vidpred.runs.checkpoint_io import SafeCheckpointIO
from vidpred.storage.checkpoint import read_checkpoint
from vidpred.tasks import ReconstructionTask


def test_it_learns() -> None:
    generator, _ = small_networks()
    task = ReconstructionTask(generator, optimizer=partial(Adam, lr=1e-3))
    clips = moving_squares(8)
    losses = []
    for _ in range(2):
        engine = trainer(max_epochs=15, log_every_n_steps=1)
        engine.fit(task, loader(clips, 8))
        losses.append(float(engine.logged_metrics["train/loss_g"]))
    assert losses[1] < 0.5 * losses[0]
    assert task.batches_seen == 30


def test_the_trainers_accumulation_and_the_scheduler_apply() -> None:
    generator, _ = small_networks()
    task = ReconstructionTask(
        generator, optimizer=partial(SGD, lr=0.1), lr_scheduler=partial(StepLR, step_size=1)
    )
    engine = fit(task, batches=4, accumulate_grad_batches=2)
    assert engine.global_step == 2
    assert engine.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.1 * 0.1**2)


def test_a_nan_term_is_named() -> None:
    generator, _ = small_networks()
    with torch.no_grad():
        next(generator.networks[-1].parameters()).fill_(math.nan)
    with pytest.raises(TrainingDivergedError, match=r"batch 0: lp_loss at scale 1/1\. No opt"):
        fit(ReconstructionTask(generator))


def test_a_loss_without_terms_is_refused() -> None:
    with pytest.raises(ValueError, match="every weight of the loss is 0"):
        ReconstructionTask(small_networks()[0], loss=MultiScaleLoss(lp_weight=0))


@pytest.mark.parametrize("frames", [4, 6])
def test_clips_of_another_length_are_refused(frames: int) -> None:
    task = ReconstructionTask(small_networks()[0])
    with pytest.raises(ValueError, match=r"training clips have \d frames; expected 4 of context"):
        trainer().fit(task, loader(moving_squares(2, frames=frames), 2))


def test_evaluation_predicts_every_frame_after_the_context() -> None:
    generator, _ = small_networks()
    task = ReconstructionTask(generator)
    batch = next(iter(loader(moving_squares(2, frames=7, size=37), 2)))
    with torch.no_grad():
        result = task.validation_step(batch, 0)
    assert result["context"].shape == (2, 4, 3, 37, 37)
    assert result["target"].shape == result["pred"].shape == (2, 3, 3, 37, 37)
    with torch.no_grad():
        torch.testing.assert_close(result["pred"], generator(result["context"], 3))
    with pytest.raises(ValueError, match="expected more than the 4"):
        task.test_step(next(iter(loader(moving_squares(2, frames=4), 2))), 0)


@pytest.mark.parametrize(("frames", "predicted"), [(7, 3), (4, 1)])
def test_a_trainer_predicts_what_follows_the_context(
    frames: int, predicted: int, tmp_path: Path
) -> None:
    path = tmp_path / "task.ckpt"
    fit(task := ReconstructionTask(small_networks()[0])).save_checkpoint(path)
    clips = loader(moving_squares(3, frames=frames, size=37), 2)
    fresh = ReconstructionTask(small_networks()[0])
    predictions = trainer().predict(fresh, clips, ckpt_path=path)
    assert predictions is not None
    for batch, pred in zip(clips, predictions, strict=True):
        assert pred.shape == (len(batch["frames"]), predicted, 3, 37, 37)
        assert pred.dtype == torch.float32
        with torch.no_grad():
            expected = task.generator.eval()(batch["frames"][:, :4] / 255, predicted)
        torch.testing.assert_close(pred, expected)


def test_what_is_no_clip_or_too_short_is_not_predicted() -> None:
    task = ReconstructionTask(small_networks()[0])
    with pytest.raises(ValueError, match="the loader gives a list; expected a dictionary"):
        trainer().predict(task, loader([(clip["frames"], 0) for clip in moving_squares(2)], 2))
    with pytest.raises(ValueError, match="context has 3 frames; expected at least 4"):
        trainer().predict(task, loader(moving_squares(1, frames=3), 1))


def test_a_checkpoint_rebuilds_the_predictor(tmp_path: Path) -> None:
    task = adversarial_task()
    path = tmp_path / "task.ckpt"
    fit(task).save_checkpoint(path)
    predictor = vidpred.load(path)
    context = torch.rand(1, 4, 3, 20, 20)
    with torch.no_grad():
        torch.testing.assert_close(predictor(context, 2), task.generator.eval()(context, 2))
    assert not predictor.training
    assert read_checkpoint(path)["vidpred"]["batches_seen"] == 1


def test_training_goes_on_where_the_checkpoint_stands(tmp_path: Path) -> None:
    path = tmp_path / "task.ckpt"
    fit(adversarial_task(), batches=2).save_checkpoint(path)
    task = adversarial_task()
    engine = trainer(max_epochs=2, plugins=[SafeCheckpointIO()])
    engine.fit(task, loader(moving_squares(16), 8), ckpt_path=path)
    assert task.batches_seen == 4
    assert engine.global_step == 8


def test_a_checkpoint_of_another_architecture_is_refused_by_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "task.ckpt"
    fit(ReconstructionTask(small_networks()[0])).save_checkpoint(path)
    other = ReconstructionTask(MultiScaleGenerator.from_preset("small", upsampling="bilinear"))
    with pytest.raises(CheckpointError, match="upsampling is nearest there, bilinear here"):
        trainer().fit(other, loader(moving_squares(2), 2), ckpt_path=path)
    with pytest.raises(CheckpointError, match="discriminator is None there"):
        trainer().fit(adversarial_task(), loader(moving_squares(2), 2), ckpt_path=path)
    fit(adversarial_task()).save_checkpoint(path)
    without = ReconstructionTask(small_networks()[0])
    with pytest.raises(CheckpointError, match=r"discriminator is \{.*\} there, None here"):
        trainer().fit(without, loader(moving_squares(2), 2), ckpt_path=path)


def test_a_scheduler_that_waits_for_a_metric_is_refused() -> None:
    scheduler = partial(ReduceLROnPlateau, monitor="val/psnr")
    task = ReconstructionTask(small_networks()[0], lr_scheduler=scheduler)
    with pytest.raises(ValueError, match="ReduceLROnPlateau steps on a metric"):
        fit(task)


class ChangedGenerator(MultiScaleGenerator):
    """A network whose code was changed after its checkpoint: other layers, the same config()."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.added = nn.Linear(2, 3)


ChangedGenerator.__name__ = "MultiScaleGenerator"


def test_a_checkpoint_of_other_code_is_refused_by_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "task.ckpt"
    fit(ReconstructionTask(small_networks()[0])).save_checkpoint(path)
    message = (
        r"generator\.added\.weight is missing, expected floating point \(3, 2\); "
        r"generator\.added\.bias is missing, expected floating point \(3,\)\. Use the code"
    )
    other = ReconstructionTask(ChangedGenerator.from_preset("small"))
    with pytest.raises(CheckpointError, match=message):
        trainer().fit(other, loader(moving_squares(2), 2), ckpt_path=path)


class TwoGroups(ReconstructionTask):
    """Trains the last network of the pyramid at a rate of its own, as users write it."""

    def configure_optimizers(self) -> Any:
        *first, last = self.generator.networks
        groups = [
            {"params": nn.ModuleList(first).parameters(), "lr": 1e-3, "weight_decay": 0.1},
            {"params": last.parameters(), "lr": 1e-5, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups)


def test_settings_of_parameter_groups_are_kept(tmp_path: Path) -> None:
    expected = [(1e-3, 0.1), (1e-5, 0.0)]
    path = tmp_path / "task.ckpt"
    engine = fit(TwoGroups(small_networks()[0]))
    engine.save_checkpoint(path)
    resumed = trainer(max_epochs=2, plugins=[SafeCheckpointIO()])
    resumed.fit(TwoGroups(small_networks()[0]), loader(moving_squares(8), 8), ckpt_path=path)
    for optimizer in (engine.optimizers[0], resumed.optimizers[0]):
        groups = optimizer.param_groups
        assert [(group["lr"], group["weight_decay"]) for group in groups] == expected
        assert optimizer.state


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": partial(Adam, lr=-1.0)}, "model.optimizer: Invalid learning rate: -1.0"),
        (
            {"lr_scheduler": partial(OneCycleLR, max_lr=0.1)},
            "model.lr_scheduler: You must define either total_steps",
        ),
        (
            {"lr_scheduler": partial(OneCycleLR, max_lr=0.1, total_steps=3)},
            "OneCycleLR ends after 3 steps, and this training takes 4; expected no more: set",
        ),
    ],
)
def test_optimizers_and_schedulers_that_cannot_be_are_refused(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        fit(ReconstructionTask(small_networks()[0], **options), batches=4)


def test_a_schedule_may_be_longer_than_the_training() -> None:
    schedule = partial(OneCycleLR, max_lr=0.1, total_steps=5)
    fit(ReconstructionTask(small_networks()[0], lr_scheduler=schedule), batches=4)


def test_frames_that_scales_do_not_divide_are_refused() -> None:
    task = ReconstructionTask(small_networks()[0])
    with pytest.raises(SettingError, match=r"30 x 30 pixels; expected multiples of \d+: set data"):
        trainer().fit(task, loader(moving_squares(2, size=30), 2))


def test_a_lower_rate_applies_to_what_is_resumed(tmp_path: Path) -> None:
    path = tmp_path / "task.ckpt"
    generator, _ = small_networks()
    fit(ReconstructionTask(generator, optimizer=partial(SGD, lr=0.5))).save_checkpoint(path)
    task = ReconstructionTask(small_networks()[0], optimizer=partial(SGD, lr=0.001))
    engine = trainer(max_epochs=2)
    engine.fit(task, loader(moving_squares(8), 8), ckpt_path=path)
    assert engine.optimizers[0].param_groups[0]["lr"] == 0.001


def test_predictions_that_are_not_finite_stop_a_validation() -> None:
    generator, _ = small_networks()
    with torch.no_grad():
        next(generator.parameters()).fill_(math.nan)
    task = ReconstructionTask(generator)
    batch = next(iter(loader(moving_squares(2), 2)))
    with pytest.raises(NetworkError, match=r"Generator\.step gave values .* before any training"):
        task.validation_step(batch, 0)
    task.batches_seen = 5
    with pytest.raises(TrainingDivergedError, match="Lower the learning rate"):
        task.validation_step(batch, 0)


def test_a_checkpoint_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        # Not what PyTorch makes of it: "unexpected pos".
        with pytest.raises(OSError, match="File too large"):
            SafeCheckpointIO().save_checkpoint({"x": torch.zeros(1 << 16)}, tmp_path / "x.ckpt")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_is_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "kept.ckpt"
    SafeCheckpointIO().save_checkpoint({"kept": 1}, path)

    class Unwritable:
        def __reduce__(self) -> tuple[object, ...]:
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        SafeCheckpointIO().save_checkpoint({"kept": 2, "more": Unwritable()}, path)
    assert torch.load(path, weights_only=True) == {"kept": 1}
    assert list(tmp_path.iterdir()) == [path]
