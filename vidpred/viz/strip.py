"""One clip as one picture."""

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

_GAP = 4  # between frames
_NOW = 14  # between the last known frame and the first future one
_MARGIN = 10


def strip(context: Tensor, target: Tensor, pred: Tensor) -> Tensor:
    """Show what was known, what came, what was predicted, and how they differ.

    Rows: the truth (context, then targets); below the targets the prediction, copies of the last
    known frame, and the absolute difference of prediction and truth, amplified by the factor that
    its label states (`vidpred.viz.canvas.DIFFERENCE_GAIN`). Columns carry frame numbers around t,
    the last known frame. Small frames are enlarged without smoothing.

    Args:
        context: Past frames, shape (T, C, H, W) in [0, 1], T at least 1, C 1 or 3.
        target: True future frames, shape (horizon, C, H, W) in [0, 1].
        pred: Predicted frames, same shape and range as `target`.

    Returns:
        The picture, uint8, shape (3, H', W').

    Raises:
        ValueError: For shapes that do not fit together.
    """
    clip = prepared_clip(context, target, pred)
    past, horizon = len(clip.context), len(clip.target)
    height, width = clip.target.shape[-2:]
    size = text_size(clip.target)
    small, large = font(size), font(size + size // 6)
    header = 2 * size
    names = ("truth", "prediction", "copy last", DIFFERENCE_NAME)
    labels = max(int(large.getlength(name)) for name in names) + 2 * _MARGIN

    lefts = [labels + k * (width + _GAP) for k in range(past)]
    future = labels + past * (width + _GAP) - _GAP + _NOW
    lefts += [future + k * (width + _GAP) for k in range(horizon)]
    tops = [header + row * (height + _GAP) for row in range(len(names))]
    canvas = blank(tops[-1] + height + _MARGIN, lefts[-1] + width + _MARGIN)
    draw = ImageDraw.Draw(canvas)

    for k, left in enumerate(lefts):
        offset = k - past + 1
        place = (left + width / 2, header / 2)
        draw.text(place, moment(offset), PREDICTED if offset > 0 else PALE_INK, small, "mm")
    # The names of the lower rows are next to their frames, under the context.
    for row, (name, top) in enumerate(zip(names, tops, strict=True)):
        right = labels - _MARGIN if row == 0 else future - _NOW
        draw.text((right, top + height / 2), name, PREDICTED if row == 1 else INK, large, "rm")

    copies = clip.context[-1:].expand_as(clip.target)
    for left, frame in zip(lefts[:past], clip.context, strict=True):
        paste(canvas, frame, left, tops[0])
    for k, left in enumerate(lefts[past:]):
        rows = (clip.target[k], clip.pred[k], copies[k], clip.difference[k])
        for top, frame in zip(tops, rows, strict=True):
            paste(canvas, frame, left, top)
        outline(canvas, left, tops[1], clip.pred[k], PREDICTED, by=_GAP // 2)
    return to_tensor(canvas)
