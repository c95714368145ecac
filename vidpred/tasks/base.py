"""What all tasks share: clips, evaluation steps, the batch counter, checkpoints."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import pytorch_lightning as pl
import torch
from packaging.version import Version
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor
from torch.optim import Optimizer

from vidpred._version import __version__
from vidpred.batch import ClipBatch, Evaluation
from vidpred.errors import CheckpointError, SettingError, TrainingDivergedError
from vidpred.kernels.allocator import keep_freed_memory
from vidpred.losses import GeneratorObjective, MultiScaleLoss
from vidpred.models import ScalePredictor
from vidpred.ops import pyramid, to_unit, unit_to_signed
from vidpred.provenance import provenance
from vidpred.runs.resume import ResumeState
from vidpred.storage.checkpoint import CHECKPOINT_KEY
from vidpred.storage.description import describe_predictor
from vidpred.tasks.finite import FiniteCheck
from vidpred.tasks.processes import share_gradients
from vidpred.tasks.speed import Decided, Speed, compiled, fused, lay_out_alike, prepare


@runtime_checkable
class Summarized(Protocol):
    """Data that say in words what they consist of, as `vidpred.data.ClipDataModule` does."""

    def summary(self) -> str:
        """Count videos of each split, a line each."""


class NextFrameTask(pl.LightningModule):
    """Trains a generator to predict the next frames at every scale; subclasses say how.

    Args:
        generator: The network that is trained.
        loss: What it minimises against the true frames.
        speed: How fast a step is computed; None is what suits the device.

    Attributes:
        batches_seen: Training batches so far, over all epochs and resumes; the axis of everything
            that is logged (Lightning's `global_step` counts the steps of all optimisers).
    """

    def __init__(
        self, generator: ScalePredictor, loss: MultiScaleLoss, *, speed: Speed | None = None
    ) -> None:
        super().__init__()
        self.generator = generator
        self.loss = loss
        self.batches_seen = 0
        self._resume = ResumeState()
        self._speed = speed or Speed()
        self._reads_late = False
        self._finite = FiniteCheck()
        self._compiled_scales: Callable[[Tensor], list[Tensor]] | None = None

    def forward(self, context: Tensor, horizon: int) -> Tensor:
        """Predict `horizon` frames; see `vidpred.models.Predictor.forward`."""
        pred: Tensor = self.generator(context, horizon)
        return pred

    def generator_objective(self, frames: Tensor) -> GeneratorObjective:
        """Compare the prediction of every scale with the true frames.

        Args:
            frames: Clips, uint8, shape (B, T, C, H, W).
        """
        context, targets = self._training_clip(frames)
        preds = self._predict_scales(context)
        return GeneratorObjective(
            terms=self.loss.terms(preds, targets),
            weights=self.loss.weights,
            scale_weights=self.loss.scale_weights,
            context=context,
            targets=targets,
            preds=preds,
        )

    def configure_callbacks(self) -> list[Callback]:
        """Add none; the first hook of all, it prepares the strategy before it wraps the task."""
        share_gradients(self.trainer.strategy, in_phases=not self.automatic_optimization)
        return []

    def setup(self, stage: str) -> None:
        """Before a fit, bring networks and steps into the form that is fastest here.

        Raises:
            ValueError: When the device does not have what an option asks for.
        """
        if stage != "fit":
            return
        speed = self._speed.on(self.trainer.strategy.root_device)
        self._reads_late = speed.late_finite_check
        self._finite = FiniteCheck()
        if speed.keep_freed_memory:
            keep_freed_memory()
        self._use(speed)

    def validation_step(self, batch: ClipBatch, batch_idx: int) -> Evaluation:
        """Predict every frame after the context, recursively, for callbacks to measure and show."""
        return self._evaluate(batch)

    def test_step(self, batch: ClipBatch, batch_idx: int) -> Evaluation:
        """Predict every frame after the context, recursively, for callbacks to measure and show."""
        return self._evaluate(batch)

    def on_train_start(self) -> None:
        """Let the configuration's rates win over a checkpoint's, where no scheduler sets them.

        Otherwise a run that diverged could not go on with a lower rate.
        """
        lay_out_alike(self.trainer.optimizers)
        scheduled = [config.scheduler.optimizer for config in self.trainer.lr_scheduler_configs]
        for optimizer in self.trainer.optimizers:
            if any(optimizer is other for other in scheduled):
                continue
            for group in optimizer.param_groups:
                # What the optimiser was built with; loading a state leaves it alone.
                group.update(optimizer.defaults)

    def _on_before_batch_transfer(self, batch: Any, dataloader_idx: int = 0) -> Any:
        # Where a resume begins, before anything random is done to the batch. Lightning's hook of
        # this name without the underscore warns of itself wherever there is a data module.
        if self._trainer is not None and self._trainer.training:
            self._resume.begin_batch(self)
        return super()._on_before_batch_transfer(batch, dataloader_idx)

    def on_train_batch_start(self, batch: ClipBatch, batch_idx: int) -> None:
        """Log how many patches move enough, and are not just the last of the tries."""
        if "accepted" in batch and self._logs_now:
            share = batch["accepted"].float().mean()
            self.log("train/accepted_crops", share, sync_dist=self.trainer.world_size > 1)

    def on_train_batch_end(self, outputs: Any, batch: ClipBatch, batch_idx: int) -> None:
        """Read the answers that have arrived by now; see `FiniteCheck`."""
        self._finite.read(before=self.batches_seen - 1)

    def on_train_epoch_end(self) -> None:
        """Wait for the last answers; see `FiniteCheck`."""
        self._finite.read()

    def on_validation_model_zero_grad(self) -> None:
        """Keep gradients that manual optimisation accumulates over a validation."""
        if self.automatic_optimization:
            super().on_validation_model_zero_grad()

    def on_validation_start(self) -> None:
        """Wait for the last answers, and note where a resume would begin."""
        self._finite.read()
        self._resume.begin_validation(self)

    def on_validation_epoch_end(self) -> None:
        """Place the validation on the axis of training batches."""
        self._resume.end_validation()
        self.log("step", float(self.batches_seen), sync_dist=True)

    def on_test_epoch_end(self) -> None:
        """Place the test on the axis of training batches."""
        self.log("step", float(self.batches_seen), sync_dist=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what is needed to rebuild the predictor, as plain values."""
        self._finite.read()
        checkpoint[CHECKPOINT_KEY] = {
            "version": __version__,
            "batches_seen": self.batches_seen,
            "training": self._training(),
            **self._networks(),
        }
        self._resume.save(self, checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the batch counter; refuse a checkpoint of other networks, naming what differs.

        Raises:
            CheckpointError: When the checkpoint is not ours, of a later version or of another
                architecture.
        """
        if CHECKPOINT_KEY not in checkpoint:
            raise CheckpointError(
                "the checkpoint holds no description of a predictor; expected one of vidpred"
            )
        found = dict(checkpoint[CHECKPOINT_KEY])
        _require_known_version(str(found.pop("version", "0")))
        found.pop("training", None)
        batches_seen = found.pop("batches_seen")
        differences = _differences("", found, self._networks())
        if differences:
            raise CheckpointError(
                "the checkpoint belongs to another architecture: " + "; ".join(differences) + ". "
                "Use the configuration that it was trained with (config.yaml in its run folder)"
            )
        self.batches_seen = batches_seen
        if self.trainer.state.fn == TrainerFn.FITTING:
            self._resume.load(self, checkpoint)

    def _networks(self) -> dict[str, Any]:
        return {"predictor": describe_predictor(self.generator)}

    def _training(self) -> dict[str, Any]:
        """Say where the weights come from, beside every score that they will get."""
        data = getattr(self.trainer, "datamodule", None)
        origin = provenance(batches_seen=self.batches_seen)
        return {
            "task": type(self).__name__,
            "seed": origin["seed"],
            "vidpred": origin["vidpred"],
            "torch": origin["torch"],
            "commit": origin["commit"],
            "data": type(data).__name__ if data is not None else None,
            "videos": data.summary() if isinstance(data, Summarized) else None,
        }

    def _evaluate(self, batch: ClipBatch) -> Evaluation:
        frames = to_unit(batch["frames"])
        context_frames = self.generator.context_frames
        if frames.shape[1] <= context_frames:
            raise SettingError(
                f"clips have {frames.shape[1]} frames; expected more than the "
                f"{context_frames} that the generator needs as context: set data.context_frames"
            )
        context, target = frames[:, :context_frames], frames[:, context_frames:]
        # Half precision is for the network; the numbers that people read are taken in float32.
        pred = self.generator(context, target.shape[1]).float()
        if not torch.isfinite(pred).all():
            raise TrainingDivergedError(["prediction"], self.batches_seen)
        return {"context": context, "target": target, "pred": pred}

    def _training_clip(self, frames: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Split uint8 clips (B, T, C, H, W) into context and target pyramid, in [-1, 1]."""
        context_frames, output_frames = self.generator.context_frames, self.generator.output_frames
        if frames.shape[1] != context_frames + output_frames:
            raise SettingError(
                f"training clips have {frames.shape[1]} frames; expected {context_frames} of "
                f"context and {output_frames} to predict: "
                "set data.context_frames and data.horizon to these"
            )
        signed = unit_to_signed(to_unit(frames))
        targets = pyramid(signed[:, context_frames:], self.generator.num_scales)
        return signed[:, :context_frames], targets

    def _predict_scales(self, context: Tensor) -> list[Tensor]:
        return (self._compiled_scales or self.generator.forward_scales)(context)

    def _use(self, speed: Decided) -> None:
        prepare(self.generator, speed)
        self._compiled_scales = None
        if speed.compile != "off":
            self._compiled_scales = compiled(self.generator.forward_scales, speed.compile)

    def _fused(self, optimizer: Optimizer) -> Optimizer:
        return fused(optimizer) if self._speed.on(self.device).fused_optimizers else optimizer

    @property
    def _logs_now(self) -> bool:
        """Whether what is logged in this batch goes to the loggers.

        Naming a value costs tens of microseconds, even where Lightning then drops it.
        """
        return bool(self.trainer._logger_connector.should_update_logs)

    def _log_training(self, scalars: Mapping[str, Tensor], by_scale: Mapping[str, Tensor]) -> None:
        """Log under `train/`; a term of shape (S,) gets one name a scale: scale_8 to scale_1.

        Of several processes the mean is logged, which is the loss of the batch of all.
        """
        values = {f"train/{name}": value.detach() for name, value in scalars.items()}
        for name, term in by_scale.items():
            for k, value in enumerate(term.detach()):
                values[f"train/{name}_scale_{2 ** (len(term) - 1 - k)}"] = value
        if self.trainer.world_size > 1:
            # All names at once; Lightning's `sync_dist` would ask the other processes for each.
            mean = self.trainer.strategy.reduce(
                torch.stack(list(values.values())), reduce_op="mean"
            )
            values = dict(zip(values, mean.unbind(), strict=True))
        self.log_dict({**values, "step": float(self.batches_seen)})

    def _require_finite(self, by_scale: Mapping[str, Tensor], optimizer: Optimizer) -> None:
        """Stop before a step that would put NaN into the weights, or skip it; see `FiniteCheck`."""
        # Only a fused optimiser can be told on the device to leave the weights alone; of several
        # processes, only that of this one. At 16-mixed the scaler of the gradients tells it.
        late = (
            self._reads_late
            and bool(optimizer.defaults.get("fused"))
            and self.trainer.world_size == 1
        )
        self._finite.ask(by_scale, self.batches_seen, late=late)
        if late and self.trainer.precision != "16-mixed":
            setattr(optimizer, "found_inf", self._finite.found_inf)  # noqa: B010  unknown to types


def _require_known_version(version: str) -> None:
    if Version(version) > Version(__version__):
        raise CheckpointError(
            f"the checkpoint was saved by vidpred {version}, and this is {__version__}, which does "
            f"not know what that keeps; expected an earlier one: pip install 'vidpred>={version}'"
        )


def _differences(name: str, found: Any, expected: Any) -> list[str]:
    if found == expected:
        return []
    if isinstance(found, dict) and isinstance(expected, dict):
        return [
            line
            for key in dict.fromkeys([*expected, *found])
            for line in _differences(f"{name}.{key}".strip("."), found.get(key), expected.get(key))
        ]
    return [f"{name} is {found} there, {expected} here"]
