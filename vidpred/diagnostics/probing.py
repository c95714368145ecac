"""Looking at a task in the midst of training without leaving a trace."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol, TypeGuard, runtime_checkable

import torch
from pytorch_lightning import Trainer
from torch import Tensor, nn

from vidpred.losses import DiscriminatorObjective, GeneratorObjective
from vidpred.models import ScalePredictor


@runtime_checkable
class GeneratorTraining(Protocol):
    """A task that says what its generator minimises, as `vidpred.tasks.NextFrameTask` does."""

    generator: ScalePredictor
    batches_seen: int

    def generator_objective(self, frames: Tensor) -> GeneratorObjective:
        """Give the generator's loss of uint8 clips (B, T, C, H, W), and what it is made of."""


@runtime_checkable
class DiscriminatorTraining(GeneratorTraining, Protocol):
    """A task with a discriminator as well, as `vidpred.tasks.AdversarialTask`."""

    discriminator: nn.Module

    def discriminator_objective(self, frames: Tensor) -> DiscriminatorObjective:
        """Give the discriminator's loss of uint8 clips, and what it is made of."""


def has_frames(batch: Any) -> TypeGuard[dict[str, Any]]:
    """Tell a `vidpred.batch.ClipBatch` from what other data modules give."""
    return isinstance(batch, dict) and isinstance(batch.get("frames"), Tensor)


def some_clips(frames: Tensor, count: int) -> Tensor:
    """Take up to `count` clips, spread over the batch: neighbours are patches of one video."""
    return frames[:: max(1, len(frames) // count)][:count]


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


def scale_name(scale: int, num_scales: int) -> str:
    """Name a scale as the logs do, `scale_8` being an eighth of the full size."""
    return f"scale_{2 ** (num_scales - 1 - scale)}"
