"""What pictures of clips share: checks, enlarging, and tiles pasted on a canvas with labels."""

import math
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from vidpred.ops import unit_to_uint8
from vidpred.ops.checks import require_same_shape
from vidpred.viz.signed_difference import DIFFERENCE_GAIN, signed_difference

READABLE_SIDE = 112
"""Frames whose shorter side is below this many pixels are enlarged by a whole factor."""

LONGEST_SIDE = 1280
"""Pixels that the longer side is not enlarged beyond."""

BACKGROUND = (32, 32, 34)  # as of players: on light pages a card, and no glare on dark ones
INK = (236, 236, 236)
PALE_INK = (165, 165, 165)
PREDICTED = (240, 130, 62)  # marks what is predicted, in labels and frames of all pictures


class CanvasClip(NamedTuple):
    """One clip, on the CPU, enlarged, with three channels.

    Attributes:
        context: uint8, shape (T, 3, H, W).
        target: uint8, shape (horizon, 3, H, W).
        pred: Same shape.
        difference: `signed_difference` of prediction and target on black, same shape.
    """

    context: Tensor
    target: Tensor
    pred: Tensor
    difference: Tensor


def prepared_clip(context: Tensor, target: Tensor, pred: Tensor) -> CanvasClip:
    """Check one clip's frames and make them ready to be shown.

    Args:
        context: Past frames, shape (T, C, H, W) in [0, 1], T at least 1, C 1 or 3.
        target: True future frames, shape (horizon, C, H, W) in [0, 1], horizon at least 1.
        pred: Predicted frames, same shape and range as `target`.

    Returns:
        The clip in 8 bits.

    Raises:
        ValueError: For shapes that do not fit together.
    """
    require_same_shape(pred, target)
    require_clips("target", context, target)
    color = signed_difference(pred, target).float() / 255
    difference = color[..., :3, :, :] * color[..., 3:, :, :]
    return CanvasClip(*(shown_frames(frames) for frames in (context, target, pred, difference)))


def shown_frames(frames: Tensor) -> Tensor:
    """Make frames ready to be shown: uint8, three channels, enlarged by a whole factor, on the CPU.

    Args:
        frames: Shape (T, C, H, W) in [0, 1], C 1 or 3.
    """
    frames = unit_to_uint8(frames.detach().float()).cpu().expand(-1, 3, -1, -1)
    shorter, longer = sorted(frames.shape[-2:])
    factor = max(1, min(math.ceil(READABLE_SIDE / shorter), LONGEST_SIDE // longer))
    return frames.repeat_interleave(factor, dim=-2).repeat_interleave(factor, dim=-1)


DIFFERENCE_NAME = f"luma difference x{DIFFERENCE_GAIN}"
"""No longer than fits above the smallest panels; see `signed_difference`."""


def text_size(frames: Tensor) -> int:
    """Give the height of letters, in pixels, that suits frames of shape (..., H, W)."""
    return max(13, min(frames.shape[-2:]) // 12)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Give Pillow's own font, so that no system font is needed."""
    return ImageFont.load_default(size)


def moment(offset: int) -> str:
    """Name a frame by its distance from t, the last known frame."""
    return f"t{offset:+d}" if offset else "t"


def blank(height: int, width: int) -> Image.Image:
    """Give an empty canvas."""
    return Image.new("RGB", (width, height), BACKGROUND)


def paste(canvas: Image.Image, frame: Tensor, left: int, top: int) -> None:
    """Put a uint8 (3, H, W) frame on the canvas."""
    canvas.paste(Image.fromarray(frame.permute(1, 2, 0).contiguous().numpy()), (left, top))


def outline(
    canvas: Image.Image, left: int, top: int, frame: Tensor, color: tuple[int, int, int], by: int
) -> None:
    """Draw a border of `by` pixels around the place of a frame, outside it."""
    height, width = frame.shape[-2:]
    ImageDraw.Draw(canvas).rectangle(
        (left - by, top - by, left + width - 1 + by, top + height - 1 + by),
        outline=color,
        width=by,
    )


def to_tensor(canvas: Image.Image) -> Tensor:
    """Give the canvas as uint8, shape (3, H, W)."""
    return torch.from_numpy(np.array(canvas)).permute(2, 0, 1).contiguous()


def require_clips(name: str, context: Tensor, frames: Tensor) -> None:
    """Refuse known and future frames that are not one clip (T, C, H, W) each, of equal frames."""
    for said, given in (("context", context), (name, frames)):
        if given.ndim != 4 or 0 in given.shape or given.shape[1] not in (1, 3):
            raise ValueError(
                f"{said} has shape {tuple(given.shape)}; "
                "expected one clip (T, C, H, W) with C 1 or 3"
            )
    if context.shape[1:] != frames.shape[1:]:
        raise ValueError(
            f"context has frames of {tuple(context.shape[1:])}, {name} of "
            f"{tuple(frames.shape[1:])}; expected equal frames"
        )
