"""Predicted frames to outputs: what is shown of each position, and what is said at the end."""

import errno
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
import torch.nn.functional as F

from vidpred.errors import PredictionError, VideoError, VidpredError
from vidpred.ops import to_unit, unit_to_uint8
from vidpred.prediction.outputs import Output
from vidpred.prediction.pipeline import Ended, Predicted
from vidpred.video.clip import Pixels

if TYPE_CHECKING:
    from vidpred.prediction.frame_scores import Scores


WIDEST_PANEL = 1280
"""Frames wider than this, in pixels, are shown side by side reduced by a whole factor: few players
take a video of three times their width."""


class PredictionPictures(Protocol):
    """What is shown of predicted frames."""

    def __call__(self, predicted: Predicted) -> Iterator[Pixels]:
        """Yield pictures, RGB, uint8, shape (H, W, 3): none, one, or known frames before it."""


@dataclass(frozen=True)
class PredictedAlone:
    """The predicted frames, on request behind the known ones.

    Attributes:
        first_step: Steps before this are left out.
        with_context: Whether the known frames come first.
    """

    first_step: int = 1
    with_context: bool = False

    def __call__(self, predicted: Predicted) -> Iterator[Pixels]:
        """See `PredictionPictures`."""
        if self.with_context and predicted.step == 1:
            yield from predicted.window.known
        if predicted.step >= self.first_step:
            yield predicted.pixels


@dataclass(frozen=True)
class EachFuture:
    """The frames of several futures in turn, for outputs that keep them apart.

    Attributes:
        first_step: Steps before this are left out.
        with_context: Whether the known frames come first.
    """

    first_step: int = 1
    with_context: bool = False

    def __call__(self, predicted: Predicted) -> Iterator[Pixels]:
        """Give the pictures of one step."""
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
        """Give the pictures of one step."""
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


@dataclass
class Outcome:
    """What came out of one input.

    Attributes:
        source: Its number.
        path: The output, the first one where there are several; None when there is none.
        problem: What went wrong; the output, if any, holds what came before.
        left_out: Positions that were left out, because their frames are damaged.
        scores: How close predictions came to the truth.
        paths: All outputs.
    """

    source: int
    path: Path | None = None
    problem: VidpredError | None = None
    left_out: int = 0
    scores: "Scores | None" = field(default=None, repr=False)
    paths: list[Path] = field(default_factory=list)


def write_outputs(
    events: Iterator[Predicted | Ended],
    outputs: Sequence[Output],
    pictures: PredictionPictures,
    *,
    scores: "Sequence[Scores] | None" = None,
) -> Iterator[Outcome | Predicted]:
    """Write what is predicted.

    Args:
        events: As `predict_inputs` gives them.
        outputs: One for each input.
        pictures: What is shown.
        scores: Where values are noted, one for each input.

    Yields:
        Each predicted frame when it is written, and each input's outcome when it is done, or when
        it is interrupted after its first position.
    """
    writer = _Writer(outputs, pictures, scores)
    failed: set[int] = set()
    try:
        for event in events:
            if event.source in failed:
                continue
            try:
                result = writer.end(event) if isinstance(event, Ended) else writer.take(event)
            except OSError as error:
                full = error.errno in (errno.ENOSPC, errno.EDQUOT)
                if full or isinstance(error, BrokenPipeError):
                    raise
                failed.add(event.source)
                writer.discard()
                result = Outcome(event.source, problem=_not_written(outputs[event.source], error))
            yield result
    except KeyboardInterrupt:
        # Earlier positions are kept, as where an input breaks off.
        if (kept := writer.keep()) is not None:
            yield kept
        raise
    finally:
        writer.discard()


class _Writer:
    """Writes the predictions of one input after another."""

    def __init__(
        self,
        outputs: Sequence[Output],
        pictures: PredictionPictures,
        scores: "Sequence[Scores] | None",
    ) -> None:
        self._outputs = outputs
        self._pictures = pictures
        self._scores = scores
        self._stack: ExitStack | None = None
        self._shown = False
        self._made: list[Path] = []
        self._source = self._positions = 0

    def take(self, event: Predicted) -> Predicted:
        """Write what is shown of a predicted frame."""
        output = self._outputs[event.source]
        if self._stack is None:
            self._made = _missing_folders(output.path.parent)
            output.path.parent.mkdir(parents=True, exist_ok=True)
            self._stack = ExitStack()
            self._stack.enter_context(output)
            self._source, self._positions = event.source, 0
        if event.step == 1:
            self._positions += 1
            output.begin_position(f"{event.window.index or 0:06}")
        for picture in self._pictures(event):
            height, width, _ = picture.shape
            output.write(picture, replace(event.window.look, height=height, width=width))
            self._shown = True
        if self._scores is not None and event.values is not None:
            self._scores[event.source].add(event.step, event.values)
        return event

    def end(self, event: Ended) -> Outcome:
        """Finish the output of an input, or leave none."""
        path = self._outputs[event.source].path if self._shown else None
        outcome = _outcome(event, path)
        if outcome.path is None:
            self.discard()
        elif self._stack is not None:
            finished, self._stack = self._stack, None
            finished.close()
        self._shown = False
        outcome.paths = [] if outcome.path is None else self._outputs[event.source].paths
        outcome.scores = None if self._scores is None else self._scores[event.source]
        return outcome

    def discard(self) -> None:
        """Leave nothing of what is being written."""
        self._shown = False
        if self._stack is not None:
            begun, self._stack = self._stack, None
            _discard(begun)
            for folder in self._made:
                with suppress(OSError):  # others may have put something there
                    folder.rmdir()

    def keep(self) -> Outcome | None:
        """Finish what is being written, if it holds more than one position."""
        if self._stack is None or self._positions < 2:
            return None
        path = self._outputs[self._source].path
        return self.end(Ended(self._source, VideoError(path, "interrupted")))


def _not_written(output: Output, error: OSError) -> PredictionError:
    if error.errno in (errno.EMFILE, errno.ENFILE):
        advice = "lower --samples, or raise the limit of open files (ulimit -n)"
    else:
        advice = "choose another --output"
        if error.errno == errno.EINVAL or error.errno not in errno.errorcode:  # of an encoder
            advice += ", such as a name without ending for a folder of PNG frames"
    return PredictionError(
        f"{output.path}: cannot be written ({error.strerror or error}); {advice}"
    )


def _missing_folders(folder: Path) -> list[Path]:
    """Give a folder and those above it that are not there, the lowest first."""
    return [each for each in (folder, *folder.parents) if not each.exists()]


def _outcome(ended: Ended, path: Path | None) -> Outcome:
    problem = ended.problem
    if problem is not None and not isinstance(problem, VideoError):
        path = None  # a prediction broke off; an input that breaks off ends between positions
    if problem is None and path is None:
        problem = ended.damage
    return Outcome(ended.source, path, problem, ended.left_out)


class _DiscardedError(Exception):
    """Makes an output disappear."""


def _discard(stack: ExitStack) -> None:
    error = _DiscardedError()
    try:
        stack.__exit__(_DiscardedError, error, None)
    except _DiscardedError:
        return
