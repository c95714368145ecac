"""Says while a training runs that it has gone wrong, how that shows and what to change."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonargparse.typing import PositiveInt
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from vidpred.batch import ClipBatch
from vidpred.diagnostics.advice import fitting, predictor_name
from vidpred.diagnostics.probing import (
    DiscriminatorTraining,
    ObjectiveTraining,
    discriminator_objective,
    has_frames,
    scale_networks,
    some_clips,
    trainable,
    undisturbed,
)
from vidpred.diagnostics.reporting import WarningReport
from vidpred.diagnostics.signs import (
    Signs,
    difference_of_draws,
    discriminator_statistics,
    gradient_norms_and_cosines,
    read_signs,
    resemblance,
)
from vidpred.diagnostics.symptoms import SYMPTOMS, Symptom
from vidpred.losses import AdversarialLoss, GeneratorObjective, PredictionObjective
from vidpred.models import Predictor
from vidpred.models.given_conditions import condition_of
from vidpred.ops import to_unit
from vidpred.ops.checks import require_positive
from vidpred.plain import scale_name


class TrainingHealth(Callback):
    """Measure now and then how the networks of any task fare, and warn when they do not.

    Before every n-th batch, on some of its clips, which neither network has trained on yet. In
    between nothing is computed and no host waits for a device. Logged under `train/health/`, with
    scale in {scale_8, ..., scale_1}: `real_accuracy`, `fake_accuracy`, `margin` and `saturation` of
    the discriminator by scale (`vidpred.diagnostics.signs.discriminator_statistics`),
    `gradient_norm_<term>` by scale and `gradient_cosine_<term>_<term>` in the generator
    (`vidpred.diagnostics.signs.gradient_norms_and_cosines`), `motion_ratio`,
    `gain_over_copy`, `diversity` and `edge_strength` of the predictions (`resemblance`), `kl`, the
    divergence of latent variables in nats a frame, and `draw_difference` of futures that are
    trained on (`difference_of_draws`). What a task does not have is left out.

    What is looked for is `vidpred.diagnostics.symptoms.SYMPTOMS`. A symptom that lasts is reported
    once: as a warning, as a line of `health.jsonl` in the run's folder (batch, symptom, text), and
    to W&B as an alert and in the table `train/health/warnings`. When it has gone and comes again,
    it is reported again.

    Args:
        every_n_batches: Training batches from check to check; at 200 it costs about 1 % of the
            time.
        patience: Checks in a row after which a symptom is reported; some take several times as many
            (`Symptom.slowness`).
        num_clips: Clips that are looked at; at most the batch.

    Attributes:
        signs: What the last check found; None before.
    """

    def __init__(
        self,
        *,
        every_n_batches: PositiveInt = 200,
        patience: PositiveInt = 3,
        num_clips: PositiveInt = 8,
    ) -> None:
        for name, value in (
            ("every_n_batches", every_n_batches),
            ("patience", patience),
            ("num_clips", num_clips),
        ):
            require_positive(name, value)
        self.every_n_batches = int(every_n_batches)
        self.patience = int(patience)
        self.num_clips = int(num_clips)
        self.signs: Signs | None = None
        self._checked_at = 0
        self._edges: list[float] = []
        self._since: dict[str, int] = {}
        self._checks: dict[str, int] = {}
        self._report = WarningReport("train/health/warnings")

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Check when it is time; in the first process, on its own clips."""
        if not isinstance(pl_module, ObjectiveTraining) or not has_frames(batch):
            return
        seen = pl_module.batches_seen
        # A checkpoint may be written right after a check, and be resumed from.
        if not seen or seen % self.every_n_batches or seen == self._checked_at:
            return
        self._checked_at = seen
        folder = trainer.log_dir or trainer.default_root_dir  # asks all processes
        if not trainer.is_global_zero:
            return
        with undisturbed(trainer):
            self.signs = _measure(pl_module, some_clips(batch, self.num_clips))
        logged = _flat(self.signs)
        for logger in trainer.loggers:
            logger.log_metrics(logged, seen)
        for symptom, sentence, lasted in self._diagnose(self.signs, seen):
            said = sentence.format(batches=lasted, network=predictor_name(pl_module))
            advice = fitting(symptom.advice, pl_module, getattr(trainer, "datamodule", None))
            name, text = symptom.name, "; ".join(filter(None, (said, advice)))
            self._report.add(trainer, Path(folder), seen, name, text)

    def state_dict(self) -> dict[str, Any]:
        """Remember what lasts, so that a resumed run warns as it would have."""
        return {
            "checked_at": self._checked_at,
            "edges": list(self._edges),
            "since": dict(self._since),
            "checks": dict(self._checks),
            "told": [list(row) for row in self._report.reported],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what was seen."""
        self._checked_at = state_dict["checked_at"]
        self._edges = list(state_dict["edges"])
        self._since = dict(state_dict["since"])
        self._checks = dict(state_dict["checks"])
        self._report.reported = [(batch, name, text) for batch, name, text in state_dict["told"]]

    def _diagnose(self, signs: Signs, seen: int) -> list[tuple[Symptom, str, int]]:
        """Count how long each symptom lasts; give those that have just lasted long enough.

        With the sentence of each, and the batches for which it has lasted.
        """
        due = []
        for symptom in SYMPTOMS:
            sentence = symptom.shows(signs, self._edges)
            if sentence is None:
                self._checks.pop(symptom.name, None)
                continue
            if symptom.name not in self._checks:
                # Since the last check that was well, or the beginning.
                self._since[symptom.name] = seen - self.every_n_batches
            self._checks[symptom.name] = self._checks.get(symptom.name, 0) + 1
            if self._checks[symptom.name] == self.patience * symptom.slowness:
                due.append((symptom, sentence, seen - self._since[symptom.name]))
        strength = signs.overall.get("edge_strength", math.nan)
        if math.isfinite(strength):
            self._edges = sorted([*self._edges, strength])[-3:]
        return due


def _measure(task: ObjectiveTraining, clips: ClipBatch) -> Signs:
    predictor = task.predictor
    networks = scale_networks(predictor, getattr(predictor, "num_scales", 0)) or [predictor]
    found: list[Mapping[str, Tensor]] = []
    if isinstance(task, DiscriminatorTraining):
        loss = getattr(task, "adversarial_loss", None)
        if isinstance(loss, AdversarialLoss) and getattr(task, "adversarial", True):
            found.append(discriminator_statistics(discriminator_objective(task, clips), loss))
    objective = task.objective(clips)
    found.append(
        gradient_norms_and_cosines(objective, [trainable(network) for network in networks])
    )
    if isinstance(objective, GeneratorObjective | PredictionObjective):
        found.append(resemblance(objective))
    if "kl" in objective.terms:
        found.append({"kl": objective.terms["kl"].sum()})
    if "kl" in objective.terms or getattr(task, "drawn_predictions", False):
        found.append(_draws(predictor, clips))
    return read_signs(*found)


def _draws(predictor: Predictor, clips: ClipBatch) -> dict[str, Tensor]:
    horizon = predictor.output_frames
    last = predictor.context_frames + horizon
    given = condition_of(predictor, clips) or {}
    condition = {name: values[:, :last] for name, values in given.items()} or None

    def draw(context: Tensor, horizon: int, count: int) -> Tensor:
        return predictor.sample(context, horizon, num_samples=count, condition=condition)

    return difference_of_draws(
        draw, to_unit(clips["frames"]), context_frames=predictor.context_frames, horizon=horizon
    )


def _flat(signs: Signs) -> dict[str, float]:
    flat = {f"train/health/{name}": value for name, value in signs.overall.items()}
    for name, values in signs.by_scale.items():
        for k, value in enumerate(values):
            scale = f"_{scale_name(k, len(values))}" if len(values) > 1 else ""
            flat[f"train/health/{name}{scale}"] = value
    return flat
