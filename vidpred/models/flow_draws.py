"""What single futures of `vidpred.models.FlowRefiner` decide by chance."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vidpred.ops.random import normal_like, uniform_like

COARSE = 64
"""Pixels over which one drawn future keeps to one choice and speed."""

NOISE = 0.25
"""Factor on the Gumbel noise of a drawn future's logits."""

DECISION = 2.0
"""Factor on the logits of a drawn future: 1 blends as the mean does, above 5 chooses one image."""

CLIP_SPREAD, AREA_SPREAD = 0.6, 0.5
"""Standard deviations of the logarithm of a drawn future's speed, of the clip and of areas.

They, `NOISE` and `DECISION` were chosen on validation clips: draws are as sharp as optical flow's
frames, and the best of 10 is better than the mean.
"""


@dataclass(frozen=True)
class DrawnFuture:
    """What one future decides, the same for all of its frames.

    Attributes:
        noise: Of the blend's logits, shape (B, images, H, W).
        speed: Factor on all motion, shape (B, 1, 1, H, W).
    """

    noise: Tensor
    speed: Tensor


def draw(like: Tensor, images: int, generator: torch.Generator | None) -> DrawnFuture:
    """Draw the decisions of one future.

    Args:
        like: Frames, shape (B, C, H, W).
        images: How many are blended.
        generator: Of the draw; None is torch's own.
    """
    choice, choices = _parts(_gumbel, like, images, generator)
    speed, speeds = _parts(normal_like, like, 1, generator)
    factors = (CLIP_SPREAD * speed + AREA_SPREAD * speeds).exp()
    return DrawnFuture(noise=NOISE * (choice + choices), speed=factors.unsqueeze(1))


def _parts(
    distribution: Callable[[Tensor, torch.Generator | None], Tensor],
    like: Tensor,
    channels: int,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor]:
    """Draw values of the whole clip (B, C, 1, 1), and smooth ones of its areas (B, C, H, W)."""
    batch, _, height, width = like.shape
    rows, columns = -(-height // COARSE) + 1, -(-width // COARSE) + 1
    clip = distribution(like.new_empty(batch, channels, 1, 1), generator)
    coarse = distribution(like.new_empty(batch, channels, rows, columns), generator)
    areas = F.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=True)
    return clip, areas


def _gumbel(like: Tensor, generator: torch.Generator | None) -> Tensor:
    uniform = uniform_like(like, generator).clamp(1e-6, 1 - 1e-6)
    return -(-uniform.log()).log()
