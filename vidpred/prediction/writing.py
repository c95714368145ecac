"""Predicted frames to outputs, input after input, and what came out of each."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vidpred.errors import PredictionError, VideoError, VidpredError
from vidpred.prediction.outputs import Output
from vidpred.prediction.pipeline import Ended, Predicted
from vidpred.prediction.step_pictures import PredictionPictures

if TYPE_CHECKING:
    from vidpred.prediction.frame_scores import Scores


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
