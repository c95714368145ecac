"""What is known of a clip on the left, and rows of what follows on the right."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

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
    text_size,
    to_tensor,
)

_GAP = 4  # between frames
_MARGIN = 10
_LETTERS = 70  # letters that would fit across a picture
_LINE = 1.3  # from a line to the next, of the size of letters
_LONGEST_NAME = 1.6  # of a frame's width; longer names are cut

Letters = ImageFont.FreeTypeFont | ImageFont.ImageFont


class FrameRow(NamedTuple):
    """Future frames with a name.

    Attributes:
        name: On the left of the frames, of one or several lines.
        frames: uint8, shape (horizon, 3, H, W).
        predicted: Whether they get the colored border.
    """

    name: str
    frames: Tensor
    predicted: bool = False


def clip_rows(context: Tensor, rows: Sequence[FrameRow]) -> Tensor:
    """Draw the known frames in columns as high as the rows, and the rows next to them.

    Args:
        context: Past frames, uint8, shape (T, 3, H, W), T at least 0.
        rows: At least one, of equal shapes.

    Returns:
        The picture, uint8, shape (3, H', W').
    """
    horizon, _, height, width = rows[0].frames.shape
    columns = math.ceil(len(context) / len(rows))
    # A picture is about as wide as its frames, and shown narrower: letters grow with it, as far as
    # the names fit their rows.
    grown = min((columns + horizon) * width // _LETTERS, _fitting_size(rows, width, height))
    size = max(text_size(rows[0].frames), grown)
    small, large = font(size), font(size + size // 6)
    names = [_fitting(row.name, large, _LONGEST_NAME * width) for row in rows]
    labels = max(_width(name, large) for name in names) + 2 * _MARGIN
    moments = [moment(k - len(context) + 1) for k in range(len(context))]
    step = width + max((_width(text, small) for text in moments), default=0) + _MARGIN
    header = 2 * size
    tops = [header + row * (height + _GAP) for row in range(len(rows))]
    start = columns * step + labels
    lefts = [start + k * (width + _GAP) for k in range(horizon)]
    canvas = blank(tops[-1] + height + _MARGIN, lefts[-1] + width + _MARGIN)
    draw = ImageDraw.Draw(canvas)

    for k, frame in enumerate(context):
        left, top = (1 + k // len(rows)) * step - width, tops[k % len(rows)]
        draw.text((left - _MARGIN / 2, top + height / 2), moments[k], PALE_INK, small, "rm")
        paste(canvas, frame, left, top)
    for k, left in enumerate(lefts):
        draw.text((left + width / 2, header / 2), moment(k + 1), PREDICTED, small, "mm")
    for name, row, top in zip(names, rows, tops, strict=True):
        color = PREDICTED if row.predicted else INK
        place = (start - _MARGIN, top + height / 2)
        draw.text(place, name, color, large, "rm", align="right")
        for left, frame in zip(lefts, row.frames, strict=True):
            paste(canvas, frame, left, top)
            if row.predicted:
                outline(canvas, left, top, frame, PREDICTED, by=_GAP // 2)
    return to_tensor(canvas)


def _fitting_size(rows: Sequence[FrameRow], width: int, height: int) -> int:
    """Give the largest size at which no name is cut or reaches into another row."""
    probe = 100
    widest = max(_width(row.name, font(probe)) for row in rows)
    lines = max(row.name.count("\n") + 1 for row in rows)
    largest = min(probe * _LONGEST_NAME * width / max(widest, 1), height / (_LINE * lines))
    return int(largest * 6 / 7)  # names are a sixth larger than moments


def _width(text: str, letters: Letters) -> int:
    return math.ceil(max(letters.getlength(line) for line in text.split("\n")))


def _fitting(text: str, letters: Letters, width: float) -> str:
    """Cut lines that are wider than their place."""
    return "\n".join(fitting_line(line, letters, width) for line in text.split("\n"))


def fitting_line(text: str, letters: Letters, width: float) -> str:
    """Cut a name that is wider than its place.

    Args:
        text: Of one line.
        letters: Its font.
        width: Of the place, in pixels.
    """
    if letters.getlength(text) <= width:
        return text
    # The longest beginning that fits, found without measuring all of them.
    fitting = bisect_right(
        range(len(text)), width, key=lambda end: letters.getlength(text[:end] + "...")
    )
    return text[: max(0, fitting - 1)] + "..."
