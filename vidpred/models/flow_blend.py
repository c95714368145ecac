"""One frame out of several samples of known ones, for `vidpred.models.FlowRefiner`."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vidpred.models.flow_evidence import HYPOTHESES, Evidence
from vidpred.models.robust_motion import robust_motion
from vidpred.ops.regions import Region
from vidpred.ops.warp import warp_region

MOVED = HYPOTHESES + 1
"""Ways to sample the last frame: by each hypothesis, and by the first one at half the speed."""

BLENDED = MOVED + 2
"""Images that are blended: those, the last frame where it is, and the frame before it, moved."""

COHERENT = 7
"""Pixels, odd, over which a blended motion is averaged.

Neighbors that choose between motions apart tear edges and limbs: on 38 validation clips this leaves
a tenth of the places where the motion folds, for 0.06 dB in moving pixels at the first frame, 0.03
at the fourth and nothing at the eighth. 3 to 17 pixels, medians and guided filters were tried.
"""


@dataclass(frozen=True)
class Refinement:
    """What the network says of one future frame, or of a region of it.

    Attributes:
        starts: Where the pixels of each moved image come from, relative to where they are, shape
            (B, MOVED + 1, 2, H, W), pixels; the last of them in the older frame.
        logits: How much each image counts, before the softmax, shape (B, BLENDED, H, W).
        residual: What is added at the end, shape (B, C, H, W).
        features: Of the network's last layer, shape (B, F, H / 2, W / 2).
    """

    starts: Tensor
    logits: Tensor
    residual: Tensor
    features: Tensor


def blend_images(
    evidence: Evidence, refined: Refinement, weights: Tensor, region: Region
) -> Tensor:
    """Blend the images that the motions sample: closest on average, with double exposures.

    Args:
        evidence: Of the known frames.
        refined: Of the region.
        weights: Of the images, shape (B, BLENDED, H, W).
        region: Of the frame.

    Returns:
        Shape (B, C, H, W).
    """
    *moved, still, older = weights.unsqueeze(2).unbind(1)
    *starts, to_older = refined.starts.unbind(1)
    # One image at a time: all of them at once are slower to write and to add up.
    pred = torch.addcmul(refined.residual, evidence.last[..., *region.slices], still)
    pred = torch.addcmul(pred, warp_region(evidence.older, to_older, region), older)
    for weight, start in zip(moved, starts, strict=True):
        pred = torch.addcmul(pred, warp_region(evidence.last, start, region), weight)
    return pred


def blend_motions(
    evidence: Evidence, refined: Refinement, weights: Tensor, region: Region
) -> Tensor:
    """Blend the motions, and sample the last frame once; see `blend_images`.

    Where the frame stays as it is, it moves by nothing; the older frame is not used. Each pixel
    depends on what is around it, see `COHERENT`.
    """
    still = torch.zeros_like(refined.starts[:, :1])
    candidates = torch.cat([refined.starts[:, :MOVED], still], dim=1)
    motion = robust_motion(candidates, weights[:, : MOVED + 1].unsqueeze(2))
    motion = F.avg_pool2d(
        motion, COHERENT, stride=1, padding=COHERENT // 2, count_include_pad=False
    )
    return warp_region(evidence.last, motion, region)
