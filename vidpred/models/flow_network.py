"""What a U-Net says of every pixel of a future frame, for `vidpred.models.FlowRefiner`."""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidpred.models.flow_blend import BLENDED, MOVED
from vidpred.models.flow_evidence import HYPOTHESES, Evidence, halve, num_cues
from vidpred.models.flow_hindsight import FLOW_UNIT
from vidpred.models.modulated_unet import ModulatedUNet
from vidpred.ops.regions import Region
from vidpred.ops.warp import warp_region

CHANNELS = 3
"""Of the frames that the network sees; gray ones are shown to it as RGB."""

RESIDUAL = 0.1
"""Most that is added to a blended pixel, of full scale."""

REACH = 4.0
"""Pixels by which an output of 1 moves a sample."""


class PixelDecisions(NamedTuple):
    """What is decided for each pixel; without training all are 0.

    Attributes:
        shifts: How much further away each moved image is sampled, pixels, shape
            (B, MOVED + 1, 2, H, W).
        log_speed: Logarithm of a factor on its motion, shape (B, MOVED + 1, 1, H, W).
        logits: Added to those of the blend, shape (B, BLENDED, H, W).
        residual: Added to the blended image, shape (B, 3, H, W).
        features: Of the last layer, shape (B, widths[0], H / 2, W / 2).
    """

    shifts: Tensor
    log_speed: Tensor
    logits: Tensor
    residual: Tensor
    features: Tensor


class FlowNetwork(nn.Module):
    """Sees the frames, the motions and how far they can be trusted, at half the frame's size.

    Args:
        widths: Channels of the U-Net, one a level, at least one.
        context_frames: Past frames.
        clip_features: Numbers of the clip-level branch.
    """

    def __init__(self, widths: Sequence[int], *, context_frames: int, clip_features: int) -> None:
        super().__init__()
        seen = 4 * 4 * CHANNELS + num_cues(context_frames, CHANNELS) + 2 * HYPOTHESES + 3
        self.unet = ModulatedUNet(seen, widths, clip_features)
        self.flow_head = nn.Conv2d(widths[0], 3 * (MOVED + 1), 3, padding=1)
        self.pixel_head = nn.Conv2d(widths[0], 4 * (BLENDED + CHANNELS), 3, padding=1)
        for head in (self.flow_head, self.pixel_head):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(cast(Tensor, head.bias))
        # A 3 x 3 convolution sees 1 pixel of its level to each side, a level has four of them, and
        # enlarging sees 1 pixel of the level below; level i has pixels of 2 ** (i + 1).
        self.radius = sum(6 * 2 ** (level + 1) for level in range(len(widths)))

    def forward(
        self, evidence: Evidence, paths: Tensor, k: int, clip: Tensor, region: Region
    ) -> PixelDecisions:
        """Decide for a region of frame k; see `vidpred.models.FlowRefiner.refine`."""
        with torch.no_grad():
            seen = _seen(evidence, paths, k, region)
        features = self.unet(seen.to(clip.dtype), clip)
        # Planes from here on: whatever follows takes channels one by one.
        moves, pixels = (
            head(features).float().contiguous() for head in (self.flow_head, self.pixel_head)
        )
        moves = F.interpolate(moves, scale_factor=2, mode="bilinear", align_corners=False)
        moves = torch.unflatten(moves, 1, (MOVED + 1, 3))
        pixels = F.pixel_shuffle(pixels, 2)
        return PixelDecisions(
            shifts=REACH * moves[:, :, :2],
            log_speed=moves[:, :, 2:],
            logits=pixels[:, :BLENDED],
            residual=RESIDUAL * torch.tanh(pixels[:, BLENDED:]),
            features=features.float(),
        )


def _seen(evidence: Evidence, paths: Tensor, k: int, region: Region) -> Tensor:
    """Collect what the network sees, shape (B, N, H / 2, W / 2)."""
    batch, _, height, width = paths[0].shape
    to_older = paths[0] + warp_region(evidence.back, paths[0], region)
    images = [
        warp_region(evidence.last, paths[0], region),
        warp_region(evidence.older, to_older, region),
        warp_region(evidence.last, paths[2], region),
        evidence.last[..., *region.slices],
    ]
    halved = halve(paths.flatten(0, 1))
    halved = halved.view(HYPOTHESES, batch, 2, height // 2, width // 2)
    spread = (halved - halved[0]).square().sum(2).sqrt().amax(0)[:, None]
    return torch.cat(
        [
            F.pixel_unshuffle(torch.cat(images, dim=1) - 0.5, 2),
            warp_region(evidence.cues, halved[0] / 2, region.halved()),
            *(path / FLOW_UNIT for path in halved),
            spread / FLOW_UNIT,
            torch.full_like(spread, 1 / k),
            torch.full_like(spread, k / 8),
        ],
        dim=1,
    )
