"""Size and color of frames: the same functions in training, evaluation and prediction."""

from collections.abc import Sequence

from torch import Tensor

from vidpred.ops.range import to_unit, unit_to_uint8


def to_gray(frames: Tensor) -> Tensor:
    """Give the luma of frames, Rec. ITU-R BT.601: `0.299 R + 0.587 G + 0.114 B`.

    Of the stored, gamma-encoded values, as television and JPEG take it; gray frames stay as they
    are.

    Args:
        frames: Shape (..., C, H, W) with C 3 or 1, float in [0, 1].

    Returns:
        Shape (..., 1, H, W), same range.

    Raises:
        TypeError: When frames are not floating point, whose luma would be rounded unseen.
        ValueError: When they have another number of channels.

    Example:
        >>> import torch
        >>> to_gray(torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1)).shape
        torch.Size([1, 1, 1])
    """
    if not frames.is_floating_point():
        raise TypeError(
            f"frames are {frames.dtype}; expected floating point in [0, 1]: reformat_uint8 takes "
            "uint8 frames"
        )
    channels = frames.shape[-3] if frames.ndim >= 3 else 0
    if channels not in (1, 3):
        raise ValueError(
            f"frames have shape {tuple(frames.shape)}; expected (..., C, H, W) with C 1 or 3"
        )
    if channels == 1:
        return frames
    from kornia.color import rgb_to_grayscale  # here: it takes a quarter of a second

    luma: Tensor = rgb_to_grayscale(frames)
    return luma


def resize_frames(frames: Tensor, size: Sequence[int]) -> Tensor:
    """Resize whole frames: bilinear with antialiasing, the aspect is not kept.

    The fit `resize` of protocols. Frames of that size already are given back as they are.

    Args:
        frames: Shape (..., C, H, W), float in [0, 1].
        size: Rows and columns.

    Returns:
        Shape (..., C, *size), same range.
    """
    wanted = [int(length) for length in size]
    if list(frames.shape[-2:]) == wanted:
        return frames
    from torchvision.transforms.v2 import functional as TF  # here: it takes seconds

    resized: Tensor = TF.resize(frames, wanted, antialias=True)
    return resized.clamp(0, 1)


def reformat_uint8(frames: Tensor, *, size: Sequence[int] | None, gray: bool) -> Tensor:
    """Bring 8-bit frames to a size and color, rounding once, at the end.

    Args:
        frames: uint8, shape (..., 3, H, W) or (..., 1, H, W).
        size: Rows and columns; None keeps the size.
        gray: Whether to take the luma.

    Returns:
        uint8, shape (..., C, H', W'): `resize_frames` and `to_gray`, rounded to 8 bits. The frames
        themselves where nothing is asked for.
    """
    keeps_size = size is None or list(frames.shape[-2:]) == [int(length) for length in size]
    keeps_color = not gray or frames.shape[-3] == 1
    if keeps_size and keeps_color:
        return frames
    changed = to_unit(frames)
    if size is not None:
        changed = resize_frames(changed, size)
    return unit_to_uint8(to_gray(changed) if gray else changed)
