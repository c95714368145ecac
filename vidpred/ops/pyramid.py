"""The image pyramid of a multi-scale predictor."""

import torch
import torch.nn.functional as F
from torch import Tensor

from vidpred.ops.checks import require_positive


def downsample(frames: Tensor, factor: int) -> Tensor:
    """Average `factor` x `factor` windows.

    Source: Mathieu et al. 2016, released code: average pooling whose window is the factor, for
    inputs and targets alike. Another kernel for the targets would make the coarse scales aim at
    frames that no input resembles.

    Args:
        frames: Shape (..., C, H, W); H and W are multiples of `factor`.
        factor: At least 1; 1 returns the frames themselves.

    Returns:
        Shape (..., C, H / factor, W / factor), same range.

    Raises:
        ValueError: When the frame size is not a multiple of the factor.

    Example:
        >>> import torch
        >>> downsample(torch.rand(1, 4, 3, 32, 48), 4).shape
        torch.Size([1, 4, 3, 8, 12])
    """
    require_positive("factor", factor)
    if factor == 1:
        return frames
    height, width = frames.shape[-2:]
    if height % factor or width % factor:
        raise ValueError(
            f"frames of {height} x {width} pixels cannot be reduced {factor} times; "
            f"expected multiples of {factor}: pad or crop them first"
        )
    # All planes as channels of one picture: views that a graph of any frame size can take as well.
    pooled = F.avg_pool2d(frames.flatten(0, -3), factor)
    return torch.unflatten(pooled, 0, frames.shape[:-2])


def pyramid(frames: Tensor, num_scales: int) -> list[Tensor]:
    """Halve the frames `num_scales - 1` times, coarsest first.

    Args:
        frames: Shape (..., C, H, W); H and W are multiples of `2 ** (num_scales - 1)`.
        num_scales: S, at least 1.

    Returns:
        S tensors, from factor `2 ** (S - 1)` to the frames themselves.

    Example:
        >>> import torch
        >>> [tuple(level.shape[-2:]) for level in pyramid(torch.rand(1, 4, 3, 32, 48), 3)]
        [(8, 12), (16, 24), (32, 48)]
    """
    require_positive("num_scales", num_scales)
    return [downsample(frames, 2**k) for k in reversed(range(num_scales))]
