"""Training against the true frames alone: the rows `l2`, `l1` and `gdl_l1` of the paper."""

from collections.abc import Iterable

import torch
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from vidpred.batch import ClipBatch
from vidpred.losses import MultiScaleLoss
from vidpred.models import ScalePredictor
from vidpred.tasks.base import NextFrameTask
from vidpred.tasks.builders import Builders
from vidpred.tasks.speed import Speed


def sgd(parameters: Iterable[Tensor]) -> Optimizer:
    """Build the optimiser of the released training script: SGD without momentum at 0.02."""
    return torch.optim.SGD(parameters, lr=0.02)


def without_metric(scheduler: LRScheduler) -> LRScheduler:
    """Give the scheduler back when it can step after every batch.

    Raises:
        ValueError: For `ReduceLROnPlateau`, which waits for a metric that no batch has.
    """
    if isinstance(scheduler, ReduceLROnPlateau):
        raise ValueError(
            "ReduceLROnPlateau steps on a metric, and schedulers here step after every batch; "
            "expected one such as StepLR or CosineAnnealingLR"
        )
    return scheduler


class ReconstructionTask(NextFrameTask):
    """Trains a generator against the true frames with one optimiser.

    The trainer's `accumulate_grad_batches` and `gradient_clip_val` apply.

    Args:
        generator: The network that is trained.
        loss: Losses and their weights; None is the paper's l2.
        optimizer: Builds the optimiser from the parameters; the default is the paper's SGD at 0.02.
        lr_scheduler: Builds a learning-rate scheduler from the optimiser; steps after every step of
            the optimiser.
        speed: How fast a step is computed; None is what suits the device.
    """

    def __init__(
        self,
        generator: ScalePredictor,
        *,
        loss: MultiScaleLoss | None = None,
        optimizer: OptimizerCallable = sgd,
        lr_scheduler: LRSchedulerCallable | None = None,
        speed: Speed | None = None,
    ) -> None:
        super().__init__(generator, loss or MultiScaleLoss(), speed=speed)
        if not any(self.loss.weights.values()):
            raise ValueError("every weight of the loss is 0; expected at least one above 0")
        self._builders = Builders((optimizer, lr_scheduler))

    def training_step(self, batch: ClipBatch, batch_idx: int) -> Tensor:
        """Be accurate at every scale."""
        objective = self.generator_objective(batch["frames"])
        self._require_finite(objective.terms, self.trainer.optimizers[0])
        self.batches_seen += 1
        loss = objective.loss
        if self._logs_now:
            self._log_training({"loss_g": loss}, objective.terms)
        return loss

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Give the one optimiser, and its scheduler if there is one."""
        build, build_lr_scheduler = self._builders
        optimizer: Optimizer = build(self.generator.parameters())
        # Lightning does not clip under mixed precision what may unscale its gradients itself.
        if not (self.trainer.gradient_clip_val and "mixed" in str(self.trainer.precision)):
            optimizer = self._fused(optimizer)
        if build_lr_scheduler is None:
            return optimizer
        scheduler = without_metric(build_lr_scheduler(optimizer))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }
