"""Warnings that validations give: predictions worse than a copy, drifting colors or brightness."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from jsonargparse.typing import NonNegativeInt, PositiveInt
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from vidpred.batch import Evaluation
from vidpred.callbacks.base import EvaluationWatcher, Stage
from vidpred.diagnostics.advice import fitting
from vidpred.diagnostics.reporting import WarningReport
from vidpred.models import ScalePredictor

DRIFT = 0.02
"""Of full scale, about 5 of 255 levels: a shift of a whole clip that the eye notices."""


class PredictionSigns(NamedTuple):
    """What a validation says of the predictions, as means over its clips.

    Attributes:
        error_ratio: Mean squared error of the first predicted frame, divided by that of a copy of
            the last known frame; above 1 is worse than copying.
        brightness_drift: Mean of the last predicted frame minus that of the truth, of full scale.
        color_drift: The same of the channel that differs most from the mean of all channels; 0 for
            gray frames.
    """

    error_ratio: float
    brightness_drift: float
    color_drift: float


class PredictionHealth(EvaluationWatcher):
    """Warn when validations show that predictions are worse than copying, or that they drift.

    It looks at the predictions alone, so it serves any task. The numbers of `PredictionSigns` are
    logged under `val/health/`. A symptom of `patience` validations in a row is reported once, as
    `vidpred.callbacks.TrainingHealth` reports; when it has gone and returns, again. Of several
    processes the first one looks at its own clips.

    Args:
        patience: Validations in a row after which a symptom is reported.
        min_batches: Training batches before which no validation counts: networks that have hardly
            begun are worse than copying.
    """

    def __init__(self, *, patience: PositiveInt = 3, min_batches: NonNegativeInt = 600) -> None:
        self.patience = int(patience)
        self.min_batches = int(min_batches)
        self._sums: Tensor | None = None
        self._clips = 0
        self._lasted: dict[str, int] = {}
        self._report = WarningReport("val/health/warnings")

    def start(self, stage: Stage, trainer: Trainer) -> None:
        """Forget the clips of the last validation."""
        self._sums, self._clips = None, 0

    def watch(
        self,
        stage: Stage,
        trainer: Trainer,
        evaluation: Evaluation,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Add the clips of a batch."""
        sums = _sums(evaluation)
        self._sums = sums if self._sums is None else self._sums + sums
        self._clips += len(evaluation["target"])

    def finish(self, stage: Stage, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the numbers, and report what has lasted."""
        folder = trainer.log_dir or trainer.default_root_dir  # asks all processes
        fitting = trainer.state.fn == TrainerFn.FITTING
        if not fitting or not trainer.is_global_zero or self._sums is None:
            return
        signs = _signs(self._sums / self._clips)
        seen: int = getattr(pl_module, "batches_seen", trainer.global_step)
        for logger in trainer.loggers:
            logger.log_metrics({f"val/health/{k}": v for k, v in signs._asdict().items()}, seen)
        if seen < self.min_batches:
            return
        for name, text in self._due(signs, pl_module, getattr(trainer, "datamodule", None)):
            self._report.add(trainer, Path(folder), seen, name, text)

    def state_dict(self) -> dict[str, Any]:
        """Remember what lasts, so that a resumed run warns as it would have."""
        return {"lasted": dict(self._lasted), "reported": [list(r) for r in self._report.reported]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue watching."""
        self._lasted = dict(state_dict["lasted"])
        self._report.reported = [
            (batch, name, text) for batch, name, text in state_dict["reported"]
        ]

    def _due(self, signs: PredictionSigns, task: Any, data: Any) -> list[tuple[str, str]]:
        due = []
        for name, text in symptoms(signs, task, data).items():
            if text is None:
                self._lasted.pop(name, None)
                continue
            self._lasted[name] = self._lasted.get(name, 0) + 1
            if self._lasted[name] == self.patience:
                due.append((name, f"for {self.patience} validations {text}"))
        return due


def symptoms(signs: PredictionSigns, task: Any, data: Any = None) -> dict[str, str | None]:
    """Say by symptom what is wrong and which option to change; None where nothing is.

    Args:
        signs: Of a validation.
        task: What is trained: only its options are named.
        data: Its data module; None when it is not known.

    Example:
        >>> from vidpred.models import MultiScaleGenerator
        >>> from vidpred.tasks import ReconstructionTask
        >>> task = ReconstructionTask(MultiScaleGenerator.from_preset("small"))
        >>> found = symptoms(PredictionSigns(1.5, brightness_drift=0.0, color_drift=0.0), task)
        >>> [name for name, text in found.items() if text]
        ['worse than copying']
    """
    brightness, color = signs.brightness_drift, signs.color_drift
    by_scale = isinstance(getattr(task, "predictor", None), ScalePredictor)
    unrolled = "model.unrolled_steps" if by_scale else "model.horizon"
    slower = "lower the learning rate"
    longer = f"raise {unrolled} so that training unrolls several steps"
    found = {
        "worse than copying": (
            signs.error_ratio > 1,
            f"predictions were worse than copying the last frame ({signs.error_ratio:.2f} times "
            "its squared error at the first frame)",
            ["train longer", slower, "check that data.motion_threshold leaves patches that move"],
        ),
        "brightness drifts": (
            abs(brightness) > DRIFT,
            f"predictions were {'brighter' if brightness > 0 else 'darker'} than the truth by "
            f"{abs(brightness):.1%} of full scale at the last frame",
            [slower, longer],
        ),
        "colors drift": (
            abs(color) > DRIFT,
            f"one color of the predictions was off by {abs(color):.1%} of full scale at the last "
            "frame, beyond what all colors share",
            [slower, "lower model.adversarial_weight", longer],
        ),
    }
    return {
        name: f"{text}; {fitting(advice, task, data)}" if there else None
        for name, (there, text, advice) in found.items()
    }


def _sums(evaluation: Evaluation) -> Tensor:
    """Give sums over clips: squared errors of model and copy, then a mean difference a channel."""
    context, target, pred = (evaluation[key].float() for key in ("context", "target", "pred"))
    errors = [
        (frame - target[:, 0]).square().mean((1, 2, 3)).sum()
        for frame in (pred[:, 0], context[:, -1])
    ]
    shift = (pred[:, -1] - target[:, -1]).mean((2, 3)).sum(0)
    return torch.cat([torch.stack(errors), shift])


def _signs(means: Tensor) -> PredictionSigns:
    model, copied, *shifts = means.tolist()
    brightness = sum(shifts) / len(shifts)
    apart = max((shift - brightness for shift in shifts), key=abs)
    ratio = model / copied if copied else (1.0 if not model else float("inf"))
    return PredictionSigns(ratio, brightness, apart)
