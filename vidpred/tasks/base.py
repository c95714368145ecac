"""What all tasks share: clips, steps, optimizers, the batch counter, checkpoints."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal, cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer

from vidpred._version import __version__
from vidpred.batch import ClipBatch, Evaluation
from vidpred.errors import SettingError
from vidpred.kernels import accelerate
from vidpred.losses import Objective
from vidpred.losses.objective import require_objective
from vidpred.models import Condition, Predictor
from vidpred.models.given_conditions import given
from vidpred.runs.optimizer_settings import keep_settings, learning_rates, unscheduled
from vidpred.runs.resume import ResumeState
from vidpred.runs.weight_average import warn_of_counted_steps
from vidpred.seen_videos import SeenVideos, remember
from vidpred.storage.checkpoint import CHECKPOINT_KEY
from vidpred.storage.description import describe_predictor, require_rebuildable
from vidpred.tasks.builders import Builders, adam, build_optimizer, build_scheduler
from vidpred.tasks.divided_clips import (
    Clips,
    divided,
    evaluation_clips,
    require_clips,
    require_length,
)
from vidpred.tasks.finite import FiniteCheck
from vidpred.tasks.logged import require_counted, training_values
from vidpred.tasks.origin import describe_training, require_same_networks, seen_videos
from vidpred.tasks.predictions import require_prediction
from vidpred.tasks.processes import draw_apart, share_buffers, share_gradients
from vidpred.tasks.speed import (
    CompiledFunctions,
    Decided,
    Speed,
    fused,
    lay_out_alike,
    prepare,
    require_precision,
)

Stage = Literal["val", "test"]


class PredictionTask(pl.LightningModule, ABC):
    """Trains a predictor by one principle, which a subclass says in `objective`.

    That is all a subclass needs: `vidpred fit` takes any (`class_path: my_module.MyTask`), and
    validation, logs, the finite check, the gradient certificate, checkpoints, exact resume, weight
    averages and export work for it.

    Args:
        predictor: What is trained.
        optimizer: Builds the optimizer from parameters; the default is Adam at 0.001.
        lr_scheduler: Builds a learning-rate scheduler from the optimizer; it steps after every
            step of the optimizer.
        speed: How fast a step is computed; None is what suits the device.

    Attributes:
        batches_seen: Training batches so far, over all epochs and resumes, to which a
            `training_step` of your own adds 1: the axis of all logs (Lightning's counts steps).
        predictor_key: Under which name the predictor is a submodule and checkpoints hold it:
            `generator` in the tasks of 0.1.
        loss_name: Name of the loss in the logs, under `train/`.
        compiles: Whether `speed.compile` has something to compile; others refuse it.

    Example:
        >>> import torch
        >>> from vidpred.losses import PredictionObjective
        >>> from vidpred.models import MultiScaleGenerator
        >>> class MeanAbsoluteTask(PredictionTask):
        ...     def objective(self, batch):
        ...         context, target, _ = self.training_clips(batch)
        ...         pred = self.predict(context, target.shape[1])
        ...         return PredictionObjective(
        ...             terms={"l1": (pred - target).abs().mean()},
        ...             context=context, target=target, pred=pred,
        ...         )
        >>> task = MeanAbsoluteTask(MultiScaleGenerator.from_preset("small"))
        >>> frames = torch.zeros(1, 5, 3, 32, 32, dtype=torch.uint8)
        >>> sorted(task.objective({"frames": frames}).terms)
        ['l1']
    """

    predictor_key: ClassVar[Literal["predictor", "generator"]] = "predictor"
    loss_name: ClassVar[str] = "loss"
    compiles: ClassVar[bool] = True

    def __init__(
        self,
        predictor: Predictor,
        *,
        optimizer: OptimizerCallable = adam,
        lr_scheduler: LRSchedulerCallable | None = None,
        speed: Speed | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(predictor, Predictor):
            raise TypeError(
                f"predictor is a {type(predictor).__name__}; expected a vidpred.models.Predictor, "
                "of which a network of your own is a subclass"
            )
        setattr(self, self.predictor_key, predictor)
        self.batches_seen = self._seen_before = 0
        self._builders = Builders((optimizer, lr_scheduler))
        self._resume = ResumeState()
        self._speed = speed or Speed()
        self._finite = FiniteCheck()
        self._compiled = CompiledFunctions("off")

    @property
    def predictor(self) -> Predictor:
        """What is trained."""
        return cast(Predictor, self._modules[self.predictor_key])

    @property
    def training_horizon(self) -> int:
        """Frames after the context that a training clip needs; data modules ask for it."""
        return self.predictor.output_frames

    @abstractmethod
    def objective(self, batch: ClipBatch) -> Objective:
        """Say what is minimized.

        Everything that watches a training asks here too, so that it must not depend on the trainer.

        Args:
            batch: Training clips of `context_frames + training_horizon` frames, on the device; see
                `training_clips`.
        """

    def forward(
        self, context: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Tensor:
        """Predict `horizon` frames; see `vidpred.models.Predictor.forward`."""
        pred: Tensor = self.predictor(context, horizon, **given(condition))
        return pred

    def predict(
        self, context: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Tensor:
        """Predict for an objective: as `forward`, compiled where `Speed.compile` asks for it."""
        pred: Tensor = self._compiled(self.predictor)(context, horizon, **given(condition))
        return pred

    def training_clips(self, batch: ClipBatch) -> Clips:
        """Divide training clips into what is known and what is to be predicted.

        Args:
            batch: Clips of `context_frames + training_horizon` frames.

        Raises:
            ValueError: When the clips have another length, other channels than the predictor, or
                lack a condition.
        """
        require_length(self.predictor, batch["frames"], self.training_horizon)
        return divided(self.predictor, batch)

    def training_step(self, batch: ClipBatch, batch_idx: int) -> Tensor | None:
        """Minimize the objective."""
        objective = require_objective(self.objective(batch), f"{type(self).__name__}.objective")
        self._require_finite(objective.terms, self.trainer.optimizers[0])
        self.batches_seen += 1
        loss = objective.loss
        if self._logs_now:
            self._log_training({self.loss_name: loss, **objective.measures}, objective.terms)
        return loss

    def trained_parameters(self) -> Iterable[nn.Parameter]:
        """Give what the optimizer moves: all parameters of the task."""
        return self.parameters()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Give the one optimizer, and its scheduler if there is one."""
        build, build_lr_scheduler = self._builders
        optimizer = build_optimizer(build, self.trained_parameters())
        # Lightning does not clip under mixed precision what may unscale its gradients itself.
        if not (self.trainer.gradient_clip_val and "mixed" in str(self.trainer.precision)):
            optimizer = self._fused(optimizer)
        if build_lr_scheduler is None:
            return optimizer
        scheduler = build_scheduler(build_lr_scheduler, optimizer, self)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def configure_callbacks(self) -> list[Callback]:
        """Add none; the first hook of all, it prepares the strategy before it wraps the task."""
        require_precision(self.trainer.precision)
        share_gradients(self.trainer.strategy, in_phases=not self.automatic_optimization)
        return []

    def setup(self, stage: str) -> None:
        """Before a fit, bring networks and steps into the form that is fastest here.

        Raises:
            NetworkError: When checkpoints would rebuild another network than this.
            SettingError: When the device or the task does not have what an option asks for.
        """
        if stage != "fit":
            if self.trainer.strategy.root_device.type == "cpu":
                accelerate(self)
            return
        require_rebuildable(self.predictor)
        speed = self._speed.on(self.trainer.strategy.root_device)
        if speed.compile != "off" and not self.compiles:
            raise SettingError(
                f"speed.compile is {speed.compile}; expected off: {type(self).__name__} does not "
                "compile what it trains"
            )
        self._finite = FiniteCheck(late=speed.late_finite_check)
        self._use(speed)

    @property
    def speed(self) -> Speed:
        """How fast a step is computed."""
        return self._speed

    def validation_step(self, batch: ClipBatch, batch_idx: int) -> Evaluation:
        """Predict every frame after the context, for callbacks to measure and show."""
        return self.evaluate(batch, "val")

    def test_step(self, batch: ClipBatch, batch_idx: int) -> Evaluation:
        """Predict every frame after the context, for callbacks to measure and show."""
        return self.evaluate(batch, "test")

    def evaluate(self, batch: ClipBatch, stage: Stage) -> Evaluation:
        """Predict whole clips; a task with measures of its own logs them here as well.

        Args:
            batch: Clips of more than `context_frames` frames.
            stage: First part of logged names.

        Raises:
            ValueError: When the clips do not fit the predictor.
            TrainingDivergedError: When a prediction is not finite.
            NetworkError: When it is not in [0, 1], or not finite before any training.
        """
        context, target, condition = evaluation_clips(self.predictor, self.predictor_key, batch)
        pred = self._measured(context, target.shape[1], condition)
        return {"context": context, "target": target, "pred": pred}

    def predict_step(self, batch: ClipBatch, batch_idx: int) -> Tensor:
        """Predict for `trainer.predict`, which returns a list of what this gives.

        Args:
            batch: Clips of at least `context_frames` frames; see `vidpred.batch.ClipBatch`.
            batch_idx: Number of the batch.

        Returns:
            Shape (B, T, C, H, W), float32 in [0, 1]: a prediction of every frame after the context,
            or of the next `output_frames` where the clips end with it.
        """
        context, future, condition = divided(self.predictor, batch)
        horizon = future.shape[1] or self.predictor.output_frames
        return self._measured(context, horizon, condition)

    def on_fit_start(self) -> None:
        """Let the configuration's rates win over a checkpoint's, where no scheduler sets them.

        Otherwise a run that diverged could not resume with a lower rate.
        """
        for optimizer in unscheduled(self.trainer):
            keep_settings(optimizer)
        warn_of_counted_steps(self.trainer)
        self._resume.begin_training(self)

    def on_train_start(self) -> None:
        """Prepare what is drawn and how optimizers keep their state."""
        draw_apart(self.trainer)
        lay_out_alike(self.trainer.optimizers)

    def _on_before_batch_transfer(self, batch: Any, dataloader_idx: int = 0) -> Any:
        # Where a resume begins, before anything random is done to the batch. Lightning's hook of
        # this name without the underscore warns of itself wherever there is a data module.
        if self._trainer is not None and self._trainer.training:
            self._resume.begin_batch(self)
        return super()._on_before_batch_transfer(batch, dataloader_idx)

    def on_train_batch_start(self, batch: ClipBatch, batch_idx: int) -> None:
        """Log how many patches move enough, and are not just the last of the tries.

        Raises:
            SettingError: When the batch holds no clips.
        """
        self._seen_before = self.batches_seen
        require_clips(batch)
        if "accepted" in batch and self._logs_now:
            share = batch["accepted"].float().mean()
            self.log("train/accepted_crops", share, sync_dist=self.trainer.world_size > 1)

    def on_train_batch_end(self, outputs: Any, batch: ClipBatch, batch_idx: int) -> None:
        """Read the answers that have arrived by now; see `FiniteCheck`."""
        require_counted(self, self.batches_seen - self._seen_before)
        self._finite.read(before=self.batches_seen - 1)

    def on_train_epoch_end(self) -> None:
        """Wait for the last answers; see `FiniteCheck`."""
        self._finite.read()

    def on_validation_model_zero_grad(self) -> None:
        """Keep gradients that manual optimization accumulates over a validation."""
        if self.automatic_optimization:
            super().on_validation_model_zero_grad()

    def on_validation_start(self) -> None:
        """Wait for the last answers, and note where a resume would begin."""
        self._finite.read()
        self._resume.begin_validation(self)

    def on_validation_epoch_start(self) -> None:
        """Let all processes validate the same network, which may be an average of its weights."""
        share_buffers(self, self.trainer)

    def on_test_start(self) -> None:
        """Let all processes test the same network."""
        share_buffers(self, self.trainer)

    def on_predict_start(self) -> None:
        """Let all processes predict by the same network."""
        share_buffers(self, self.trainer)

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
            "training": describe_training(self, self.batches_seen),
            "seen_videos": seen_videos(self, self.predictor),
            **self._networks(),
        }
        self._resume.save(self, checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the batch counter; refuse a checkpoint of other networks, naming what differs.

        Raises:
            CheckpointError: When the checkpoint is not ours, of a later version or of another
                architecture.
        """
        found = require_same_networks(checkpoint, self._networks(), self.state_dict())
        self.batches_seen = found["batches_seen"]
        remember(self.predictor, SeenVideos.from_text(found.get("seen_videos")))
        # `load_from_checkpoint` loads without a trainer.
        if self._trainer is not None and self._trainer.state.fn == TrainerFn.FITTING:
            self._resume.load(self, checkpoint)

    def _networks(self) -> dict[str, Any]:
        return {"predictor": describe_predictor(self.predictor)}

    def _measured(self, context: Tensor, horizon: int, condition: Condition | None) -> Tensor:
        # Half precision is for the network; the numbers that people read are taken in float32.
        pred: Tensor = self(context, horizon, condition=condition).float()
        require_prediction(pred, type(self.predictor).__name__, self.batches_seen)
        return pred

    def _use(self, speed: Decided) -> None:
        prepare(self.predictor, speed)
        self._compiled = CompiledFunctions(speed.compile)

    def _fused(self, optimizer: Optimizer) -> Optimizer:
        return fused(optimizer) if self._speed.on(self.device).fused_optimizers else optimizer

    @property
    def _logs_now(self) -> bool:
        """Whether this batch is logged: naming a value takes time, even where it is dropped."""
        return bool(self.trainer._logger_connector.should_update_logs)

    def _log_training(
        self, scalars: Mapping[str, Tensor | float], terms: Mapping[str, Tensor]
    ) -> None:
        """Log what `training_values` names, and with it the learning rates of this batch."""
        values = training_values(scalars, terms, self.trainer)
        rates = learning_rates(self.trainer.optimizers)
        self.log_dict({**values, **rates, "step": float(self.batches_seen)})

    def _require_finite(self, terms: Mapping[str, Tensor], optimizer: Optimizer) -> None:
        """Stop before a step that would put NaN into the weights, or skip it; see `FiniteCheck`."""
        self._finite.require(terms, self.batches_seen, optimizer, self.trainer)
