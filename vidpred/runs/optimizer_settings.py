"""Settings of optimizers: which of them a checkpoint decides, and which the configuration."""

from collections.abc import Sequence

from pytorch_lightning import Trainer
from torch.optim import Optimizer


def unscheduled(trainer: Trainer) -> list[Optimizer]:
    """Give the optimizers whose rates no learning-rate scheduler sets."""
    scheduled = [config.scheduler.optimizer for config in trainer.lr_scheduler_configs]
    return [each for each in trainer.optimizers if not any(each is other for other in scheduled)]


def learning_rates(optimizers: Sequence[Optimizer]) -> dict[str, float]:
    """Give the learning rate of each optimizer's first parameters, by its name in the logs.

    Args:
        optimizers: One, that of a generator and that of its discriminator, or more, which are
            numbered. Those without a rate are left out.

    Example:
        >>> import torch
        >>> weight = torch.nn.Parameter(torch.zeros(1))
        >>> fast, slow = torch.optim.SGD([weight], lr=1.0), torch.optim.SGD([weight], lr=0.1)
        >>> learning_rates([fast]), learning_rates([fast, slow])
        ({'train/learning_rate': 1.0}, {'train/learning_rate_g': 1.0, 'train/learning_rate_d': 0.1})
    """
    endings = {1: ("",), 2: ("_g", "_d")}.get(len(optimizers))
    return {
        f"train/learning_rate{endings[k] if endings else f'_{k + 1}'}": float(rate)
        for k, optimizer in enumerate(optimizers)
        if (rate := optimizer.param_groups[0].get("lr")) is not None
    }


def keep_settings(optimizer: Optimizer) -> None:
    """Keep the rates and all other settings of the parameter groups when a state is loaded.

    Args:
        optimizer: As it was built.

    Example:
        >>> import torch
        >>> weight = torch.nn.Parameter(torch.zeros(1))
        >>> fast, slow = torch.optim.SGD([weight], lr=1.0), torch.optim.SGD([weight], lr=0.1)
        >>> keep_settings(slow)
        >>> slow.load_state_dict(fast.state_dict())
        >>> slow.param_groups[0]["lr"]
        0.1
    """
    built = [
        {name: value for name, value in group.items() if name != "params"}
        for group in optimizer.param_groups
    ]

    def put_back(loaded: Optimizer) -> None:
        for group, settings in zip(loaded.param_groups, built, strict=True):
            group.update(settings)

    optimizer.register_load_state_dict_post_hook(put_back)
