"""What builds a task's optimizers and schedulers, and how the task keeps it."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from vidpred.errors import SettingError


class Builders(tuple[Any, ...]):
    """Functions that the copies of a task share.

    Those of the command line lead to its parser, which cannot always be copied; and Lightning's
    weight average copies the task.
    """

    __slots__ = ()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Give the functions themselves."""
        return self


def adam(parameters: Iterable[Tensor]) -> Optimizer:
    """Build Adam (Kingma and Ba 2015) at the rate that most networks train with: 0.001."""
    return torch.optim.Adam(parameters, lr=0.001)


def sgd(parameters: Iterable[Tensor]) -> Optimizer:
    """Build the optimizer of the released training script: SGD without momentum at 0.02."""
    return torch.optim.SGD(parameters, lr=0.02)


def build_optimizer(build: OptimizerCallable, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """Build an optimizer.

    Raises:
        SettingError: When it refuses its arguments.
    """
    with _refusals("optimizer"):
        return build(parameters)


def build_scheduler(
    build: LRSchedulerCallable, optimizer: Optimizer, task: LightningModule
) -> LRScheduler:
    """Build a scheduler that steps after every step of the optimizer.

    Args:
        build: From the optimizer.
        optimizer: Whose rates it sets.
        task: Whose training it has to outlast.

    Raises:
        SettingError: When it refuses its arguments, waits for a metric, or ends too early.
    """
    with _refusals("lr_scheduler"):
        scheduler = build(optimizer)
    if isinstance(scheduler, ReduceLROnPlateau):
        raise SettingError(
            "ReduceLROnPlateau steps on a metric, and schedulers here step after every batch; "
            "expected one such as StepLR or CosineAnnealingLR"
        )
    total = getattr(scheduler, "total_steps", None)  # of OneCycleLR, which fails after them
    # A task that steps by itself may accumulate batches or begin later: it alone knows its steps.
    if total is not None and task.automatic_optimization:
        steps = task.trainer.estimated_stepping_batches
        if total < steps < math.inf:
            raise SettingError(
                f"{type(scheduler).__name__} ends after {total} steps, and this training takes "
                f"{steps}; expected no more: set model.lr_scheduler.init_args.total_steps to "
                f"{steps}, or train for fewer batches (trainer.max_epochs, data.batch_size)"
            )
    return scheduler


@contextmanager
def _refusals(option: str) -> Iterator[None]:
    """Name the option whose arguments torch refuses."""
    try:
        yield
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise SettingError(f"model.{option}: {error}") from error
