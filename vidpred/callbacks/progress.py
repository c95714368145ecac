"""Progress of a training: a line a validation, a bar, and a table at its end."""

import math
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import RichProgressBar, Timer
from pytorch_lightning.trainer.states import TrainerFn
from rich.console import Console

from vidpred.callbacks.frame_quality import FrameQuality
from vidpred.callbacks.quality_results import QualityResults, quality_table
from vidpred.metrics.registry import AREA_NAMES


class TrainingProgress(Callback):
    """Print a line at each validation, or epoch without one, and a table at the end of training.

    The lines go to the standard error, also when that is a file: batches, the latest losses, PSNR
    of the first predicted frame of the model and of copying the last frame (in the moving area,
    where motion is known), the best so far and the time left. The table and the sentence below it
    say what the best validation gave.

    Attributes:
        best: Scores of the validation with the highest PSNR; None before the first.
    """

    def __init__(self) -> None:
        self.best: QualityResults | None = None
        self._begun = 0.0
        self._share_at_begin = 0.0
        self._printed_epoch = -1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._begun = time.monotonic()
        self._share_at_begin = _share_done(trainer) or 0.0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the line of a validation."""
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:
            return
        results = _results(trainer)
        if results is not None and (
            self.best is None
            or _of_other_clips(results, self.best)
            or _first(results) > _first(self.best)
        ):
            self.best = results
        self._print(trainer, pl_module, results)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the line of an epoch that had no validation."""
        if self._printed_epoch != trainer.current_epoch:
            self._print(trainer, pl_module, None)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the scores of the best validation, model and copy-last."""
        if self.best is not None and trainer.is_global_zero:
            Console(stderr=True).print(quality_table(self.best))
            print(comparison_sentence(self.best), file=sys.stderr, flush=True)

    def state_dict(self) -> dict[str, Any]:
        """Remember the best validation, which a resumed run may not reach again."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue with the best validation so far."""
        self.best = state_dict["best"]

    @rank_zero_only
    def _print(
        self, trainer: Trainer, pl_module: LightningModule, results: QualityResults | None
    ) -> None:
        self._printed_epoch = trainer.current_epoch
        line = progress_line(
            epoch=trainer.current_epoch + 1,
            epochs=trainer.max_epochs,
            batches=getattr(pl_module, "batches_seen", trainer.global_step),
            metrics={name: float(value) for name, value in trainer.callback_metrics.items()},
            results=results,
            best=self.best,
            elapsed=time.monotonic() - self._begun,
            left=self._seconds_left(trainer),
        )
        print(line, file=sys.stderr, flush=True)

    def _seconds_left(self, trainer: Trainer) -> float | None:
        """Estimate the rest of the training by its pace since this process began."""
        known = []
        done = _share_done(trainer)
        if done is not None and done > self._share_at_begin:
            pace = (time.monotonic() - self._begun) / (done - self._share_at_begin)
            known.append(pace * max(0.0, 1.0 - done))
        for callback in trainer.callbacks:  # type: ignore[attr-defined]  # set by a function
            if isinstance(callback, Timer) and (rest := callback.time_remaining()) is not None:
                known.append(max(0.0, rest))
        return min(known, default=None)


def _of_other_clips(one: QualityResults, other: QualityResults) -> bool:
    """Say whether copying the last frame has other scores: a run was resumed with other clips."""
    seen = [scored["scores"]["copy_last"]["whole"]["psnr"]["per_frame"] for scored in (one, other)]
    if len(seen[0]) != len(seen[1]):
        return True
    pairs = [(a, b) for a, b in zip(*seen, strict=True) if a is not None and b is not None]
    # Another device or number of processes rounds otherwise.
    return any(not math.isclose(a, b, abs_tol=1e-3) for a, b in pairs)


def progress_line(
    *,
    epoch: int,
    epochs: int | None,
    batches: int,
    metrics: Mapping[str, float],
    results: QualityResults | None,
    best: QualityResults | None,
    elapsed: float,
    left: float | None,
) -> str:
    """Describe the state of a training in a line.

    Args:
        epoch: From 1.
        epochs: How many there will be; None or below 1 when that is open.
        batches: Training batches so far.
        metrics: Logged values by name, of which the training losses are taken.
        results: Of the validation that has just ended; None for an epoch without one.
        best: Of the best validation so far.
        elapsed: Seconds of training in this process.
        left: Seconds that remain; None when that is open.

    Example:
        >>> progress_line(epoch=2, epochs=6, batches=400, metrics={"train/loss_g": 0.01234},
        ...               results=None, best=None, elapsed=75.2, left=150)
        'epoch 2/6, batch 400 | loss_g 0.01234 | 1:15 elapsed, 2:30 left'
    """
    of = f"/{epochs}" if epochs is not None and epochs > 0 else ""
    parts = [f"epoch {epoch}{of}, batch {batches:,}"]
    losses = [f"{name} {value:.4g}" for name, value in training_losses(metrics).items()]
    if losses:
        parts.append(", ".join(losses))
    if results is not None:
        area = _area(results)
        model, copied = (_decibels(results, predictor) for predictor in ("model", "copy_last"))
        parts.append(f"PSNR t+1 ({AREA_NAMES[area]}) {model}, copy last {copied}")
        if best is not None:
            at = best["provenance"]["batches_seen"]
            parts.append(f"best {_decibels(best, 'model')}" + (f" at batch {at:,}" if at else ""))
    clock = f"{_clock(elapsed)} elapsed"
    parts.append(clock if left is None else f"{clock}, {_clock(left)} left")
    return " | ".join(parts)


def training_losses(metrics: Mapping[str, float]) -> dict[str, float]:
    """Give the losses of training by their short names, without those of single scales.

    Example:
        >>> training_losses({"train/loss_g": 1.0, "train/lp_loss_scale_2": 0.5, "val/psnr": 20.0})
        {'loss_g': 1.0}
    """
    return {
        name.removeprefix("train/"): value
        for name, value in metrics.items()
        if name.startswith("train/loss")
    }


def comparison_sentence(results: QualityResults) -> str:
    """Say in a sentence whether the model is better than copying the last frame.

    Args:
        results: Scores of a validation or test.
    """
    area = _area(results)
    model = results["scores"]["model"][area]["psnr"]["per_frame"][0]
    copied = results["scores"]["copy_last"][area]["psnr"]["per_frame"][0]
    if model is None or copied is None:
        return "Nothing moved in the validation clips, so the model is not compared with copying."
    where = f"in PSNR of the first predicted frame ({AREA_NAMES[area]})"
    numbers = f"{model:.2f} dB against {copied:.2f} dB"
    if model < copied:
        advice = "Train longer or at a lower learning rate"
        if area == "whole" and "moving" in results["scores"]["model"]:
            advice = "Nothing moves in the validation clips, where a copy is right: check the data"
        return (
            f"The model is worse than copying the last frame {where}: {numbers}. {advice}; see "
            "curves.html of the run's folder and, where it warned, health.jsonl."
        )
    gain = f"{model - copied:.2f} dB better than copying the last frame"
    return f"The model is {gain} {where}: {numbers}."


class TrainingBar(RichProgressBar):
    """A progress bar with losses and PSNR, in place of the number of a logger's version.

    Epochs count from 1, as in the lines of `TrainingProgress`. There is no bar where the output is
    no terminal: the lines are enough for a file.
    """

    @cached_property
    def _has_terminal(self) -> bool:
        return Console(**(self._console_kwargs or {})).is_terminal

    @property
    def is_enabled(self) -> bool:
        """Whether it is shown."""
        return super().is_enabled and self._has_terminal

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Give what is shown behind the bar."""
        shown = super().get_metrics(trainer, pl_module)
        shown.pop("v_num", None)
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        for name, value in training_losses(metrics).items():
            shown[name] = f"{value:.3g}"
        psnr = metrics.get("val/selection", math.nan)
        if not math.isnan(psnr):
            shown["PSNR t+1"] = f"{psnr:.2f} dB"
        return shown

    def _get_train_description(self, current_epoch: int) -> str:
        epochs = self.trainer.max_epochs
        of = f"/{epochs}" if epochs is not None and epochs > 0 else ""
        return f"Epoch {current_epoch + 1}{of}".ljust(len(self.validation_description))


def _results(trainer: Trainer) -> QualityResults | None:
    found: Sequence[object] = trainer.callbacks  # type: ignore[attr-defined]  # set by a function
    return next((each.results for each in found if isinstance(each, FrameQuality)), None)


def _area(results: QualityResults) -> str:
    scores = results["scores"]["model"]
    known = "moving" in scores and scores["moving"]["psnr"]["per_frame"][0] is not None
    return "moving" if known else "whole"


def _first(results: QualityResults) -> float:
    value = results["scores"]["model"][_area(results)]["psnr"]["per_frame"][0]
    return -math.inf if value is None else value


def _decibels(results: QualityResults, predictor: str) -> str:
    value = results["scores"][predictor][_area(results)]["psnr"]["per_frame"][0]
    return "-" if value is None else f"{value:.2f} dB"


def _share_done(trainer: Trainer) -> float | None:
    """Give the share of all training batches that is done, in [0, 1]; None when that is open."""
    shares = []
    batches = trainer.num_training_batches
    if trainer.max_epochs is not None and trainer.max_epochs > 0 and 0 < batches < math.inf:
        done = trainer.fit_loop.epoch_loop.total_batch_idx + 1
        shares.append(done / (trainer.max_epochs * batches))
    if trainer.max_steps > 0:
        shares.append(trainer.global_step / trainer.max_steps)
    return min(1.0, max(shares)) if shares else None


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
