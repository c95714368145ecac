"""One clip as several methods predict it: a picture and a video."""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence

import torch
from PIL import ImageDraw, ImageFont
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

_GAP = 4  # between frames of a strip
_NOW = 14  # between the last known frame and the first future one
_MARGIN = 10
_PANEL_GAP = 12  # between panels of a video
_BORDER = 3
_LETTERS = 70  # letters that would fit across a strip
_LONGEST_NAME = 1.6  # of a frame's width; longer names are cut


def comparison_strip(context: Tensor | None, target: Tensor, preds: Mapping[str, Tensor]) -> Tensor:
    """Show the truth and below it what each method predicts.

    The first row is the truth (context, then targets), each further row a method. Columns carry
    frame numbers around t, the last known frame; what is predicted has a colored border.

    Args:
        context: Past frames, shape (T, C, H, W) in [0, 1], T at least 1, C 1 or 3; None when they
            are not known.
        target: True future frames, shape (horizon, C, H, W) in [0, 1].
        preds: By method's name, predicted frames, same shape and range as `target`; at least one.

    Returns:
        The picture, uint8, shape (3, H', W').

    Raises:
        ValueError: For no method, or shapes that do not fit together.
    """
    past, future, shown = _prepared(context, target, preds)
    height, width = future.shape[-2:]
    # A strip is about as wide as all its frames, and shown narrower: letters grow with it.
    size = max(text_size(future), (len(past) + len(future)) * width // _LETTERS)
    small, large = font(size), font(size + size // 6)
    names = {name: _fitting(name, large, _LONGEST_NAME * width) for name in shown}
    labels = max(int(large.getlength(text)) for text in (*names.values(), "truth")) + 2 * _MARGIN
    header = 2 * size
    lefts = [labels + k * (width + _GAP) for k in range(len(past))]
    start = labels + len(past) * (width + _GAP) - _GAP + _NOW
    lefts += [start + k * (width + _GAP) for k in range(len(future))]
    tops = [header + row * (height + _GAP) for row in range(1 + len(shown))]
    canvas = blank(tops[-1] + height + _MARGIN, lefts[-1] + width + _MARGIN)
    draw = ImageDraw.Draw(canvas)

    for k, left in enumerate(lefts):
        offset = k - len(past) + 1
        place = (left + width / 2, header / 2)
        draw.text(place, moment(offset), PREDICTED if offset > 0 else PALE_INK, small, "mm")
    draw.text((labels - _MARGIN, tops[0] + height / 2), "truth", INK, large, "rm")
    for left, frame in zip(lefts, torch.cat((past, future)), strict=True):
        paste(canvas, frame, left, tops[0])
    # Names of methods are next to their frames, under the context.
    for (name, frames), top in zip(shown.items(), tops[1:], strict=True):
        draw.text((start - _NOW, top + height / 2), names[name], PREDICTED, large, "rm")
        for left, frame in zip(lefts[len(past) :], frames, strict=True):
            paste(canvas, frame, left, top)
            outline(canvas, left, top, frame, PREDICTED, by=_GAP // 2)
    return to_tensor(canvas)


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
        text = _fitting(name, small, width)
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


def _fitting(text: str, letters: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """Cut a name that is wider than its place."""
    if letters.getlength(text) <= width:
        return text
    # The longest beginning that fits, found without measuring all of them.
    fitting = bisect_right(
        range(len(text)), width, key=lambda end: letters.getlength(text[:end] + "...")
    )
    return text[: max(0, fitting - 1)] + "..."
