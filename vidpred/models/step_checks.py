"""What a step of a predictor has to give."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from vidpred.errors import NetworkError

NO_DRAWS = (
    "is stochastic and does not say how to draw a future; expected it to define sample_step, or to "
    "override sample"
)


def checked_step(
    step: Callable[..., Tensor], window: Tensor, output_frames: int, **given: Any
) -> Tensor:
    """Take a step, and refuse frames of another shape than a step gives.

    Fewer of them would make a rollout shorter than was asked for. A graph that is exported has no
    such branch.

    Args:
        step: Method of a predictor.
        window: What it gets, shape (B, context_frames, C, H, W).
        output_frames: How many frames it has to give.
        given: What else it gets.

    Returns:
        Shape (B, output_frames, C, H, W).

    Raises:
        NetworkError: When the frames have another shape, or are no tensor.
    """
    frames = step(window, **given)
    if torch.compiler.is_compiling():
        return frames
    expected = (window.shape[0], output_frames, *window.shape[2:])
    found = tuple(frames.shape) if isinstance(frames, Tensor) else f"a {type(frames).__name__}"
    if found != expected:
        name = f"{type(getattr(step, '__self__', None)).__name__}.{step.__name__}"
        raise NetworkError(
            f"{name} gave {found} for a context of shape {tuple(window.shape)}; expected "
            f"(B, output_frames, C, H, W), here {expected}"
        )
    return frames
