"""What builds a task's optimizers and schedulers, and how the task keeps it."""

from collections.abc import Iterable
from typing import Any, Self

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau


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
