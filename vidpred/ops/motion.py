"""Which pixels move."""

import torch
from torch import Tensor

from vidpred.ops.checks import require_frames

MOTION_THRESHOLD = 0.04
"""Default of `frame_difference_mask`: about ten gray levels, above the coding noise of UCF101."""


def frame_difference_mask(
    frames: Tensor, horizon: int, threshold: float = MOTION_THRESHOLD
) -> Tensor:
    """Mark the pixels that moved in the last known motion before each target.

    Source of the timing: Mathieu et al. 2016, released code: frame t is judged where frame t - 1
    differed from frame t - 2, so the mask never looks at the target itself. The authors mark motion
    by optical flow; this mask is the difference of frames, and results name it so.

    Args:
        frames: True frames, context then targets, shape (B, T, C, H, W) in [0, 1], T at least
            horizon + 2.
        horizon: Number of targets at the end of `frames`.
        threshold: A pixel moves when any channel changes by more than this, of full scale.

    Returns:
        Boolean, shape (B, horizon, 1, H, W), true where moving.

    Raises:
        TypeError: When the frames are not floating point.
        ValueError: When fewer than two frames come before the first target.

    Example:
        >>> import torch
        >>> frames = torch.zeros(1, 3, 3, 8, 8)
        >>> frames[:, 1, :, :2] = 1  # two rows of eight change between the known frames
        >>> frame_difference_mask(frames, horizon=1).float().mean().item()
        0.25
    """
    change = torch.diff(known_frames(frames, horizon), dim=1).abs()
    return change.amax(dim=2, keepdim=True) > threshold


def known_frames(frames: Tensor, horizon: int) -> Tensor:
    """Give the frames whose motion is known when each target is predicted.

    Args:
        frames: True frames, context then targets, shape (B, T, C, H, W) in [0, 1], T at least
            horizon + 2.
        horizon: Number of targets at the end of `frames`.

    Returns:
        Shape (B, horizon + 1, C, H, W): frames k and k + 1 are the two before target k.

    Raises:
        TypeError: When the frames are not floating point.
        ValueError: When fewer than two frames come before the first target.

    Example:
        >>> import torch
        >>> known_frames(torch.rand(1, 6, 3, 8, 8), horizon=2).shape
        torch.Size([1, 3, 3, 8, 8])
    """
    require_frames("frames", frames)
    if not frames.is_floating_point():
        # Differences of unsigned integers wrap around.
        raise TypeError(
            f"frames are {frames.dtype}; expected floating point in [0, 1]: "
            "vidpred.ops.to_unit takes uint8 frames there"
        )
    first = frames.shape[1] - horizon
    if horizon < 1 or first < 2:
        raise ValueError(
            f"{frames.shape[1]} frames with horizon {horizon}; expected a horizon of at least 1 "
            "after at least 2 context frames"
        )
    return frames[:, first - 2 : -1]
