"""Weights with the channels innermost, as oneDNN and tensor cores want them."""

import torch
from torch import nn


def to_channels_last(network: nn.Module) -> None:
    """Bring the weights of two-dimensional convolutions into `torch.channels_last`, in place.

    Unlike `network.to(memory_format=torch.channels_last)` it leaves weights of three-dimensional
    convolutions alone, which have no such format.

    Example:
        >>> convolution = nn.Conv2d(3, 8, 3)
        >>> to_channels_last(nn.Sequential(convolution, nn.Conv3d(3, 8, 3)))
        >>> convolution.weight.is_contiguous(memory_format=torch.channels_last)
        True
    """
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.to(memory_format=torch.channels_last)
