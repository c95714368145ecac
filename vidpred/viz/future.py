"""What was known and what was predicted, where the truth is not known."""

import torch
from PIL import ImageDraw
from torch import Tensor

from vidpred.viz.canvas import (
    PALE_INK,
    PREDICTED,
    blank,
    font,
    moment,
    outline,
    paste,
    require_clips,
    shown_frames,
    text_size,
    to_tensor,
)

_GAP = 4  # between frames
_NOW = 14  # between what is known and what is predicted
_BORDER = 2


def future_strip(context: Tensor, pred: Tensor) -> Tensor:
    """Show known and predicted frames side by side.

    Args:
        context: Past frames, shape (T, C, H, W) in [0, 1], T at least 1, C 1 or 3.
        pred: Predicted frames, shape (horizon, C, H, W) in [0, 1].

    Returns:
        The picture, uint8, shape (3, H', W').

    Raises:
        ValueError: For shapes that do not fit together.

    Example:
        >>> import torch
        >>> future_strip(torch.rand(4, 3, 32, 48), torch.rand(2, 3, 32, 48)).ndim
        3
    """
    return _row(*_prepared(context, pred))


def future_video(context: Tensor, pred: Tensor) -> Tensor:
    """Play known and predicted frames; a colored border and the label mark the prediction.

    Args:
        context: As for `future_strip`.
        pred: As for `future_strip`.

    Returns:
        Video frames, uint8, shape (T + horizon, 3, H', W') with even H' and W'.

    Raises:
        ValueError: For shapes that do not fit together.

    Example:
        >>> import torch
        >>> future_video(torch.rand(4, 3, 32, 48), torch.rand(2, 3, 32, 48)).shape[0]
        6
    """
    known, future = _prepared(context, pred)
    single = [_row(known[k : k + 1], future[:0], k - len(known) + 1) for k in range(len(known))]
    single += [_row(known[:0], future[k : k + 1], k + 1) for k in range(len(future))]
    return torch.stack(single)


def _prepared(context: Tensor, pred: Tensor) -> tuple[Tensor, Tensor]:
    require_clips("pred", context, pred)
    return shown_frames(context), shown_frames(pred)


def _row(known: Tensor, future: Tensor, first: int | None = None) -> Tensor:
    """Draw frames side by side; `first` is the moment of the first one."""
    frames = torch.cat((known, future))
    height, width = frames.shape[-2:]
    size = text_size(frames)
    header = 2 * size
    first = 1 - len(known) if first is None else first
    now = _NOW - _GAP if len(known) and len(future) else 0
    lefts = [
        _GAP + k * (width + _GAP) + (now if k >= len(known) else 0) for k in range(len(frames))
    ]
    full_height, full_width = header + height + _GAP, lefts[-1] + width + _GAP
    canvas = blank(full_height + full_height % 2, full_width + full_width % 2)
    draw = ImageDraw.Draw(canvas)
    for k, (left, frame) in enumerate(zip(lefts, frames, strict=True)):
        paste(canvas, frame, left, header)
        predicted = k >= len(known)
        color = PREDICTED if predicted else PALE_INK
        label = f"{moment(first + k)} {'predicted' if predicted else 'known'}"
        draw.text((left + width / 2, header / 2), label, color, font(size), "mm")
        if predicted:
            outline(canvas, left, header, frame, PREDICTED, by=_BORDER)
    return to_tensor(canvas)
