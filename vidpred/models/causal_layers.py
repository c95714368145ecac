"""Convolutions that see the past of a frame alone: rows above, pixels to the left, colors before.

Pixels come row by row, in a row from left to right, in a pixel color by color. Features are shared
out among the colors in contiguous groups of nearly equal size, so that every layer can keep apart
what may know which color.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidpred.ops.checks import require_positive


def color_groups(features: int, colors: int) -> Tensor:
    """Say to which color each feature belongs, in contiguous groups.

    Args:
        features: How many there are, at least one a color.
        colors: C of the frames.

    Returns:
        int64, shape (features,), from 0 to C - 1, not decreasing.

    Raises:
        ValueError: When a color would have no feature.

    Example:
        >>> color_groups(5, 3)
        tensor([0, 0, 1, 1, 2])
    """
    require_positive("colors", colors)
    if features < colors:
        raise ValueError(
            f"{features} features for {colors} colors; expected at least one feature a color: "
            "set a larger width"
        )
    return torch.arange(features) * colors // features


class CausalConv2d(nn.Module):
    """A convolution over the rows above and the pixels to the left.

    Source: van den Oord et al. 2016 (PixelRNN, arXiv 1601.06759), masks A and B. Only the rows that
    are seen have weights, half of a square kernel.

    Attributes:
        offsets: (row, column) of each tap relative to the pixel, row by row; neither is ahead.
        mask: 1 where a weight counts, shape (outputs, inputs, rows, columns).

    Args:
        inputs: Channels.
        outputs: Channels; of several equal parts (gates), each shared out among the colors.
        kernel_size: Columns, odd; the rows are the pixel's own and `kernel_size // 2` above it.
        sees_itself: Whether a color sees itself in the pixel itself: mask B; the first layer must
            not, mask A.
        colors: C of the frames.
        parts: Of the outputs.
        rows_above: Other than half the kernel.

    Raises:
        ValueError: For an even kernel, or fewer channels than colors.

    Example:
        >>> layer = CausalConv2d(1, 4, 3, sees_itself=False)
        >>> layer(torch.rand(2, 1, 8, 8)).shape
        torch.Size([2, 4, 8, 8])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: int,
        *,
        sees_itself: bool,
        colors: int = 1,
        parts: int = 1,
        rows_above: int | None = None,
    ) -> None:
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size is {kernel_size}; expected an odd number")
        self.reach = kernel_size // 2
        self.rows_above = self.reach if rows_above is None else rows_above
        shape = (outputs, inputs, self.rows_above + 1, kernel_size)
        mask = torch.ones(shape)
        mask[:, :, -1, self.reach + 1 :] = 0
        mask[:, :, -1, self.reach] = _color_mask(inputs, outputs, colors, parts, sees_itself)
        self.register_buffer("mask", mask, persistent=False)
        self.mask: Tensor
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.zeros(outputs))
        # Glorot's, counting the weights that are seen: the masked ones carry nothing.
        taps = self.rows_above * kernel_size + self.reach + sees_itself
        spread = (6 / (taps * inputs + outputs / parts)) ** 0.5
        nn.init.uniform_(self.weight, -spread, spread)

    @property
    def offsets(self) -> list[tuple[int, int]]:
        """Taps that count for some feature; see the class."""
        return [
            (row - self.rows_above, column - self.reach)
            for row in range(self.rows_above + 1)
            for column in range(2 * self.reach + 1)
            if self.mask[:, :, row, column].any()
        ]

    def taps(self) -> Tensor:
        """Give the weights of each tap in `offsets`, shape (taps, inputs, outputs)."""
        weight = self.weight * self.mask
        kept = [
            weight[:, :, row + self.rows_above, column + self.reach] for row, column in self.offsets
        ]
        return torch.stack(kept).transpose(1, 2)

    def forward(self, features: Tensor) -> Tensor:
        """Convolve, (B, inputs, H, W) to (B, outputs, H, W); zeros are beyond the sides."""
        if self.reach or self.rows_above:
            features = F.pad(features, (self.reach, self.reach, self.rows_above, 0))
        return F.conv2d(features, self.weight * self.mask, self.bias)


class RowsAboveConv(nn.Module):
    """A convolution over the row above alone, as the state of a Row LSTM is carried down.

    Args:
        inputs: Channels.
        outputs: Channels.
        kernel_size: Columns, odd.
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int = 3) -> None:
        super().__init__()
        self.offsets = [(-1, column - kernel_size // 2) for column in range(kernel_size)]
        self.rows_above, self.reach = 1, kernel_size // 2
        self.conv = nn.Conv1d(inputs, outputs, kernel_size, padding=self.reach, bias=False)

    def taps(self) -> Tensor:
        """Give the weights of each tap in `offsets`, shape (taps, inputs, outputs)."""
        return self.conv.weight.permute(2, 1, 0)

    def forward(self, row: Tensor) -> Tensor:
        """Convolve the row above, (B, inputs, W) to (B, outputs, W)."""
        carried: Tensor = self.conv(row)
        return carried


def _color_mask(inputs: int, outputs: int, colors: int, parts: int, sees_itself: bool) -> Tensor:
    """Say which input of the pixel itself each output sees, shape (outputs, inputs)."""
    of_inputs = color_groups(inputs, colors)
    of_outputs = color_groups(outputs // parts, colors).repeat(parts)[:, None]
    seen = of_inputs <= of_outputs if sees_itself else of_inputs < of_outputs
    return seen.float()
