"""A U-Net of residual blocks, all of which are scaled and shifted by a vector."""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GROUP = 32
"""Channels that are normalized together; Alonso et al. 2024, released code."""

HEAD = 8
"""Channels of an attention head; Alonso et al. 2024, released code."""


class ConditionalUNet(nn.Module):
    """Levels of residual blocks, each at half the size of the one above, with every skip there is.

    Source: the U-Net of DIAMOND (Alonso et al. 2024, arXiv 2405.12399), whose outputs these are for
    the same weights; its frames are padded by their last pixels here, by zeros there.

    Args:
        widths: Channels of each level, finest first.
        blocks: Residual blocks of a level on the way down; one more on the way up.
        features: Numbers of the vector.
        attention: Whether the two lowest blocks attend to the whole frame.
    """

    def __init__(
        self, widths: Sequence[int], blocks: int, features: int, *, attention: bool
    ) -> None:
        super().__init__()
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        self.shrink, self.enlarge = nn.ModuleList(), nn.ModuleList()
        for level, width in enumerate(widths):
            above = widths[max(0, level - 1)]
            before = [above, *[width] * (blocks - 1)]
            self.down.append(_blocks(before, [width] * blocks, features))
            before, after = [2 * width] * blocks + [above + width], [width] * blocks + [above]
            self.up.append(_blocks(before, after, features))
            if level:
                shrink = nn.Conv2d(above, above, 3, stride=2, padding=1)
                nn.init.orthogonal_(shrink.weight)
                self.shrink.append(shrink)
                self.enlarge.append(nn.Conv2d(above, above, 3, padding=1))
        lowest = widths[-1]
        self.bottom = _blocks([lowest] * 2, [lowest] * 2, features, attention=attention)

    def forward(self, maps: Tensor, vector: Tensor) -> Tensor:
        """Give features (B, widths[0], H, W) of maps (B, widths[0], H, W) and vectors (B, F)."""
        skips: list[Tensor] = []
        for level, down in enumerate(self.down):
            maps = self.shrink[level - 1](maps) if level else maps
            skips.append(maps)
            for block in cast(nn.ModuleList, down):
                maps = block(maps, vector)
                skips.append(maps)
        for block in self.bottom:
            maps = block(maps, vector)
        for level in reversed(range(len(self.up))):
            for block in cast(nn.ModuleList, self.up[level]):
                maps = block(torch.cat([maps, skips.pop()], dim=1), vector)
            if level:
                maps = self.enlarge[level - 1](F.interpolate(maps, scale_factor=2, mode="nearest"))
        return maps


class _Block(nn.Module):
    """Two convolutions after normalizations that the vector scales and shifts."""

    def __init__(self, before: int, after: int, features: int, *, attention: bool) -> None:
        super().__init__()
        self.project = nn.Identity() if before == after else nn.Conv2d(before, after, 1)
        self.norm1, self.norm2 = nn.Linear(features, 2 * before), nn.Linear(features, 2 * after)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        self.attend = _Attention(after) if attention else nn.Identity()

    def forward(self, maps: Tensor, vector: Tensor) -> Tensor:
        inner = self.conv1(F.silu(_modulated(maps, self.norm1(vector))))
        inner = self.conv2(F.silu(_modulated(inner, self.norm2(vector))))
        attended: Tensor = self.attend(inner + self.project(maps))
        return attended


class _Attention(nn.Module):
    """Self-attention over all places of a map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = divisor(channels, channels // HEAD)
        self.norm = nn.GroupNorm(_groups(channels), channels)
        self.inward, self.outward = (
            nn.Conv2d(channels, 3 * channels, 1),
            nn.Conv2d(channels, channels, 1),
        )
        nn.init.zeros_(self.outward.weight)
        nn.init.zeros_(cast(Tensor, self.outward.bias))

    def forward(self, maps: Tensor) -> Tensor:
        batch, channels, height, width = maps.shape
        maps = self.norm(maps)  # what is added to, too, as in the release
        parts = self.inward(maps).reshape(batch, 3 * self.heads, -1, height * width)
        query, key, value = parts.transpose(2, 3).chunk(3, dim=1)
        attended = F.scaled_dot_product_attention(query, key, value)
        attended = attended.transpose(2, 3).reshape(batch, channels, height, width)
        out: Tensor = maps + self.outward(attended)
        return out


def _blocks(
    before: Sequence[int], after: Sequence[int], features: int, *, attention: bool = False
) -> nn.ModuleList:
    return nn.ModuleList(
        _Block(width_in, width, features, attention=attention)
        for width_in, width in zip(before, after, strict=True)
    )


def _modulated(maps: Tensor, changes: Tensor) -> Tensor:
    scale, shift = changes[:, :, None, None].chunk(2, dim=1)
    return F.group_norm(maps, _groups(maps.shape[1])) * (1 + scale) + shift


def _groups(channels: int) -> int:
    return divisor(channels, channels // GROUP)


def divisor(number: int, most: int) -> int:
    """Give the largest divisor that is at most `most`, and at least 1."""
    return next(count for count in range(max(1, most), 0, -1) if number % count == 0)
