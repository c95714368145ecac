"""What single futures of `vidpred.models.FlowRefiner` decide by chance."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from vidpred.models.flow_blend import BLENDED, Refinement
from vidpred.ops.random import normal_like, uniform_like

COARSE = 64
"""Pixels over which one drawn future keeps to one choice."""

NOISE = 0.25
"""Factor on the Gumbel noise of a drawn future's logits."""

SPEED_SPREAD = 0.6
"""Standard deviation of the logarithm of the factor by which a drawn future moves faster."""

DRIFT = 0.3
"""Standard deviation of what a drawn future moves further in x and in y, pixels per frame."""

GROWN = 8
"""Frames ahead at which a future decides all that it does; a part of it before, in proportion."""

STILL = 1.0
"""Pixels of displacement at which half of the drift is added; what is still stays.

All but GROWN were chosen on 22 validation clips for draws of high PSNR and sharpness. Without a
limit at what is still, drifts blur the ground.
"""


@dataclass(frozen=True)
class DrawnFuture:
    """What one future decides; the mean has zeros everywhere.

    Attributes:
        logits: Added to those of the blend, shape (B, BLENDED, H, W).
        log_speed: Logarithm of a factor on motion in x and in y, shape (B, 2, H, W).
        drift: What all that moves is sampled further away, pixels per frame, dx then dy, shape
            (B, 2, H, W).

    H and W may be 1.
    """

    logits: Tensor
    log_speed: Tensor
    drift: Tensor

    def enlarged(self) -> "DrawnFuture":
        """Decide the same of a frame of twice the height and width, smoothly."""
        logits, log_speed, drift = (
            F.interpolate(field, scale_factor=2, mode="bilinear", align_corners=False)
            for field in (self.logits, self.log_speed, self.drift)
        )
        return DrawnFuture(logits, log_speed, drift)

    def at(self, k: int | Tensor) -> "DrawnFuture":
        """Decide what holds for frame k: the less, the nearer it is.

        Args:
            k: Frames ahead, at least 1; of each clip where it is a tensor, shape (B, 1, 1, 1).
        """
        share = torch.as_tensor(k / GROWN).clamp(max=1)
        return DrawnFuture(share * self.logits, share * self.log_speed, share * self.drift)

    def revise(self, refined: Refinement, k: int) -> Refinement:
        """Say of frame k what this future says, given what the mean does."""
        decided = self.at(k)
        return replace(
            refined,
            starts=decided.move(refined.starts, k),
            logits=refined.logits + decided.logits,
        )

    def move(self, starts: Tensor, k: int | Tensor) -> Tensor:
        """Say where this future samples frame k from, given where the mean does.

        Args:
            starts: Relative to where the pixels are, shape (B, N, 2, H, W), pixels.
            k: Frames ahead, at least 1; of each clip where it is a tensor, shape (B, 1, 1, 1, 1).
        """
        starts = starts * self.log_speed.exp()[:, None]
        distance = torch.linalg.vector_norm(starts, dim=2, keepdim=True)
        moving = distance / (distance + STILL)
        moved: Tensor = starts + k * self.drift[:, None] * moving
        return moved


def draw(like: Tensor, generator: torch.Generator | None) -> DrawnFuture:
    """Draw the decisions of one future, whatever the clip shows.

    Args:
        like: Frames, shape (B, C, H, W).
        generator: Of the draw; None is torch's own.
    """
    choice, choices = _parts(_gumbel, like, BLENDED, generator)
    speed, *drift = normal_like(like.new_empty(3, len(like)), generator)
    return DrawnFuture(
        logits=NOISE * (choice + choices),
        log_speed=SPEED_SPREAD * speed[:, None, None, None].expand(-1, 2, -1, -1),
        drift=DRIFT * torch.stack(drift, dim=1)[:, :, None, None],
    )


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
