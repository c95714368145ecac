"""The decoder of a Video Pixel Network: a distribution of each color of each pixel of a frame."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidpred.models.causal_layers import CausalConv2d
from vidpred.models.multiplicative import ResidualMultiplicativeBlock
from vidpred.models.row_lstm import RowLSTM

LEVELS = 256
"""Values of a pixel in 8 bits."""

PAST_GAIN = 4.0
"""Factor, ours, on the first weights for features of the past: an LSTM's state is small at first,
and a decoder that does not see it learns the frame alone."""

FIRST_KERNEL = 7
"""Columns that the first layer sees (van den Oord et al. 2016, table 1)."""

PixelDistribution = Literal["categorical", "bernoulli"]
"""256 levels by softmax, or the probability of white."""

PixelLayers = Literal["multiplicative", "row_lstm"]
"""What a decoder stacks: masked residual multiplicative blocks, or Row LSTMs."""


class PixelDecoder(nn.Module):
    """Says how likely each value of each pixel is, given those before it and features of the past.

    Every layer is a convolution that sees the past of the frame, or acts on each pixel by itself:
    `forward` also takes pixels without their places, shape (N, C), where the convolutions remember
    what they have seen (`vidpred.models.pixel_sampling`).

    Args:
        colors: C of the frames.
        width: c; features have 2c channels.
        num_blocks: Blocks between the first layer and the last two.
        past_features: Channels of the features of the past.
        layers: What is stacked.
        distribution: Of a pixel.
    """

    def __init__(
        self,
        colors: int,
        width: int,
        num_blocks: int,
        past_features: int,
        *,
        layers: PixelLayers = "multiplicative",
        distribution: PixelDistribution = "categorical",
    ) -> None:
        super().__init__()
        self.colors, self.distribution = colors, distribution
        self.outputs = LEVELS if distribution == "categorical" else 1
        block = ResidualMultiplicativeBlock if layers == "multiplicative" else RowLSTM
        self.first = CausalConv2d(colors, 2 * width, FIRST_KERNEL, sees_itself=False, colors=colors)
        self.past = nn.Conv2d(past_features, 2 * width, 1)
        self.blocks = nn.ModuleList(block(width, colors=colors) for _ in range(num_blocks))
        self.hidden = CausalConv2d(2 * width, 2 * width, 1, sees_itself=True, colors=colors)
        self.last = CausalConv2d(
            2 * width, colors * self.outputs, 1, sees_itself=True, colors=colors
        )
        with torch.no_grad():
            self.past.weight.mul_(PAST_GAIN)
        # Nearly uniform at first, and a gradient for every layer.
        nn.init.normal_(self.last.weight, std=0.01)

    def condition(self, past: Tensor) -> Tensor:
        """Give what features of the past, (B, past_features, H, W), add: (B, 2 * c, H, W)."""
        added: Tensor = self.past(past)
        return added

    def forward(self, frame: Tensor, condition: Tensor) -> Tensor:
        """Give logits of every pixel, of which none sees itself or what follows.

        Args:
            frame: In [0, 1], shape (B, C, H, W), or pixels (N, C).
            condition: What the past adds, shape (B, 2 * c, H, W), or (N, 2 * c).

        Returns:
            Shape (B, C, outputs, H, W), or (N, C, outputs): outputs are 256 levels, or one logit of
            white.
        """
        features = self.first(frame) + condition
        for block in self.blocks:
            features = block(features)
        logits = self.last(F.silu(self.hidden(F.silu(features))))
        return torch.unflatten(logits, 1, (self.colors, self.outputs))

    def log_prob(self, logits: Tensor, frame: Tensor) -> Tensor:
        """Give how likely frames are.

        Args:
            logits: Shape (B, C, outputs, H, W).
            frame: In [0, 1], shape (B, C, H, W); of 256 levels where the distribution has them.

        Returns:
            Shape (B,), nats, summed over colors and pixels. Of a Bernoulli distribution and gray
            frames: the mean over frames whose pixels are white as often as they are gray, as
            Kalchbrenner et al. 2017 score Moving MNIST.
        """
        if self.distribution == "bernoulli":
            nats = F.binary_cross_entropy_with_logits(
                logits[:, :, 0].float(), frame.float(), reduction="none"
            )
        else:
            levels = (frame * (LEVELS - 1)).round().long()
            nats = F.cross_entropy(logits.transpose(1, 2).float(), levels, reduction="none")
        return -nats.flatten(1).sum(dim=1)

    def draw(self, logits: Tensor, uniform: Tensor) -> Tensor:
        """Turn uniform numbers into values by the inverse of the cumulative distribution.

        Args:
            logits: Shape (N, outputs).
            uniform: In [0, 1), shape (N,).

        Returns:
            Shape (N,), in [0, 1]: one of 256 levels, or 0 and 1; NaN where a logit is.
        """
        if self.distribution == "bernoulli":
            white = logits[:, 0].sigmoid()
            return (uniform < white).to(logits.dtype) + 0 * white
        shares = logits.softmax(dim=1)
        below = (shares.cumsum(dim=1) <= uniform[:, None]).sum(dim=1)
        return below.clamp(max=LEVELS - 1).to(logits.dtype) / (LEVELS - 1) + 0 * shares[:, 0]
