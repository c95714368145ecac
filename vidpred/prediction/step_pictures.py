"""What an output shows of each predicted frame: the frame alone, futures, or it and the truth."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F

from vidpred.ops import to_unit, unit_to_uint8
from vidpred.prediction.pipeline import Predicted
from vidpred.video.clip import Pixels

WIDEST_PANEL = 1280
"""Frames wider than this, in pixels, are shown side by side reduced by a whole factor: few players
take a video of three times their width."""


class PredictionPictures(Protocol):
    """What is shown of predicted frames."""

    def __call__(self, predicted: Predicted) -> Iterator[Pixels]:
        """Yield pictures, RGB, uint8, shape (H, W, 3): none, one, or known frames before it."""


@dataclass(frozen=True)
class EachFuture:
    """The predicted frames; of several futures in turn, for outputs that keep them apart.

    Attributes:
        first_step: Steps before this are left out.
        with_context: Whether the known frames come first.
    """

    first_step: int = 1
    with_context: bool = False

    def __call__(self, predicted: Predicted) -> Iterator[Pixels]:
        """See `PredictionPictures`."""
        if self.with_context and predicted.step == 1:
            for known in predicted.window.known:
                yield from [known] * len(predicted.futures)
        if predicted.step >= self.first_step:
            yield from predicted.futures


@dataclass(frozen=True)
class FuturesSideBySide:
    """Several futures next to each other in one picture, in rows where they are many.

    Attributes:
        first_step: Steps before this are left out.
        with_context: Whether the known frames come first.
    """

    first_step: int = 1
    with_context: bool = False

    def __call__(self, predicted: Predicted) -> Iterator[Pixels]:
        """See `PredictionPictures`."""
        if self.with_context and predicted.step == 1:
            for known in predicted.window.known:
                yield _grid([known] * len(predicted.futures))
        if predicted.step >= self.first_step:
            yield _grid(predicted.futures)


_IN_A_ROW = 4  # futures
_GRID_GAP = 4  # pixels between them


def _grid(frames: Sequence[Pixels]) -> Pixels:
    """Lay frames out in rows, reduced by a whole factor where they would be wider than screens."""
    columns = len(frames) if len(frames) <= _IN_A_ROW else math.ceil(math.sqrt(len(frames)))
    factor = math.ceil(columns * frames[0].shape[1] / (3 * WIDEST_PANEL))
    shown = [_reduced(frame, factor) for frame in frames]
    height, width, _ = shown[0].shape
    rows = math.ceil(len(shown) / columns)
    gap = _GRID_GAP
    canvas = np.zeros(
        (rows * (height + gap) - gap, columns * (width + gap) - gap, 3), dtype=np.uint8
    )
    for k, frame in enumerate(shown):
        top, left = (k // columns) * (height + gap), (k % columns) * (width + gap)
        canvas[top : top + height, left : left + width] = frame
    return canvas


def _reduced(pixels: Pixels, factor: int) -> Pixels:
    if factor == 1:
        return pixels
    frame = to_unit(torch.from_numpy(pixels).permute(2, 0, 1))
    smaller = unit_to_uint8(F.avg_pool2d(frame, factor, ceil_mode=True))
    return np.ascontiguousarray(smaller.permute(1, 2, 0).numpy())


@dataclass(frozen=True)
class BesideTruth:
    """Truth, prediction and difference side by side, where there is a truth.

    Attributes:
        first_step: Steps before this are left out.
        with_context: Whether the known frames come first.
    """

    first_step: int = 1
    with_context: bool = True

    def __call__(self, predicted: Predicted) -> Iterator[Pixels]:
        """See `PredictionPictures`."""
        window = predicted.window
        if self.with_context and predicted.step == 1:
            for offset, known in enumerate(window.known, start=1 - len(window.known)):
                yield _panels(known, known, offset)
        if self.first_step <= predicted.step <= len(window.truth):
            yield _panels(window.truth[predicted.step - 1], predicted.pixels, predicted.step)


def _panels(truth: Pixels, pred: Pixels, offset: int) -> Pixels:
    # Here and not above: whoever does not compare needs no drawing.
    from vidpred.viz import side_by_side_frame

    factor = math.ceil(pred.shape[1] / WIDEST_PANEL)
    frames = (
        F.avg_pool2d(to_unit(torch.from_numpy(pixels).permute(2, 0, 1)), factor, ceil_mode=True)
        for pixels in (truth, pred)
    )
    picture = side_by_side_frame(*frames, offset=offset)
    return np.ascontiguousarray(picture.permute(1, 2, 0).numpy())
