"""The discriminator of a checkpoint of adversarial training, built again."""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor

from vidpred import models
from vidpred.errors import DAMAGED, CheckpointError
from vidpred.models.clip_discriminator import ClipDiscriminator
from vidpred.models.discriminator import DiscriminatorScale
from vidpred.storage.checkpoint import CHECKPOINT_KEY, read_checkpoint

_PREFIX = "discriminator."


def load_discriminator(
    path: str | Path, *, modules: Sequence[ModuleType] = ()
) -> ClipDiscriminator:
    """Load the discriminator of a checkpoint, in evaluation mode on the CPU.

    Args:
        path: A checkpoint that `vidpred.tasks.AdversarialTask` saved.
        modules: Where its class may be, besides `vidpred.models`.

    Raises:
        CheckpointError: When the file cannot be read, or holds no discriminator of these classes.
    """
    checkpoint = read_checkpoint(path)
    config = checkpoint[CHECKPOINT_KEY].get("discriminator")
    if not isinstance(config, dict):
        raise CheckpointError(
            f"{path}: holds no discriminator; expected a checkpoint of adversarial training "
            "(vidpred.tasks.AdversarialTask), such as those of experiment/adv_gdl.yaml"
        )
    weights = {
        name.removeprefix(_PREFIX): value
        for name, value in checkpoint["state_dict"].items()
        if name.startswith(_PREFIX)
    }
    for cls in _classes(modules):
        built = _fitting(cls, config, weights)
        if built is not None:
            return built.eval()
    raise CheckpointError(
        f"{path}: holds a discriminator of a class that is none of this version's; name the module "
        "that has it (--module NAME, load_discriminator(path, modules=[...]))"
    )


def untrained(discriminator: ClipDiscriminator) -> ClipDiscriminator:
    """Build the same discriminator with fresh random weights, in evaluation mode."""
    return _build(type(discriminator), discriminator.config()).eval()


def _classes(modules: Sequence[ModuleType]) -> list[type[ClipDiscriminator]]:
    found = [getattr(models, name) for name in models.__all__]
    found += [value for module in modules for value in vars(module).values()]
    return [
        cls
        for cls in found
        if inspect.isclass(cls)
        and issubclass(cls, ClipDiscriminator)
        and not inspect.isabstract(cls)
    ]


def _fitting(
    cls: type[ClipDiscriminator], config: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> ClipDiscriminator | None:
    """Build one whose constructor takes the configuration and whose weights these are, if it is."""
    if not config.keys() <= inspect.signature(cls).parameters.keys():
        return None
    try:
        built = _build(cls, config)
        built.load_state_dict(dict(weights))
    except DAMAGED:
        return None
    return built


def _build(cls: type[ClipDiscriminator], config: Mapping[str, Any]) -> ClipDiscriminator:
    arguments = dict(config)
    if issubclass(cls, models.MultiScaleDiscriminator):
        arguments["scales"] = [
            DiscriminatorScale(
                tuple(scale["maps"]),
                tuple(scale["kernels"]),
                tuple(scale["fully_connected"]),
                pool=bool(scale["pool"]),
            )
            for scale in arguments["scales"]
        ]
    return cls(**arguments)
