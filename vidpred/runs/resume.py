"""What it takes, beyond weights and optimizers, to resume as if a run had never stopped.

Lightning's own restart is made for checkpoints that are saved at certain moments, and at others it
repeats a validation, leaves out a row of the log or counts an epoch twice. Here all checkpoints are
of one moment: between two batches, or before a validation that is due.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.utilities import rank_zero_info
from torch import Tensor

from vidpred.runs.resumed_validations import (
    NOT_STOPPED,
    Plain,
    end_of_run,
    forget_the_best,
    keep_copy,
    keep_the_best,
    same_validation,
)

RESUME_KEY = "vidpred_resume"
"""Entry of a checkpoint that holds what is saved here."""

COUNTED_BY_EPOCH = ("scheduler_progress", "automatic_optimization.optim_progress")
"""Of Lightning's training loop: what it sets to zero when an epoch begins."""


@runtime_checkable
class ResumableLogger(Protocol):
    """A logger that resumes where a checkpoint left it, as those of `vidpred.loggers` do."""

    def state_dict(self) -> Plain:
        """Say how far it is, in plain values."""

    def load_state_dict(self, state_dict: Plain) -> None:
        """Forget what was logged after that."""


class ResumeState:
    """The random states before each batch, what was half done, and where the loops were.

    A task holds one and notifies it of batches and validations.
    """

    def __init__(self) -> None:
        self._loaded: Plain = {}
        self._before: tuple[int, RandomStates] | None = None
        self._validation_due = False
        self._ended: str | None = None
        self._of_other_clips: list[Path] = []

    def begin_batch(self, task: pl.LightningModule) -> None:
        """Take notice that a training batch is there, untouched; finish a resume."""
        trainer = task.trainer
        if loaded := self._loaded:
            self._restore_randomness(trainer)
            self._loaded = {}
            _restore_gradients(task, _own_gradients(trainer, loaded["gradients"]))
            # By it Lightning decides which batches are logged; its restart may count one twice.
            trainer.fit_loop.epoch_loop._batches_that_stepped = loaded["batches_stepped"]
        self._remember(trainer)

    def begin_validation(self, task: pl.LightningModule) -> None:
        """Take notice that a validation begins."""
        if not task.trainer.sanity_checking:
            self._restore_randomness(task.trainer)
        self._remember(task.trainer)
        self._validation_due = True

    def end_validation(self) -> None:
        """Take notice that a validation is done."""
        self._validation_due = False
        self._before = None

    def save(self, task: pl.LightningModule, checkpoint: Plain) -> None:
        """Add all this to a checkpoint, and put its loops between two batches."""
        trainer = task.trainer
        loop = trainer.fit_loop.epoch_loop
        progress = loop.batch_progress.state_dict()
        done = progress["total"]["processed"]
        begun_at, states = self._before or (None, None)
        if states is None or begun_at != done:
            states = RandomStates.now(trainer.strategy.root_device)
        # While a validation runs, and before a batch is logged, Lightning has yet to count it.
        counting = trainer.validating or (
            progress["current"]["completed"] < progress["current"]["processed"]
        )
        checkpoint[RESUME_KEY] = {
            "random": _of_all_processes(states.plain()),
            "gradients": _of_all_processes(_half_done_gradients(task)),
            "batches_stepped": loop._batches_that_stepped
            + int(counting and not loop._should_accumulate()),
            "loggers": {
                type(logger).__name__: logger.state_dict()
                for logger in trainer.loggers
                if isinstance(logger, ResumableLogger)
            },
        }
        loops = checkpoint["loops"]["fit_loop"]
        loops.update(_progress_between_batches(trainer, self._validation_due))
        if loops["epoch_loop.batch_progress"]["current"]["ready"] == 0:
            for name in COUNTED_BY_EPOCH:
                _begin_to_count(loops[f"epoch_loop.{name}"])

    def load(self, task: pl.LightningModule, checkpoint: Plain) -> None:
        """Take what a checkpoint holds; the random states wait for the first batch."""
        self._loaded = checkpoint.get(RESUME_KEY, {})  # older checkpoints have none
        states = self._loaded.get("loggers", {})
        for logger in task.trainer.loggers:
            name = type(logger).__name__
            if isinstance(logger, ResumableLogger) and name in states:
                logger.load_state_dict(states[name])
        comparable = same_validation(task.trainer, checkpoint)
        for callback in task.trainer.callbacks:  # type: ignore[attr-defined]  # set by a function
            state = checkpoint.get("callbacks", {}).get(callback.state_key)
            if state and isinstance(callback, ModelCheckpoint):
                keep_the_best(callback, state)
                if callback.monitor is not None and not comparable:
                    self._of_other_clips += forget_the_best(callback, state)
            if state and isinstance(callback, EarlyStopping):
                if not comparable:
                    state.update(wait_count=0, best_score=callback.best_score, **NOT_STOPPED)
                self._ended = self._ended or end_of_run(callback, state)
                state["patience"] = callback.patience  # as configured, which may have been raised

    def begin_training(self, task: pl.LightningModule) -> None:
        """Keep what a resume replaces; train no further where early stopping has ended the run."""
        for path in self._of_other_clips:
            keep_copy(path)
        if self._ended:
            task.trainer.should_stop = True
            rank_zero_info(
                f"this run has ended: {self._ended}; to train further, change EarlyStopping"
            )
        self._of_other_clips, self._ended = [], None

    def _remember(self, trainer: pl.Trainer) -> None:
        done = trainer.fit_loop.epoch_loop.batch_progress.state_dict()["total"]["processed"]
        self._before = (done, RandomStates.now(trainer.strategy.root_device))

    def _restore_randomness(self, trainer: pl.Trainer) -> None:
        states = self._loaded.pop("random", [])
        if len(states) == trainer.world_size:
            set_random_states(trainer.strategy.root_device, states[trainer.global_rank])


class RandomStates(NamedTuple):
    """The states of all random sources of a process, as they give them: taken at every batch."""

    python: tuple[Any, ...]
    numpy: tuple[Any, ...]
    cpu: Tensor
    device: Tensor | None

    @classmethod
    def now(cls, device: torch.device) -> "RandomStates":
        """Take the states, of this device too."""
        of_device = None
        if device.type != "cpu":
            of_device = torch.get_device_module(device).get_rng_state(device)
        state = np.random.get_state(legacy=True)
        return cls(random.getstate(), tuple(state), torch.get_rng_state(), of_device)

    def plain(self) -> Plain:
        """Give them as tensors and plain values, which is all that a checkpoint may hold."""
        version, numbers, gauss = self.python
        name, keys, *rest = self.numpy
        return {
            "python": [version, torch.tensor(numbers, dtype=torch.int64), gauss],
            "numpy": [str(name), torch.from_numpy(keys.astype(np.int64)), *map(float, rest)],
            "torch": self.cpu,
            "device": self.device,
        }


def set_random_states(device: torch.device, states: Plain) -> None:
    """Put back what `RandomStates.plain` gave; a device that had none there keeps its own."""
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers.tolist()), gauss))
    name, keys, position, has_gauss, cached = states["numpy"]
    key = keys.numpy().astype(np.uint32)
    np.random.set_state((name, key, int(position), int(has_gauss), cached))
    torch.set_rng_state(states["torch"].cpu())
    if device.type != "cpu" and states["device"] is not None:
        torch.get_device_module(device).set_rng_state(states["device"].cpu(), device)


def _of_all_processes(states: Any) -> list[Any]:
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [states]
    gathered: list[Any] = [{} for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather_object(gathered, states)
    return gathered


def _half_done_gradients(task: pl.LightningModule) -> dict[str, Tensor]:
    """Give what was accumulated for a step that is still to come."""
    trainer = task.trainer
    done = trainer.fit_loop.epoch_loop.batch_progress.state_dict()["current"]["processed"]
    if task.automatic_optimization and done % trainer.accumulate_grad_batches == 0:
        return {}  # Lightning clears them just before it needs them
    return {
        name: parameter.grad
        for name, parameter in task.named_parameters()
        if parameter.grad is not None
    }


def _own_gradients(
    trainer: pl.Trainer, gradients: Sequence[dict[str, Tensor]] | dict[str, Tensor]
) -> dict[str, Tensor]:
    """Give what this process had accumulated: processes exchange it at the step alone."""
    if isinstance(gradients, dict):  # of 0.1, which kept those of the first process
        return gradients
    if len(gradients) == trainer.world_size:
        return gradients[trainer.global_rank]
    # Another number of processes: each gets the mean, which is what the step makes of them.
    return {
        name: torch.stack([own[name] for own in gradients]).mean(0)
        for name in gradients[0]
        if all(name in own for own in gradients)
    }


def _restore_gradients(task: pl.LightningModule, gradients: dict[str, Tensor]) -> None:
    for name, parameter in task.named_parameters():
        if name in gradients:
            parameter.grad = gradients[name].to(parameter.device)


def _progress_between_batches(trainer: pl.Trainer, validation_due: bool) -> Plain:
    """Say what is done in the one way from which Lightning restarts rightly at any batch.

    An epoch that is over is the next one with none of its batches done.
    """
    epochs = trainer.fit_loop.epoch_progress.state_dict()["current"]
    progress = trainer.fit_loop.epoch_loop.batch_progress.state_dict()
    batches, total = progress["current"]["processed"], progress["total"]["processed"]
    last = progress["is_last_batch"] or batches >= trainer.num_training_batches
    epoch = epochs["processed"]
    if epochs["processed"] == epochs["started"]:  # at the end of an epoch, or of a part of one
        epoch, batches = (epoch, 0) if last else (epoch - 1, batches)
    return {
        "epoch_progress": _counts(epoch, begun=1),
        "epoch_loop.batch_progress": {
            "total": _counts(total)["total"],
            "current": _counts(batches)["current"],
            "is_last_batch": bool(last and batches),
        },
        # A validation of which the first batch has begun is one that Lightning runs.
        "epoch_loop.val_loop.batch_progress": {
            "total": _counts(0, begun=int(validation_due))["total"],
            "current": _counts(0)["current"],
            "is_last_batch": False,
        },
    }


def _begin_to_count(progress: Plain) -> None:
    for name, part in progress.items():
        if name == "current":
            progress[name] = dict.fromkeys(part, 0)
        elif name != "total":
            _begin_to_count(part)


def _counts(done: int, begun: int = 0) -> dict[str, dict[str, int]]:
    counts = {
        "ready": done + begun,
        "started": done + begun,
        "processed": done,
        "completed": done,
    }
    return {"total": counts, "current": dict(counts)}
