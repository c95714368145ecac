"""The three ranges: uint8 on the way to the device, [0, 1] in public, [-1, 1] inside."""

import torch
from torch import Tensor


def to_unit(frames: Tensor) -> Tensor:
    """Take frames to float32 in [0, 1].

    Args:
        frames: uint8 in 0-255, or floating point that is in [0, 1] already; any shape.

    Returns:
        The same shape; float32 for uint8 input, else the input itself.

    Raises:
        TypeError: For integer frames other than uint8, whose range is unknown.

    Example:
        >>> import torch
        >>> to_unit(torch.tensor([0, 255], dtype=torch.uint8))
        tensor([0., 1.])
    """
    if frames.dtype == torch.uint8:
        return frames.float() / 255
    if frames.is_floating_point():
        return frames
    raise TypeError(
        f"frames are {frames.dtype}; expected uint8 (0-255) or floating point in [0, 1]"
    )


def unit_to_signed(frames: Tensor) -> Tensor:
    """Take frames of any shape from [0, 1] to [-1, 1] (Mathieu et al. 2016: `pixel * 2 / 255 - 1`).

    Example:
        >>> import torch
        >>> unit_to_signed(torch.tensor([0.0, 0.5, 1.0]))
        tensor([-1.,  0.,  1.])
    """
    return frames * 2 - 1


def signed_to_unit(frames: Tensor) -> Tensor:
    """Take floating point frames of any shape from [-1, 1] to [0, 1].

    Example:
        >>> import torch
        >>> signed_to_unit(torch.tensor([-1.0, 0.0, 1.0]))
        tensor([0.0000, 0.5000, 1.0000])
    """
    return (frames + 1) / 2


def unit_to_uint8(frames: Tensor) -> Tensor:
    """Round floating point frames of any shape in [0, 1] to uint8, clipping what lies outside.

    Example:
        >>> import torch
        >>> unit_to_uint8(torch.tensor([0.0, 0.5, 1.0]))
        tensor([  0, 128, 255], dtype=torch.uint8)
    """
    return (frames.clamp(0, 1) * 255).round().to(torch.uint8)
