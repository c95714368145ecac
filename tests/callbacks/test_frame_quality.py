"""`FrameQuality` in a real trainer: names, values, files, what it refuses."""

import csv
import io
import json
import logging
import math
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer, seed_everything
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from rich.console import Console
from torch import Tensor, nn
from torch.utils.data import DataLoader

from vidpred.batch import Evaluation
from vidpred.callbacks import FrameQuality, quality_table
from vidpred.files import write_json
from vidpred.metrics import psnr, sharpness, ssim
from vidpred.ops import frame_difference_mask
from vidpred.provenance import git_commit

HORIZON = 2


def moving_clips(count: int, past: int = 3, size: int = 20) -> Tensor:
    """A bright square that runs to the right over a textured background, 2 pixels a frame."""
    generator = torch.Generator().manual_seed(count)
    frames = 0.4 * torch.rand(count, 1, 3, size, size, generator=generator)
    frames = frames.repeat(1, past + HORIZON, 1, 1, 1)
    for t in range(past + HORIZON):
        frames[:, t, :, 6:14, 2 * t : 2 * t + 8] = 0.9
    return frames


class Darker(LightningModule):
    """Predicts the last frame times a learned factor; counts its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.9))
        self.batches_seen = 0

    def step(self, frames: Tensor) -> Evaluation:
        context, target = frames[:, :-HORIZON], frames[:, -HORIZON:]
        pred = (context[:, -1:] * self.factor).clamp(0, 1).expand_as(target)
        return {"context": context, "target": target, "pred": pred}

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        evaluation = self.step(batch)
        self.batches_seen += 10  # unlike Lightning's own counter
        self.log("step", float(self.batches_seen))
        return (evaluation["pred"] - evaluation["target"]).square().mean()

    def validation_step(self, batch: Tensor, batch_idx: int) -> Evaluation:
        return self.step(batch)

    def test_step(self, batch: Tensor, batch_idx: int) -> Evaluation:
        return self.step(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


# Workers would cost more than they bring for a dozen tiny clips.
pytestmark = pytest.mark.filterwarnings("ignore:The '.*' does not have many workers")


def loader(frames: Tensor, batch_size: int = 2) -> Any:
    return DataLoader(frames, batch_size=batch_size)  # type: ignore[arg-type]


def make_trainer(folder: Path, *callbacks: Any, **options: Any) -> Trainer:
    return Trainer(
        accelerator="cpu",
        callbacks=list(callbacks),
        logger=CSVLogger(folder, name="", version=""),
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        **options,
    )


def expected(frames: Tensor, threshold: float) -> dict[str, Tensor]:
    """Scores per clip and frame by the functions alone."""
    context, target = frames[:, :-HORIZON], frames[:, -HORIZON:]
    mask = frame_difference_mask(frames, HORIZON, threshold)
    scores = {}
    for suffix, pred in (
        ("", (context[:, -1:] * 0.9).expand_as(target)),
        ("_copy_last", context[:, -1:].expand_as(target)),
    ):
        for name, metric in (("psnr", psnr), ("ssim", ssim), ("sharpness", sharpness)):
            scores[f"{name}{suffix}"] = metric(pred, target, data_range=1.0)
            scores[f"{name}_moving{suffix}"] = metric(pred, target, data_range=1.0, mask=mask)
    return scores


def test_test_logs_the_mean_over_clips_of_every_score(tmp_path: Path) -> None:
    frames = moving_clips(5)
    trainer = make_trainer(tmp_path, FrameQuality())
    (logged,) = trainer.test(Darker(), loader(frames), verbose=False)
    scores = expected(frames, 0.04)
    for name, values in scores.items():
        per_frame = values.mean(dim=0)
        assert logged[f"test/{name}"] == pytest.approx(per_frame.mean().item(), abs=1e-4)
        for t in range(HORIZON):
            key = f"test/{name}_t+{t + 1:02d}"
            assert logged[key] == pytest.approx(per_frame[t].item(), abs=1e-4)
    assert logged["test/clips"] == 5
    assert logged["test/selection"] == logged["test/psnr_moving_t+01"]
    # Three metrics, two areas, two predictors; a mean and two frames each; count, selection, axis.
    assert len(logged) == 3 * 2 * 2 * 3 + 3


def test_validation_can_be_monitored_and_leaves_out_the_sanity_check(tmp_path: Path) -> None:
    quality = FrameQuality()
    checkpoint = ModelCheckpoint(tmp_path, monitor="val/psnr_moving_t+01", mode="max")
    trainer = make_trainer(
        tmp_path,
        quality,
        checkpoint,
        max_epochs=2,
        num_sanity_val_steps=2,
        default_root_dir=tmp_path,
    )
    trainer.fit(Darker(), loader(moving_clips(4)), loader(moving_clips(3)))
    assert trainer.callback_metrics["val/clips"] == 3
    assert checkpoint.best_model_score is not None
    assert quality.results is not None
    assert quality.results["stage"] == "val"
    with (tmp_path / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["val/psnr"]]
    # Two batches an epoch, each of which counts ten: the task's own counter is the axis.
    assert [row["step"] for row in rows] == ["20", "40"]


def test_the_file_holds_what_was_logged_and_how_it_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PL_GLOBAL_SEED", "")  # restores it afterwards
    seed_everything(7)
    frames = moving_clips(3)
    quality = FrameQuality(motion_threshold=0.7)
    trainer = make_trainer(tmp_path, quality)
    model = Darker()
    model.batches_seen = 42
    trainer.test(model, loader(frames), verbose=False)

    results = json.loads((tmp_path / "test_metrics.json").read_text())
    assert results == quality.results
    assert (results["stage"], results["clips"]) == ("test", 3)
    assert (results["context_frames"], results["horizon"]) == (3, 2)
    assert results["conventions"]["motion_threshold"] == 0.7
    assert results["conventions"]["data_range"] == 1.0
    assert results["provenance"]["seed"] == 7
    assert results["provenance"]["batches_seen"] == 42
    assert results["provenance"]["torch"] == torch.__version__
    score = results["scores"]["copy_last"]["moving"]["sharpness"]
    values = expected(frames, 0.7)["sharpness_moving_copy_last"].mean(dim=0)
    assert score["per_frame"] == pytest.approx(values.tolist(), abs=1e-4)
    assert score["mean"] == pytest.approx(values.mean().item(), abs=1e-4)
    assert score["clips"] == [3, 3]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    printed = capsys.readouterr().out
    assert "copy last" in printed
    assert f"{results['scores']['model']['whole']['psnr']['per_frame'][0]:.2f}" in printed


def test_a_still_video_has_no_moving_score(tmp_path: Path) -> None:
    still = moving_clips(2)[:, :1].expand(-1, 5, -1, -1, -1).contiguous()
    trainer = make_trainer(tmp_path, FrameQuality())
    (logged,) = trainer.test(Darker(), loader(still), verbose=False)
    assert math.isnan(logged["test/psnr_moving"])
    assert logged["test/psnr_copy_last"] == 100  # identical frames: the cap
    results = json.loads((tmp_path / "test_metrics.json").read_text())
    moving = results["scores"]["model"]["moving"]["psnr"]
    assert moving == {"mean": None, "per_frame": [None, None], "clips": [0, 0]}


def test_one_context_frame_has_whole_frame_scores_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    quality = FrameQuality()
    with caplog.at_level(logging.INFO):
        for name in ("first", "second"):
            trainer = make_trainer(tmp_path / name, quality)
            (logged,) = trainer.test(Darker(), loader(moving_clips(4, past=1)), verbose=False)
    assert not [name for name in logged if "moving" in name]
    assert "test/psnr_copy_last_t+02" in logged
    assert caplog.text.count("one context frame shows no motion") == 1
    assert quality.results is not None
    assert quality.results["conventions"]["motion_mask"] is None


def test_refuses_steps_that_return_something_else(tmp_path: Path) -> None:
    class Silent(Darker):
        def test_step(self, batch: Tensor, batch_idx: int) -> Any:
            return None

    with pytest.raises(
        TypeError, match=r"returned NoneType; expected a vidpred\.batch\.Evaluation"
    ):
        make_trainer(tmp_path, FrameQuality()).test(Silent(), loader(moving_clips(2)))


@pytest.mark.parametrize("threshold", [-0.1, 1.5, math.nan])
def test_refuses_a_threshold_outside_the_scale(threshold: float) -> None:
    with pytest.raises(ValueError, match="motion_threshold is"):
        FrameQuality(motion_threshold=threshold)


@pytest.mark.parametrize("horizon", [1, 2, 8])
def test_the_table_fits_a_terminal_and_marks_the_better(horizon: int) -> None:
    def score(value: float) -> dict[str, Any]:
        per_frame = [value - t for t in range(horizon)]
        return {"mean": per_frame[0], "per_frame": per_frame, "clips": [9] * horizon}

    scores = {
        predictor: {
            area: {metric: score(value) for metric in ("psnr", "ssim", "sharpness")}
            for area in ("whole", "moving")
        }
        for predictor, value in (("model", 31.25), ("copy_last", 28.5))
    }
    results: Any = {"stage": "test", "clips": 9, "horizon": horizon, "scores": scores}
    console = Console(width=80, file=io.StringIO(), force_terminal=True)
    with console.capture() as capture:
        console.print(quality_table(results))
    text = capture.get()
    assert "\x1b[1m31.25" in text
    assert "28.50" in text
    assert "\x1b[1m28.50" not in text
    assert "…" not in text


def test_a_commit_is_named_for_a_checkout_alone(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert git_commit(package) is None

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        done = subprocess.run(
            ["git", *identity, "-C", str(tmp_path), *arguments],
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    git("init")
    (tmp_path / "other.txt").write_text("")
    git("add", "other.txt")
    git("commit", "-m", "another project")
    assert git_commit(package) is None  # installed inside somebody else's checkout
    git("add", "package")
    git("commit", "-m", "ours")
    commit = git("rev-parse", "HEAD")
    assert git_commit(package) == commit
    (package / "__init__.py").write_text("changed = True")
    assert git_commit(package) == f"{commit}-dirty"


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "results.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": math.nan})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(path.parent.iterdir()) == [path]
