"""Leave a checkpoint to resume from when a run ends before its time."""

import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_warn
from pytorch_lightning.callbacks import Callback, WeightAveraging
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities.exceptions import SIGTERMException

from vidpred.errors import CheckpointError, TrainingDivergedError
from vidpred.runs.checkpoints import good_checkpoints, saved_checkpoints

HANGUP = (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()
"""The terminal or the ssh connection is closed; not every system has this signal."""

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, *HANGUP)
"""Ctrl-C, the end of a job, the warning before it that SLURM can be asked for, and a hangup."""

STANDARD_ERROR = 2


class StopRequest(SystemExit):
    """A signal asked the run to stop; the exit status is that of a shell, 128 + the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


class InterruptCheckpoint(Callback):
    """Saves `checkpoints/interrupted.ckpt` in the run's folder when a run is stopped or fails.

    Ctrl-C, SIGTERM, SIGUSR1 and SIGHUP let the present batch come to its end, so that the
    checkpoint is one to resume from exactly; a second signal stops at once. SIGHUP is left alone
    where `nohup` ignores it. A validation that is cut off is repeated.
    An error in the middle of a batch leaves the checkpoints before it alone, because half a batch
    is nothing to resume from. After a loss that is not finite, `checkpoints/diverged.ckpt` is for
    looking into: the steps before may have spoilt the weights already.
    """

    def __init__(self) -> None:
        self._trained = False
        self._requested: int | None = None
        self._at_once = False
        self._process = os.getpid()
        self._given: dict[int, Any] = {}
        self._listening = False
        self._speaks = True

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Listen to signals. Before Lightning does, which then adds to it and leaves SIGUSR1."""
        if stage != "fit" or threading.current_thread() is not threading.main_thread():
            return
        self._requested, self._at_once, self._process = None, False, os.getpid()
        self._listening, self._speaks = True, trainer.is_global_zero
        for number in STOPPING:
            if number in HANGUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # the run is to outlive its terminal
            self._listen(number, self._on_signal)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Give the signals back."""
        self._listening = False
        for number, handler in self._given.items():
            signal.signal(number, handler)
        self._given = {}

    def on_sanity_check_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen before the first validation too."""
        self._answer_alone(trainer)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Hear of workers that end as well, now that they are there."""
        self._answer_alone(trainer)
        if self._listening and callable(signal.getsignal(signal.SIGCHLD)):
            self._listen(signal.SIGCHLD, self._on_worker_end)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Stop between two batches, when it was asked for."""
        asked = self._requested is not None
        if trainer.world_size > 1:  # all at the same batch; Lightning waits there for all as well
            asked = trainer.strategy.reduce_boolean_decision(asked, all=False)
        if asked:
            raise StopRequest(self._requested or signal.SIGTERM)

    def on_validation_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Stop within a validation, which may be long; several processes wait for its end."""
        if self._requested is not None and trainer.world_size == 1:
            raise StopRequest(self._requested)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Note that there is something to save."""
        self._trained = True

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Save the state of the training, and say how to resume it."""
        try:
            self._leave_checkpoint(trainer, pl_module, exception)
        finally:
            self._listening = False

    def _leave_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        if trainer.state.fn != TrainerFn.FITTING or not self._trained or trainer.sanity_checking:
            return
        for number in set(STOPPING) & self._given.keys():
            signal.signal(number, signal.SIG_IGN)  # what is saved now is not interrupted
        folder = Path(trainer.default_root_dir)  # `log_dir` asks all processes
        if isinstance(exception, TrainingDivergedError):
            path = folder / "checkpoints" / "diverged.ckpt"
            if trainer.world_size == 1 and self._save(trainer, path):
                rank_zero_info(f"saved {path} to look into; {_way_on(path.parent, exception)}")
            return
        path = folder / "checkpoints" / "interrupted.ckpt"
        if not self._is_whole(trainer, pl_module, exception) or not self._save(trainer, path):
            found = saved_checkpoints(folder / "checkpoints")
            if not found:
                rank_zero_warn("stopped within a batch, and there is no checkpoint before it")
                return
            path = found[0]
            rank_zero_info(f"stopped within a batch; the checkpoint before it is {path}")
        else:
            rank_zero_info(f"saved {path}")
        configuration = folder / "config.yaml"
        rank_zero_info(f"resume with: vidpred fit -c {configuration} --ckpt-path {path}")
        if self._requested == signal.SIGUSR1 and trainer.is_global_zero:
            _queue_again()

    def _answer_alone(self, trainer: pl.Trainer) -> None:
        """Take SIGTERM back from Lightning, where there are several processes.

        Lightning 2.6 sends a tensor to the others from within the handler, wherever this process
        happens to be; in the middle of their gradients they wait for each other indefinitely.
        """
        if self._listening and trainer.world_size > 1:
            self._listen(signal.SIGTERM, self._on_signal)

    def _listen(self, number: int, handler: Any) -> None:
        before = signal.signal(number, handler)
        self._given.setdefault(number, before)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            return  # a worker that loads data: it ends with this process
        if not self._listening:  # Lightning has put us back after a run that failed
            signal.signal(number, self._given.get(number, signal.SIG_DFL))
            signal.raise_signal(number)
            return
        if self._requested is not None:
            self._at_once = True
            raise StopRequest(number)
        self._requested = number
        if self._speaks:
            # Not through a logger: this process may be in the middle of writing to one.
            said = "stopping after this batch, with a checkpoint; once more stops at once"
            with suppress(OSError):  # the terminal may be gone
                os.write(STANDARD_ERROR, f"{signal.Signals(number).name}: {said}\n".encode())

    def _on_worker_end(self, number: int, frame: FrameType | None) -> None:
        """Let the batch come to its end when a job's end has reached the workers first."""
        try:
            self._given[number](number, frame)
        except RuntimeError as error:  # raised by torch, wherever this process happens to be
            killed = str(signal.strsignal(signal.SIGTERM)) in str(error)
            if self._requested is None and not killed:
                raise
            self._requested = self._requested or signal.SIGTERM

    def _is_whole(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> bool:
        """Say whether what is saved now is to resume from; end a validation that we broke off."""
        asked_for = isinstance(exception, StopRequest | SIGTERMException) and not self._at_once
        if trainer.world_size > 1 and not asked_for:
            return False  # the other processes are somewhere else, and to save takes all of them
        batches = trainer.fit_loop.epoch_loop.batch_progress.state_dict()["current"]
        if batches["started"] != batches["completed"]:
            return False
        averages = [c for c in trainer.callbacks if isinstance(c, WeightAveraging)]  # type: ignore[attr-defined]  # set by a function of Lightning
        if not trainer.validating or not averages:
            return True
        if not asked_for:
            return False
        for average in averages:  # has put its weights into the network, and takes them out again
            average.on_validation_epoch_end(trainer, pl_module)
        return True

    def _save(self, trainer: pl.Trainer, path: Path) -> bool:
        try:
            trainer.save_checkpoint(path, weights_only=False)
        except (OSError, CheckpointError) as error:
            # The first error is what the user must see; a second one here would hide it.
            rank_zero_warn(f"{path} could not be saved ({error})")
            return False
        return True


def _way_on(folder: Path, exception: TrainingDivergedError) -> str:
    good = next(good_checkpoints(folder, exception.well_before), None)
    if good is None:
        return "there is no good checkpoint before it: start again with a lower learning rate"
    return f"the latest good one, to resume from: --ckpt-path {good[0]}"


def _queue_again() -> None:
    """Ask SLURM for another turn, as Lightning does at this signal; the next one resumes."""
    if not SLURMEnvironment.detect():
        return
    array, task = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    job = f"{array}_{task}" if array else os.environ["SLURM_JOB_ID"]
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        rank_zero_warn(f"the job {job} could not be queued again ({error})")
    else:
        rank_zero_info(f"the job {job} is queued again")
