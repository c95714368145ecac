"""Looking at a task in the midst of training without leaving a trace."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol, TypeGuard, cast, runtime_checkable

import torch
from pytorch_lightning import Trainer
from torch import Tensor, nn

from vidpred.batch import ClipBatch
from vidpred.losses import DiscriminatorObjective, Objective
from vidpred.models import Condition, Predictor
from vidpred.models.given_conditions import condition_of
from vidpred.models.minibatch_discrimination import on_this_batch_alone


@runtime_checkable
class ObjectiveTraining(Protocol):
    """A task that says what its predictor minimizes, as every `vidpred.tasks.PredictionTask`."""

    batches_seen: int

    @property
    def predictor(self) -> Predictor:
        """What is trained."""

    def objective(self, batch: ClipBatch) -> Objective:
        """Give the loss of clips, and what it is made of."""


@runtime_checkable
class DiscriminatorTraining(ObjectiveTraining, Protocol):
    """A task with a discriminator as well, as `vidpred.tasks.AdversarialTask`."""

    discriminator: nn.Module

    def discriminator_objective(
        self, frames: Tensor, condition: Condition | None = None
    ) -> DiscriminatorObjective:
        """Give the discriminator's loss of uint8 clips, and what it is made of."""


def discriminator_objective(
    task: DiscriminatorTraining, batch: ClipBatch
) -> DiscriminatorObjective:
    """Give the discriminator's loss of the clips of a batch."""
    condition = condition_of(task.predictor, batch)
    if condition is None:
        return task.discriminator_objective(batch["frames"])
    return task.discriminator_objective(batch["frames"], condition)


def has_frames(batch: Any) -> TypeGuard[ClipBatch]:
    """Distinguish a `vidpred.batch.ClipBatch` from what other data modules give."""
    return isinstance(batch, dict) and isinstance(batch.get("frames"), Tensor)


def some_clips(batch: ClipBatch, count: int) -> ClipBatch:
    """Take up to `count` clips, spread over the batch: neighbors are patches of one video."""
    step = max(1, len(batch["frames"]) // count)

    def some(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: some(part) for name, part in value.items()}
        return value[::step][:count] if isinstance(value, Tensor | Sequence) else value

    return cast(ClipBatch, some(batch))


@contextmanager
def undisturbed(trainer: Trainer) -> Iterator[None]:
    """Compute what training computes; random state and buffers are then as they were.

    Buffers are running averages and the power iteration of spectral norm. Gradients stay untouched
    when they are taken with `torch.autograd.grad`.
    """
    task = trainer.lightning_module
    buffers = [(buffer, buffer.clone()) for buffer in task.buffers()]
    devices = [task.device] if task.device.type == "cuda" else []
    with ExitStack() as contexts:
        contexts.enter_context(torch.random.fork_rng(devices))
        contexts.enter_context(torch.enable_grad())
        contexts.enter_context(trainer.precision_plugin.forward_context())
        # A compiled graph frees what a second gradient of the same graph needs.
        contexts.enter_context(torch.compiler.set_stance("force_eager"))
        # Other processes may not be looking, and would not answer.
        contexts.enter_context(on_this_batch_alone())
        try:
            yield
        finally:
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """Give the parameters that are not frozen."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def scale_networks(network: nn.Module, num_scales: int) -> Sequence[nn.Module] | None:
    """Give the networks of a model, one a scale, coarsest first; None when it does not name them.

    Those of vidpred have them in `networks`.
    """
    networks = getattr(network, "networks", None)
    if isinstance(networks, nn.ModuleList) and len(networks) == num_scales:
        return list(networks)
    return None
