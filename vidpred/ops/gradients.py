"""Absolute differences between neighboring pixels."""

from torch import Tensor

from vidpred.ops.checks import require_frame_size


def spatial_gradients(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Give the absolute differences between neighboring pixels along W and along H.

    Nothing is padded: an image border is not an edge, so a constant frame has no gradient anywhere.

    Args:
        frames: Shape (..., H, W) with H and W at least 2, any range.

    Returns:
        `(along_w, along_h)` of shapes (..., H, W - 1) and (..., H - 1, W), in the frames' unit.

    Raises:
        ValueError: When a frame is smaller than 2 x 2.

    Example:
        >>> import torch
        >>> ramp = torch.arange(4.0).expand(1, 1, 4, 4)
        >>> [gradient.abs().sum().item() for gradient in spatial_gradients(ramp)]
        [12.0, 0.0]
    """
    require_frame_size(frames, minimum=2)
    along_w = (frames[..., :, 1:] - frames[..., :, :-1]).abs()
    along_h = (frames[..., 1:, :] - frames[..., :-1, :]).abs()
    return along_w, along_h
