"""How much memory a prediction takes, before it takes it."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vidpred.models import Predictor

PROCESS_BYTES = 900 * 2**20
"""What the process takes besides frames and networks: Python, PyTorch, FFmpeg, an encoder."""

_PROBE = 64
"""Side of the frame on which a predictor's memory is measured, in pixels, at least."""

_WORKING_COPIES = 2
"""A convolution's library may keep its input and output a second time, in an order of its own."""

_TILE_COPIES = 3
"""Of frames, by a predictor that is shown tiles: in [0, 1], in [-1, 1], stacked on the channels."""

_WHOLE_COPIES = 5
"""Of frames, with flows and what is computed of them, by one that cuts the frame by itself.

Measured: the process of the flow refiner takes 3.9 GiB at 2160 x 3840, as is expected by this.
"""

_UNKNOWN_CHANNELS = 256
"""Channels at full size that the largest layer of a network is taken to have that is not asked."""


def in_words(amount: int) -> str:
    """Write an amount of memory."""
    return f"{amount / 2**30:.1f} GiB" if amount >= 2**29 else f"{amount / 2**20:.0f} MiB"


class StepBytes(NamedTuple):
    """What one step takes for every pixel, in bytes.

    Attributes:
        layers: By the largest layer of the networks.
        frames: By frames, and by flows and what else is as large as they are.
    """

    layers: int
    frames: int

    @property
    def together(self) -> int:
        """Of both."""
        return self.layers + self.frames


def step_bytes(
    predictor: Predictor, channels: int, device: torch.device, dtype: torch.dtype = torch.float32
) -> StepBytes:
    """Measure what one step takes for every pixel of a frame, by the largest layer of a small one.

    Of a predictor with conditions, whose shapes are not known here, what its frames take is counted
    with `_UNKNOWN_CHANNELS` for its layers.

    Args:
        predictor: In evaluation mode, on that device.
        channels: Color channels of a frame.
        device: Where it runs.
        dtype: Of its weights.
    """
    if predictor.conditions:
        planes = 3 * channels * (predictor.context_frames + predictor.output_frames)
        return StepBytes(_UNKNOWN_CHANNELS * dtype.itemsize, planes * dtype.itemsize)
    side = predictor.image_size or (-(-_PROBE // predictor.size_multiple) * predictor.size_multiple)
    largest = 0

    def note(_: nn.Module, inputs: tuple[Any, ...], output: object) -> None:
        nonlocal largest
        tensors = [value for value in (*inputs, output) if isinstance(value, Tensor)]
        largest = max(largest, sum(value.numel() * value.element_size() for value in tensors))

    hooks = [
        module.register_forward_hook(note)
        for module in predictor.modules()
        if not list(module.children())
    ]
    shape = (1, predictor.context_frames, channels, side, side)
    frames = torch.zeros(shape, device=device, dtype=dtype)
    try:
        with torch.inference_mode():
            step = predictor.step(frames)
    finally:
        for hook in hooks:
            hook.remove()
    copies = _TILE_COPIES if predictor.largest_region is None else _WHOLE_COPIES
    own = copies * (frames.numel() + step.numel()) * frames.element_size()
    return StepBytes(_WORKING_COPIES * largest // side**2, -(-own // side**2))
