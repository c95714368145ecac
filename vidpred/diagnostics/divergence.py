"""A training that leaves all measure is stopped, and what it was shown is kept."""

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from jsonargparse.typing import PositiveFloat, PositiveInt
from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_warn
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from vidpred.errors import TrainingDivergedError
from vidpred.files import replacing
from vidpred.ops.checks import require_positive

BATCH_FILE = "diverged_batch.pt"

KEPT_BATCHES = 3
"""On a GPU it is known a batch late that a loss was not finite."""

MEDIAN_OF = 50
"""Values that say what is usual."""

FEWEST = 5
"""Values without which nothing is usual yet."""

WATCHED = (
    "lp_loss",
    "gradient_difference_loss",
    "laplacian_pyramid_loss",
    "l1",
    "denoising",
    "nats_per_frame",
)
"""Terms that compare predictions with the truth.

Those of two networks against each other may grow a hundredfold when one of them wins, and fall
again; so may the KL divergence of a latent that is used for the first time.
"""


class DivergenceGuard(Callback):
    """Stop a training whose losses explode, and keep the batch at which a training diverged.

    At NaN or infinity the task stops itself. A prediction that is bounded, as tanh bounds it, can
    be lost without either: so the logged losses against the true frames, of several scales that of
    the full size, are compared with their running median, every `log_every_n_steps` batches of the
    trainer, when they are read anyway.

    The batch goes to `checkpoints/diverged_batch.pt` in the run's folder, next to `diverged.ckpt`:
    `torch.load(path, weights_only=True)` gives `batch` (its number), `terms`, `problem` and the
    entries of `vidpred.batch.ClipBatch`. Of an explosion it is the last of the batches by which it
    was found.

    Args:
        explosion_factor: A loss this many times its running median has exploded; None never stops.
        patience: Logged values in a row that are so.
        watched: Names of the terms that are compared; give those of your own loss. Terms that a
            task does not have are left out, and so are values while their median is not above 0.

    Raises:
        TrainingDivergedError: When a loss has exploded.
    """

    def __init__(
        self,
        *,
        explosion_factor: PositiveFloat | None = 10.0,
        patience: PositiveInt = 3,
        watched: Sequence[str] = WATCHED,
    ) -> None:
        if explosion_factor is not None and not explosion_factor > 1:
            raise ValueError(f"explosion_factor is {explosion_factor}; expected above 1, or null")
        require_positive("patience", patience)
        self.explosion_factor = explosion_factor
        self.patience = int(patience)
        self.watched = tuple(watched)
        self._batches: deque[tuple[int, Any]] = deque(maxlen=KEPT_BATCHES)
        self._usual: dict[str, list[float]] = {}
        self._above: dict[str, int] = {}
        self._well_until = 0
        self._folder = Path()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note where the run is: later one process may be alone."""
        self._folder = Path(trainer.log_dir or trainer.default_root_dir)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Hold on to the batch."""
        self._batches.append((_number(pl_module), batch))

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Compare the losses with what is usual, when they have been logged."""
        total = trainer.fit_loop.epoch_loop.total_batch_idx + 1
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]  # set by a function
        if self.explosion_factor is None or not every or total % every:
            return
        logged = trainer.callback_metrics
        seen = _number(pl_module)
        names = [f"train/{term}{scale}" for term in self.watched for scale in ("_scale_1", "")]
        times = {
            name.removeprefix("train/"): self._times_usual(name, float(logged[name]))
            for name in names
            if name in logged
        }
        if not any(self._above.values()):
            self._well_until = seen
        exploded = [n for n in times if self._above[f"train/{n}"] >= self.patience]
        if exploded:
            largest = max(times[name] for name in exploded)
            raise TrainingDivergedError(
                exploded, seen - 1, f"{largest:.0f} times as large as usual", self._well_until
            )

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Keep the batch at which the training diverged."""
        if trainer.state.fn != TrainerFn.FITTING or not self._batches or trainer.validating:
            return
        if not isinstance(exception, TrainingDivergedError):
            return
        _, latest = self._batches[-1]
        batch = dict(self._batches).get(exception.batch, latest)
        self._save(exception, batch if isinstance(batch, dict) else {"data": batch})

    def state_dict(self) -> dict[str, Any]:
        """Remember what is usual."""
        return {
            "usual": {name: list(values) for name, values in self._usual.items()},
            "above": dict(self._above),
            "well_until": self._well_until,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what was seen."""
        self._usual = {name: list(values) for name, values in state_dict["usual"].items()}
        self._above = dict(state_dict["above"])
        self._well_until = state_dict["well_until"]

    def _times_usual(self, name: str, value: float) -> float:
        """Take in a value, and count how long it has been too large; 0 while nothing is usual."""
        usual = self._usual.setdefault(name, [])
        middle = median(usual) if len(usual) >= FEWEST else 0.0
        times = value / middle if middle > 0 else 0.0
        if self.explosion_factor is not None and times > self.explosion_factor:
            self._above[name] = self._above.get(name, 0) + 1
        else:
            self._above[name] = 0
            usual.append(value)
            del usual[:-MEDIAN_OF]
        return times

    def _save(self, exception: TrainingDivergedError, batch: dict[str, Any]) -> None:
        content = {
            # A batch may be a view of many, and what is saved is all that it looks at.
            **{k: v.cpu().clone() if isinstance(v, Tensor) else v for k, v in batch.items()},
            "batch": exception.batch,
            "terms": exception.terms,
            "problem": exception.problem,
        }
        path = self._folder / "checkpoints" / BATCH_FILE
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                torch.save(content, temporary)
        except OSError as error:
            rank_zero_warn(f"{path} could not be saved ({error})")
            return
        rank_zero_info(f"saved the batch at which it happened: {path}")


def _number(pl_module: LightningModule) -> int:
    return int(getattr(pl_module, "batches_seen", pl_module.global_step))
