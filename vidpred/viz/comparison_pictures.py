"""One clip as several methods predict it: a picture and a video."""

import math
from collections.abc import Mapping, Sequence

import torch
from PIL import ImageDraw
from torch import Tensor

from vidpred.viz.canvas import (
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
from vidpred.viz.clip_rows import FrameRow, clip_rows, fitting_line

_PANEL_GAP = 12  # between panels of a video
_BORDER = 3


def comparison_strip(context: Tensor | None, target: Tensor, preds: Mapping[str, Tensor]) -> Tensor:
    """Show the truth and below it what each method predicts.

    On the left the context, time going down; on the right the first row is the truth, each further
    row a method. Frames are numbered from t, the last known one; what is predicted has a colored
    border.

    Args:
        context: Past frames, shape (T, C, H, W) in [0, 1], T at least 1, C 1 or 3; None when they
            are not known.
        target: True future frames, shape (horizon, C, H, W) in [0, 1].
        preds: By method's name, predicted frames, same shape and range as `target`; at least one.

    Returns:
        The picture, uint8, shape (3, H', W').

    Raises:
        ValueError: For no method, or shapes that do not fit together.

    Example:
        >>> import torch
        >>> context, target, pred = (torch.rand(t, 3, 32, 48) for t in (4, 2, 2))
        >>> comparison_strip(context, target, {"mine": pred}).ndim
        3
    """
    past, future, shown = _prepared(context, target, preds)
    methods = [FrameRow(name, frames, predicted=True) for name, frames in shown.items()]
    return clip_rows(past, [FrameRow("truth", future), *methods])


def comparison_video(context: Tensor | None, target: Tensor, preds: Mapping[str, Tensor]) -> Tensor:
    """Play the truth and what each method predicts next to each other.

    While the past plays, all panels show what is known; from the first predicted frame on, colored
    borders and labels show that predictions run. Panels are in rows, about as wide as a screen.

    Args:
        context: Past frames, shape (T, C, H, W) in [0, 1], T at least 1, C 1 or 3; None when they
            are not known.
        target: True future frames, shape (horizon, C, H, W) in [0, 1].
        preds: By method's name, predicted frames, same shape and range as `target`; at least one.

    Returns:
        Video frames, uint8, shape (T + horizon, 3, H', W') with even H' and W'.

    Raises:
        ValueError: For no method, or shapes that do not fit together.
    """
    past, future, shown = _prepared(context, target, preds)
    # Pairs, for a method may be called "truth".
    panels = [("truth", torch.cat((past, future)))]
    panels += [(name, torch.cat((past, frames))) for name, frames in shown.items()]
    return torch.stack(
        [
            _video_frame([(name, frames[k]) for name, frames in panels], offset=k - len(past) + 1)
            for k in range(len(past) + len(future))
        ]
    )


def _prepared(
    context: Tensor | None, target: Tensor, preds: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    if not preds:
        raise ValueError("preds is empty; expected the predicted frames of at least one method")
    # Without a past the first target takes its place, to be checked and left out again.
    past = target[:1] if context is None else context
    clips = {name: prepared_clip(past, target, pred) for name, pred in preds.items()}
    first = next(iter(clips.values()))
    return (
        first.context[: 0 if context is None else None],
        first.target,
        {name: clip.pred for name, clip in clips.items()},
    )


def _video_frame(panels: Sequence[tuple[str, Tensor]], *, offset: int) -> Tensor:
    frame = panels[0][1]
    height, width = frame.shape[-2:]
    columns = _columns(len(panels), height, width)
    size = text_size(frame)
    small, label, header = font(size), 2 * size, 2 * size
    rows = math.ceil(len(panels) / columns)
    full_height = header + rows * (label + height) + _PANEL_GAP
    full_width = _PANEL_GAP + columns * (width + _PANEL_GAP)
    canvas = blank(full_height + full_height % 2, full_width + full_width % 2)
    draw = ImageDraw.Draw(canvas)
    future = offset > 0
    for k, (name, panel) in enumerate(panels):
        left = _PANEL_GAP + (k % columns) * (width + _PANEL_GAP)
        top = header + label + (k // columns) * (label + height)
        marked = future and k > 0
        paste(canvas, panel, left, top)
        if marked:
            outline(canvas, left, top, panel, PREDICTED, by=_BORDER)
        text = fitting_line(name, small, width)
        color = PREDICTED if marked else INK
        draw.text((left + width / 2, top - label / 2), text, color, small, "mm")
    draw.text(
        (canvas.width / 2, header / 2 + 2),  # on top: players lay controls over the bottom
        f"{moment(offset)}  {'predicted' if future else 'known'}",
        PREDICTED if future else PALE_INK,
        small,
        "mm",
    )
    return to_tensor(canvas)


def _columns(panels: int, height: int, width: int) -> int:
    """Choose how many panels are side by side: the fullest grid of about 16 to 9."""

    def shape(columns: int) -> tuple[float, int]:
        rows = math.ceil(panels / columns)
        return abs(math.log(columns * width / (rows * height) * 9 / 16)), rows * columns - panels

    return min(range(1, panels + 1), key=lambda c: (shape(c)[1] * 0.15 + shape(c)[0], c))
