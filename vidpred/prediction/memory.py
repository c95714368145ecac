"""How much memory a prediction takes, before it takes it."""

from typing import Any

import torch
from torch import Tensor, nn

from vidpred.models import Predictor

PROCESS_BYTES = 900 * 2**20
"""What the process takes besides frames and networks: Python, PyTorch, FFmpeg, an encoder."""

_PROBE = 64
"""Side of the frame on which a predictor's memory is measured, in pixels, at least."""

_WORKING_COPIES = 2
"""A convolution's library may keep its input and output a second time, in an order of its own."""

_UNKNOWN_CHANNELS = 256
"""Channels at full size that the largest layer of a network is taken to have that is not asked."""


def in_words(amount: int) -> str:
    """Write an amount of memory."""
    return f"{amount / 2**30:.1f} GiB" if amount >= 2**29 else f"{amount / 2**20:.0f} MiB"


def bytes_a_pixel(
    predictor: Predictor, channels: int, device: torch.device, dtype: torch.dtype = torch.float32
) -> int:
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
        return (planes + _UNKNOWN_CHANNELS) * dtype.itemsize
    side = -(-_PROBE // predictor.size_multiple) * predictor.size_multiple
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
    # The tile in [0, 1], in [-1, 1], and stacked on its channels.
    own = 3 * (frames.numel() + step.numel()) * frames.element_size()
    return (_WORKING_COPIES * largest + own) // side**2
