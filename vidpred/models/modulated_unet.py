"""A U-Net whose lowest level is scaled and shifted by features of the whole clip."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ModulatedUNet(nn.Module):
    """Levels of two 3 x 3 convolutions, each at half the size of the one above.

    Args:
        inputs: Channels that it sees.
        widths: Channels of each level, at least one.
        clip_features: Numbers that scale and shift the lowest level, for the whole clip.
    """

    def __init__(self, inputs: int, widths: Sequence[int], clip_features: int) -> None:
        super().__init__()
        above = (inputs, *widths[:-1])
        self.down = nn.ModuleList(
            _convolutions(before, after, stride=2 if level else 1)
            for level, (before, after) in enumerate(zip(above, widths, strict=True))
        )
        self.up = nn.ModuleList(
            _convolutions(below + here, here)
            for below, here in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.modulate = nn.Linear(clip_features, 2 * widths[-1])
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)

    def forward(self, seen: Tensor, clip: Tensor) -> Tensor:
        """Give features (B, widths[0], H, W) of maps (B, inputs, H, W) and clips (B, F)."""
        maps: Tensor = seen.contiguous(memory_format=torch.channels_last)
        levels: list[Tensor] = []
        for down in self.down:
            maps = down(maps)
            levels.append(maps)
        scale, shift = self.modulate(clip)[:, :, None, None].chunk(2, dim=1)
        maps = maps * (1 + scale) + shift
        for up, level in zip(self.up, levels[-2::-1], strict=True):
            maps = F.interpolate(maps, size=level.shape[-2:], mode="bilinear", align_corners=False)
            maps = up(torch.cat([maps, level], dim=1))
        return maps


def _convolutions(before: int, after: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, padding=1),
        nn.LeakyReLU(0.1, inplace=True),
        nn.Conv2d(after, after, 3, padding=1),
        nn.LeakyReLU(0.1, inplace=True),
    )
