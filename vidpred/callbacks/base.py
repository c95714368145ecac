"""What watchers of evaluations share: the same hooks for validation and for test."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Literal, cast

from pytorch_lightning import Callback, LightningModule, Trainer

from vidpred.batch import Evaluation

Stage = Literal["val", "test"]


class EvaluationWatcher(Callback):
    """Sends the hooks of validation and test to one set of methods.

    The sanity check is watched too, so that what cannot be measured is refused before training, but
    it is not finished, so nothing is said about it.
    """

    @abstractmethod
    def start(self, stage: Stage, trainer: Trainer) -> None:
        """Forget the clips of the last evaluation."""

    @abstractmethod
    def watch(
        self,
        stage: Stage,
        trainer: Trainer,
        evaluation: Evaluation,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Take in the predictions of a batch."""

    @abstractmethod
    def finish(self, stage: Stage, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say what was seen."""

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start a validation; see `start`."""
        self.start("val", trainer)

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start a test; see `start`."""
        self.start("test", trainer)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Watch a batch; see `watch`."""
        self.watch("val", trainer, evaluation_of(outputs), batch_idx, dataloader_idx)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Watch a batch; see `watch`."""
        self.watch("test", trainer, evaluation_of(outputs), batch_idx, dataloader_idx)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End a validation; see `finish`."""
        if not trainer.sanity_checking:
            self.finish("val", trainer, pl_module)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End a test; see `finish`."""
        self.finish("test", trainer, pl_module)


def evaluation_of(outputs: object) -> Evaluation:
    """Give what a validation or test step returned, or say what it should have.

    Raises:
        TypeError: When it is no `vidpred.batch.Evaluation`.
    """
    if isinstance(outputs, Mapping) and {"context", "target", "pred"} <= outputs.keys():
        return cast(Evaluation, outputs)
    raise TypeError(
        f"validation_step and test_step returned {type(outputs).__name__}; expected a "
        "vidpred.batch.Evaluation, a dictionary with context, target and pred"
    )
