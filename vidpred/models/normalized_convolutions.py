"""Convolutions that group normalization and a leaky ReLU follow, as in SimVP and PhyDNet."""

from torch import nn

SLOPE = 0.2
"""Of the leaky ReLU below 0, as in the code of both authors."""


def shrinking(width_in: int, width_out: int, stride: int, *, groups: int) -> nn.Sequential:
    """Give a 3 x 3 convolution that reduces frames `stride` times.

    Args:
        width_in: Channels of what comes.
        width_out: Channels of the result, a multiple of `groups`.
        stride: Of the convolution; 1 keeps the size.
        groups: Of the normalization.
    """
    convolution = nn.Conv2d(width_in, width_out, 3, stride=stride, padding=1)
    return normalized(convolution, width_out, groups=groups)


def normalized(convolution: nn.Module, width: int, *, groups: int) -> nn.Sequential:
    """Let normalization and leaky ReLU follow a convolution of `width` output channels."""
    return nn.Sequential(
        convolution, nn.GroupNorm(groups, width), nn.LeakyReLU(SLOPE, inplace=True)
    )
