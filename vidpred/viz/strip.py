"""One clip as one picture."""

from torch import Tensor

from vidpred.viz.canvas import DIFFERENCE_NAME, prepared_clip
from vidpred.viz.clip_rows import FrameRow, clip_rows


def strip(context: Tensor, target: Tensor, pred: Tensor) -> Tensor:
    """Show what was known, what came, what was predicted, and how they differ.

    On the left the context, time going down; on the right a row each for the targets, the
    prediction, copies of the last known frame, and the difference of prediction and truth: red
    where the prediction is too bright, blue where it is too dark, amplified by the factor that the
    label states (`vidpred.viz.signed_difference`). Frames are numbered from t, the last known one.
    Small frames are enlarged without smoothing.

    Args:
        context: Past frames, shape (T, C, H, W) in [0, 1], T at least 1, C 1 or 3.
        target: True future frames, shape (horizon, C, H, W) in [0, 1].
        pred: Predicted frames, same shape and range as `target`.

    Returns:
        The picture, uint8, shape (3, H', W').

    Raises:
        ValueError: For shapes that do not fit together.

    Example:
        >>> import torch
        >>> context, target, pred = (torch.rand(t, 3, 32, 48) for t in (4, 2, 2))
        >>> strip(context, target, pred).ndim
        3
    """
    clip = prepared_clip(context, target, pred)
    return clip_rows(
        clip.context,
        [
            FrameRow("truth", clip.target),
            FrameRow("prediction", clip.pred, predicted=True),
            FrameRow("copy last", clip.context[-1:].expand_as(clip.target)),
            FrameRow(f"{DIFFERENCE_NAME}\nred: too bright\nblue: too dark", clip.difference),
        ],
    )
