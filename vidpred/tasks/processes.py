"""What training in several processes needs to know about a task."""

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.strategies import DDPStrategy, Strategy
from torch import nn


def share_gradients(strategy: Strategy, *, in_phases: bool) -> None:
    """Set what DDP has to know, where the user has not.

    Args:
        strategy: The trainer's, before it wraps the task.
        in_phases: Whether a backward pass leaves some parameters out: a discriminator's phase has
            no gradient for the generator, and DDP would wait for it forever.
    """
    if not isinstance(strategy, DDPStrategy):
        return
    # Lightning keeps what it passes on to torch here, and offers no other place after it was built.
    options = strategy._ddp_kwargs
    if in_phases:
        options.setdefault("find_unused_parameters", True)
    # Processes evaluate different numbers of clips, so none may wait for others at each of them;
    # `share_buffers` makes them equal where that matters.
    options.setdefault("broadcast_buffers", False)


def draw_apart(trainer: Trainer) -> None:
    """Let processes draw different numbers: all were seeded alike, as their weights had to be."""
    if trainer.world_size > 1:
        torch.manual_seed((torch.initial_seed() + 1 + trainer.global_rank) % 2**63)


def share_buffers(module: nn.Module, trainer: Trainer) -> None:
    """Give every process the running averages of the first one: each had batches of its own.

    All processes have to call it at the same place.
    """
    if trainer.world_size > 1 and torch.distributed.is_initialized():
        for buffer in module.buffers():
            if buffer.is_floating_point():
                torch.distributed.broadcast(buffer, 0)
