"""What the evaluation code of Mathieu et al. 2016 does to the frames of all its metrics.

Source: the released code, restated. It measures in [-1, 1], multiplies by 128 and compares with a
peak of 255, so its dB lie 0.034 below those of "peak 2 on [-1, 1]". Static pixels are blacked out
in both images, and the whole image is then measured: with 10 % of the pixels moving, dB are 10
higher than over the moving pixels alone.
"""

import torch
from torch import Tensor

PEAK = 255.0
HALF_SCALE = 128.0  # not 127.5: the source of the 0.034 dB
FLOOR = 1e-4  # replaces a denominator that is not above it; caps the scale at 88.13 dB


def black_out(frames: Tensor, mask: Tensor | None) -> Tensor:
    """Set static pixels to black, which is -1 in the authors' [-1, 1] and 0 in ours."""
    return frames if mask is None else frames * mask


def decibels(mean: Tensor, mask: Tensor | None) -> Tensor:
    """Take a mean over whole frames (of squares or absolutes) to the authors' dB.

    Args:
        mean: Of differences in [-1, 1] units, shape (B, T).
        mask: The mask that `black_out` had.

    Returns:
        Shape (B, T), at most 88.13; NaN where nothing moves.
    """
    denominator = HALF_SCALE**2 * mean
    denominator = torch.where(denominator > FLOOR, denominator, FLOOR)
    return without_still_frames(10 * torch.log10(PEAK**2 / denominator), mask)


def without_still_frames(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Give NaN where no pixel moves.

    The code itself gives two black images their best score there, and its 50 dB rule then throws
    the clip out.
    """
    if mask is None:
        return scores
    return scores.where(mask.flatten(2).any(dim=2), torch.nan)
