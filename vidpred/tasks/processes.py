"""What training in several processes needs to know about a task."""

from pytorch_lightning.strategies import DDPStrategy, Strategy


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
    # Processes evaluate different numbers of clips, so none may wait for others at each of them.
    # The buffers (of spectral norm) follow from the weights alone, which are equal everywhere.
    options.setdefault("broadcast_buffers", False)
