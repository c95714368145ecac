"""One clip as a video."""

import torch
from PIL import ImageDraw
from torch import Tensor

from vidpred.viz.canvas import (
    DIFFERENCE_NAME,
    INK,
    PALE_INK,
    PREDICTED,
    blank,
    font,
    moment,
    outline,
    paste,
    prepared_clip,
    text_size,
    to_tensor,
)

_GAP = 10
_BORDER = 4


def side_by_side(context: Tensor, target: Tensor, pred: Tensor) -> Tensor:
    """Play truth, prediction and their difference next to each other.

    While the past plays, all show what is known and the difference is black; from the first
    predicted frame on, a colored border and the label show that the prediction runs.

    Args:
        context: Past frames, shape (T, C, H, W) in [0, 1], T at least 1, C 1 or 3.
        target: True future frames, shape (horizon, C, H, W) in [0, 1].
        pred: Predicted frames, same shape and range as `target`.

    Returns:
        Video frames, uint8, shape (T + horizon, 3, H', W') with even H' and W', as most video
        formats ask.

    Raises:
        ValueError: For shapes that do not fit together.
    """
    clip = prepared_clip(context, target, pred)
    past = len(clip.context)
    truth = torch.cat((clip.context, clip.target))
    shown = torch.cat((clip.context, clip.pred))
    difference = torch.cat((torch.zeros_like(clip.context), clip.difference))
    return torch.stack(
        [
            _frame((truth[k], shown[k], difference[k]), offset=k - past + 1)
            for k in range(len(truth))
        ]
    )


def side_by_side_frame(truth: Tensor, pred: Tensor, *, offset: int) -> Tensor:
    """Show one frame of truth, prediction and their difference next to each other.

    Args:
        truth: True frame, shape (C, H, W) in [0, 1], C 1 or 3.
        pred: Predicted frame, same shape and range; of a known frame, the same frame.
        offset: Frames after the last known one; the past is 0 and below.

    Returns:
        As a frame of `side_by_side`: uint8, shape (3, H', W') with even H' and W'.

    Raises:
        ValueError: For shapes that do not fit together.
    """
    clip = prepared_clip(truth[None], truth[None], pred[None])
    return _frame((clip.target[0], clip.pred[0], clip.difference[0]), offset=offset)


def _frame(panels: tuple[Tensor, Tensor, Tensor], *, offset: int) -> Tensor:
    height, width = panels[0].shape[-2:]
    size = text_size(panels[0])
    small, header, footer = font(size), 2 * size, 2 * size + 2
    lefts = [_GAP + k * (width + _GAP) for k in range(len(panels))]
    full_height = header + height + footer
    full_width = lefts[-1] + width + _GAP
    canvas = blank(full_height + full_height % 2, full_width + full_width % 2)
    draw = ImageDraw.Draw(canvas)
    future = offset > 0
    names = ("truth", "prediction" if future else "known", DIFFERENCE_NAME)
    for k, (left, panel) in enumerate(zip(lefts, panels, strict=True)):
        marked = future and k == 1
        paste(canvas, panel, left, header)
        if marked:
            outline(canvas, left, header, panel, PREDICTED, by=_BORDER)
        color = PREDICTED if marked else INK
        draw.text((left + width / 2, header / 2), names[k], color, small, "mm")
    draw.text(
        (canvas.width / 2, header + height + footer / 2 + 1),
        f"{moment(offset)}  {'predicted' if future else 'known'}",
        PREDICTED if future else PALE_INK,
        small,
        "mm",
    )
    return to_tensor(canvas)
