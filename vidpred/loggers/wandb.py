"""Weights & Biases without an account, without a network, and never in the way of a run."""

import logging
import os
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from jsonargparse.typing import PositiveFloat
from lightning_fabric.loggers.logger import _DummyExperiment, rank_zero_experiment
from lightning_utilities.core.rank_zero import rank_zero_only, rank_zero_warn
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import WandbLogger

from vidpred.loggers.keys import Detail, kept

if TYPE_CHECKING:
    from wandb import Run
    from wandb.sdk.lib import RunDisabled

_WandbMode = Literal["online", "offline", "disabled"]
Mode = Literal["auto", "online", "offline", "disabled"]

STEP_KEY = "trainer/global_step"
"""Horizontal axis of all charts, named as Lightning's logger does; it holds our batch counter."""

_ERROR_REPORTING = "WANDB_ERROR_REPORTING"

RECENT = 100
"""Rows that a checkpoint keeps; W&B writes at least every few seconds."""

_log = logging.getLogger(__name__)


class _Checkpoint(NamedTuple):
    path: Path
    monitor: str | None
    score: float | None


class ResilientWandbLogger(WandbLogger):
    """Log to Weights & Biases, online when the user is logged in and to a local folder when not.

    Never asks anything on the console. When W&B fails, at the start or later, this is said once and
    the run continues; keep a CSV logger next to it. The best checkpoint becomes an artifact of type
    `model` at the end of training, offline too (Lightning's own `log_model` refuses that). An
    offline run lies in `save_dir/wandb` and can be sent later with `wandb sync`.

    When the program has a W&B run already (`wandb.init()` before the trainer), that run is used;
    else each logger has a run of its own.

    Args:
        save_dir: Folder of the run; made when it does not exist.
        name: Name of the run; None lets W&B invent one.
        project: None means the environment's WANDB_PROJECT, else "vidpred".
        entity: Team or user; None means the user's default.
        group: Runs with the same group are shown together.
        tags: Labels.
        run_id: Identity of the run; give that of an earlier run to resume it. Offline its parts
            lie in several folders, which `wandb sync` joins.
        mode: "auto" follows WANDB_MODE when it is set, and else is online when an API key is found
            (WANDB_API_KEY, or what `wandb login` stored), offline when not.
        init_timeout: Seconds that W&B has to start an online run before it becomes offline.
        finish_timeout: Seconds that a server which is lost may hold the program at its end; what it
            did not get is on the disk, for `wandb sync`.
        detail: "summary" leaves out single scales and frames (about 30 charts), "all" nothing.
    """

    def __init__(
        self,
        save_dir: str | Path,
        *,
        name: str | None = None,
        project: str | None = None,
        entity: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
        run_id: str | None = None,
        mode: Mode = "auto",
        init_timeout: PositiveFloat = 30.0,
        finish_timeout: PositiveFloat = 60.0,
        detail: Detail = "summary",
    ) -> None:
        self.detail = detail
        super().__init__(
            name=name,
            save_dir=save_dir,
            project=project or os.environ.get("WANDB_PROJECT") or "vidpred",
            id=run_id,
            entity=entity,
            group=group,
            tags=tags,
            reinit="create_new",
        )
        del self._wandb_init["anonymous"]  # W&B warns of it, whatever its value
        self._is_resumed = run_id is not None
        self._recent: deque[tuple[int | None, dict[str, float]]] = deque(maxlen=RECENT)
        self._mode = mode
        self._init_timeout = init_timeout
        self._finish_timeout = finish_timeout
        self._warned = False
        self._dead = False
        self._checkpoints: dict[str, _Checkpoint] = {}
        self._logged_checkpoint: tuple[Path, int] | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Lightning's would start a run in the parent of spawned processes; ours starts in rank 0.
        return {**self.__dict__, "_experiment": None}

    @property
    @rank_zero_experiment
    def experiment(self) -> "Run | RunDisabled | _DummyExperiment":
        """The W&B run, started at the first use; a substitute that does nothing when W&B is broken.

        What is called on it directly is not protected: its errors reach the caller.
        """
        if self._experiment is None and not self._dead:
            self._experiment = self._start()
            self._dead = self._experiment is None
        return self._experiment or _DummyExperiment()

    def log_hyperparams(self, params: Any) -> None:
        """Add to the run's configuration; failures are reported once and swallowed."""
        self._attempt("the configuration", lambda: WandbLogger.log_hyperparams(self, params))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log numbers and media at a batch counter; failures are reported once and swallowed."""
        metrics = kept(metrics, self.detail)
        self._attempt("metrics", lambda: WandbLogger.log_metrics(self, metrics, step))
        numbers = {k: float(v) for k, v in metrics.items() if isinstance(v, int | float)}
        self._recent.append((step, numbers))

    @rank_zero_only
    def alert(self, title: str, text: str) -> None:
        """Notify the user by mail or message, as the account is set up; offline, once sent."""
        self._attempt("an alert", lambda: self.experiment.alert(title, text, level="WARN"))

    def state_dict(self) -> dict[str, Any]:
        """Give the identity of the run, for `run_id`, and the numbers that were logged last."""
        return {"run_id": getattr(self._experiment, "id", self._id), "recent": list(self._recent)}

    @rank_zero_only
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Log the last numbers again: a kill takes with it what W&B has not written yet."""
        for step, numbers in state_dict.get("recent", ()) if self._is_resumed else ():
            self.log_metrics(numbers, step)

    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """Remember the best checkpoint; `finalize` logs it."""
        if path := checkpoint_callback.best_model_path:
            score = checkpoint_callback.best_model_score
            self._checkpoints[checkpoint_callback.state_key] = _Checkpoint(
                Path(path), checkpoint_callback.monitor, None if score is None else score.item()
            )

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Log the best checkpoint, also of a run that was interrupted; the W&B run stays open."""
        self._attempt("the best checkpoint", self._log_best_checkpoint)

    @rank_zero_only
    def finish(self) -> None:
        """End the W&B run; without this W&B does so at exit.

        W&B completes the file of an offline run in the background, so it may lack its end for a
        moment.
        """
        run = self._experiment
        if run is not None:
            self._attempt("the end of the run", lambda: self._finish(run))

    def _finish(self, run: "Run | RunDisabled") -> None:
        folder = Path(run.dir).parent
        try:
            run.finish()
        except TimeoutError:
            rank_zero_warn(
                f"Weights & Biases did not take all of the run within {self._finish_timeout:g} s "
                f"of its end; send the rest later with: wandb sync {folder}"
            )

    def _log_best_checkpoint(self) -> None:
        if self._experiment is None or not self._checkpoints:
            return
        # A callback that monitors a metric knows a best; others only know their latest.
        best = max(self._checkpoints.values(), key=lambda c: c.monitor is not None)
        identity = (best.path, best.path.stat().st_mtime_ns)
        if identity == self._logged_checkpoint:
            return
        import wandb

        artifact = wandb.Artifact(
            f"model-{self._experiment.id}",
            type="model",
            metadata={
                "original_filename": best.path.name,
                "monitor": best.monitor,
                "score": best.score,
            },
        )
        # "immutable": no second copy of the weights outside the run's folder.
        artifact.add_file(str(best.path), name="model.ckpt", policy="immutable")
        aliases = ["latest", "best"] if best.monitor else ["latest"]
        self._experiment.log_artifact(artifact, aliases=aliases)
        self._logged_checkpoint = identity

    def _start(self) -> "Run | None":
        # W&B sends its own errors home, also those of offline runs, and waits for the answer.
        os.environ.setdefault(_ERROR_REPORTING, "false")
        try:
            import wandb

            if wandb.run is not None:
                return wandb.run
        except Exception as error:
            self._report("its import", error)
            return None
        mode = self._wish()
        if mode in ("auto", "online"):
            try:
                # W&B would ask on the console for a key that is missing.
                if _is_logged_in():
                    return self._init("online")
                if mode == "online":
                    raise RuntimeError("no API key found; run `wandb login` or set WANDB_API_KEY.")
            except Exception as error:
                self._report("the start of an online run, so it is offline", error)
        try:
            return self._init("disabled" if mode == "disabled" else "offline")
        except Exception as error:
            self._report("the start of the run", error)
            return None

    def _init(self, mode: _WandbMode) -> "Run":
        import wandb

        if mode != "online":
            os.environ[_ERROR_REPORTING] = "false"  # a program that imported W&B before us set it
        os.makedirs(self._wandb_init["dir"], exist_ok=True)  # else W&B takes the system's /tmp
        settings = wandb.Settings(
            console="off",  # progress bars are no log
            quiet=True,
            silent=mode != "online",
            init_timeout=self._init_timeout,
            finish_timeout=self._finish_timeout,
            finish_timeout_raises=True,
        )
        run: Run = wandb.init(mode=mode, settings=settings, **self._wandb_init)
        run.define_metric(STEP_KEY)
        run.define_metric("*", step_metric=STEP_KEY, step_sync=True)
        if mode == "offline":
            folder = Path(run.dir).parent
            _log.info("W&B is offline; send the run later with: wandb sync %s", folder)
        return run

    def _wish(self) -> Mode:
        if self._mode != "auto":
            return self._mode
        match os.environ.get("WANDB_MODE", ""):
            case "":
                return "auto"
            case "disabled":
                return "disabled"
            case "offline" | "dryrun":  # the second is W&B's old name
                return "offline"
            case _:
                return "online"

    def _attempt(self, what: str, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:  # whatever W&B raises: a chart is not worth a training run
            self._report(what, error)

    def _report(self, what: str, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            rank_zero_warn(
                f"Weights & Biases failed at {what}: {type(error).__name__}: {error} "
                "The run continues and other loggers are not affected; "
                "further failures of W&B are not reported."
            )


def _is_logged_in() -> bool:
    """Look for credentials where W&B does, without asking the user or the network."""
    import wandb

    return wandb.login(prompt=False, verify=False)
