"""How a batch is shared among the phases of an iteration."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from vidpred.errors import SettingError
from vidpred.models import Condition


class Draw(NamedTuple):
    """The clips that one step learns from.

    Attributes:
        frames: uint8, shape (B, T, C, H, W).
        condition: As arguments of an objective: `{"condition": ...}`, or none.
    """

    frames: Tensor
    condition: Mapping[str, Condition]


def separate_clips(
    frames: Tensor, condition: Mapping[str, Condition], draws: int = 2
) -> list[Draw]:
    """Split clips as `separate_draws` does, each with what it is conditioned on."""
    parts = separate_draws(frames, draws)
    if not condition:
        return [Draw(part, {}) for part in parts]
    split = {name: value.chunk(draws) for name, value in condition["condition"].items()}
    return [
        Draw(part, {"condition": {name: values[k] for name, values in split.items()}})
        for k, part in enumerate(parts)
    ]


def separate_draws(frames: Tensor, draws: int = 2) -> list[Tensor]:
    """Split a batch into one draw a step: the discriminator's, then the generator's.

    Args:
        frames: Clips (B, T, C, H, W) with B a multiple of `draws`.
        draws: Optimizer steps in an iteration, at least 1.

    Returns:
        `draws` tensors (B / draws, T, C, H, W) without a clip in common.

    Raises:
        ValueError: When B is no multiple.
    """
    if len(frames) % draws:
        number = "an even number" if draws == 2 else f"a multiple of {draws}"
        raise SettingError(
            f"the batch has {len(frames)} clips; expected {number}, because every step of the "
            f"discriminator and of the generator learns from clips of its own: set "
            f"data.batch_size to {number}"
        )
    return list(frames.chunk(draws))
