"""Near-duplicate frames, as conversions of the frame rate leave them."""

import torch
from torch import Tensor

from vidpred.ops.checks import require_frames
from vidpred.ops.frame_format import to_gray

STILL = 0.05 / 255
"""Mean absolute luma difference, of full scale, below which two frames are near duplicates."""

SHARE = 0.15
"""Share of what is usual between two frames below which they are near duplicates."""


def luma_differences(frames: Tensor) -> Tensor:
    """Give the mean absolute luma difference (Rec. 601) between neighboring frames.

    Args:
        frames: Shape (B, T, C, H, W), floating point in [0, 1], C = 3 (RGB) or 1 (gray).

    Returns:
        Shape (B, T - 1) in [0, 1]: entry k is the difference between frames k and k + 1.

    Raises:
        TypeError: When the frames are not floating point.
        ValueError: For another number of dimensions or channels.

    Example:
        >>> frames = torch.tensor([0.0, 0.5, 0.5]).view(1, 3, 1, 1, 1).expand(1, 3, 3, 4, 4)
        >>> luma_differences(frames).round(decimals=3)
        tensor([[0.5000, 0.0000]])
    """
    require_frames("frames", frames)
    if not frames.is_floating_point():
        raise TypeError(
            f"frames are {frames.dtype}; expected floating point in [0, 1]: "
            "vidpred.ops.to_unit takes uint8 frames there"
        )
    if frames.shape[2] not in (1, 3):
        raise ValueError(f"frames have {frames.shape[2]} channels; expected 3 (RGB) or 1 (gray)")
    return torch.diff(to_gray(frames), dim=1).abs().mean(dim=(2, 3, 4))


def near_duplicates(frames: Tensor) -> Tensor:
    """Mark frames that nearly repeat the frame before them.

    A pair is a near duplicate when its mean absolute luma difference is below 0.05 gray levels of
    255, or below 15 % of the median over the clip's pairs. Where a clip as a whole hardly moves,
    every pair is one.

    Args:
        frames: Shape (B, T, C, H, W), floating point in [0, 1], C = 3 (RGB) or 1 (gray).

    Returns:
        Boolean, shape (B, T - 1): entry k says whether frame k + 1 nearly repeats frame k.

    Raises:
        TypeError: When the frames are not floating point.
        ValueError: For another number of dimensions or channels, or fewer than two frames.

    Example:
        >>> levels = torch.tensor([0.1, 0.2, 0.3, 0.3, 0.4])
        >>> near_duplicates(levels.view(1, 5, 1, 1, 1).expand(1, 5, 1, 4, 4))
        tensor([[False, False,  True, False]])
    """
    change = luma_differences(frames)
    if change.shape[1] < 1:
        raise ValueError(f"a clip of {frames.shape[1]} frame; expected at least 2, which differ")
    # Of an even number, the mean of both in the middle; torch's median is the smaller one, which of
    # a clip that repeats every frame is the change of a repetition.
    ordered, count = change.sort(dim=1).values, change.shape[1]
    usual = (ordered[:, (count - 1) // 2] + ordered[:, count // 2])[:, None] / 2
    return (change < STILL) | (change < SHARE * usual)
