"""Multiplicative units and residual blocks of them, as Video Pixel Networks stack them."""

import torch
from torch import Tensor, nn

from vidpred.models.causal_layers import CausalConv2d


def multiplicative_unit(features: Tensor, gates: Tensor) -> Tensor:
    """Mix features with an update, as an LSTM without a memory of its own does.

    Source: Kalchbrenner et al. 2017 (Video Pixel Networks, arXiv 1610.00527), section 3.1:
    `g1 * tanh(g2 * h + g3 * u)` with sigmoid gates g1, g2, g3 and a tanh update u.

    Args:
        features: h, shape (N, c, ...).
        gates: The four before their nonlinearities, shape (N, 4 * c, ...).

    Returns:
        Shape (N, c, ...), in (-1, 1).

    Example:
        >>> multiplicative_unit(torch.ones(1, 1), torch.zeros(1, 4))
        tensor([[0.2311]])
    """
    width = features.shape[1]
    first, second, third = gates[:, : 3 * width].sigmoid().chunk(3, dim=1)
    update = gates[:, 3 * width :].tanh()
    return first * torch.tanh(second * features + third * update)


class ResidualMultiplicativeBlock(nn.Module):
    """Two multiplicative units between two convolutions of 1 x 1, added to what came in.

    Source: Kalchbrenner et al. 2017, section 3.2: 2c channels outside, c inside.

    Deviation: no layer normalization.

    Args:
        width: c.
        colors: C of the frames for a decoder, whose units see the past of the frame alone; None for
            an encoder, whose units see all of it.
        dilation: Of the units of an encoder.

    Example:
        >>> ResidualMultiplicativeBlock(4)(torch.rand(1, 8, 6, 6)).shape
        torch.Size([1, 8, 6, 6])
    """

    def __init__(self, width: int, *, colors: int | None = None, dilation: int = 1) -> None:
        super().__init__()

        def layer(inputs: int, outputs: int, kernel_size: int, parts: int = 1) -> nn.Module:
            if colors is not None:
                return CausalConv2d(
                    inputs, outputs, kernel_size, sees_itself=True, colors=colors, parts=parts
                )
            wide = dilation if kernel_size > 1 else 1
            padding = wide * (kernel_size // 2)
            return nn.Conv2d(inputs, outputs, kernel_size, padding=padding, dilation=wide)

        self.reduce = layer(2 * width, width, 1)
        self.first = layer(width, 4 * width, 3, parts=4)
        self.second = layer(width, 4 * width, 3, parts=4)
        self.restore = layer(width, 2 * width, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Give features of the same shape, (N, 2 * c, ...)."""
        inside = self.reduce(features)
        inside = multiplicative_unit(inside, self.first(inside))
        inside = multiplicative_unit(inside, self.second(inside))
        restored: Tensor = features + self.restore(inside)
        return restored
