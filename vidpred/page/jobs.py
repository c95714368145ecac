"""One prediction that a tab asked for: its frames, its scores, and how far it is."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidpred.errors import VideoError, VidpredError
from vidpred.ops import to_unit, unit_to_uint8
from vidpred.page.choices import ModelChoice
from vidpred.page.disk import Folder
from vidpred.page.pictures import reduced, to_png
from vidpred.page.refusals import Gone, PageError
from vidpred.page.uploads import Upload
from vidpred.plain import counted
from vidpred.prediction.drawn_futures import DrawnFutures
from vidpred.prediction.frame_scores import COPY_LAST, PREDICTION, measure
from vidpred.prediction.rollout import Rollout
from vidpred.prediction.windows import At, Input, Window, windows
from vidpred.video.clip import Pixels
from vidpred.viz.signed_difference import signed_difference

logger = logging.getLogger(__name__)

KNOWN_SHOWN = 4
"""Known frames that are shown before a prediction where there are as many, also for models that see
fewer: a motion is seen in several frames alone."""

SMALLEST_SIDE = 16
"""Rows and columns that a reduced frame has at least."""

State = Literal["waiting", "predicting", "done", "failed"]
Values = dict[str, list[float]]


@dataclass(frozen=True)
class Question:
    """What is to be predicted.

    Attributes:
        upload: The clip.
        model: What predicts.
        last: Index of the last known frame, counted from 0.
        horizon: Frames to predict.
        reduce: Factor by which frames are reduced before anything is predicted and scored.
        samples: Futures to draw of a stochastic model; 1 is the point prediction of any.
        seed: Of the sampling.
    """

    upload: Upload
    model: ModelChoice
    last: int
    horizon: int
    reduce: int = 1
    samples: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be answered.

        Raises:
            PageError: Saying why.
        """
        look, frames = self.upload.look, len(self.upload.times)
        if self.upload.state != "ready" or look is None:
            raise PageError(f"{self.upload.name}: is not read yet; wait until it is")
        needed = self.model.predictor.context_frames
        if frames < needed:
            raise PageError(
                f"{self.upload.name}: it has {counted(frames, 'frame')}; {self.model.name} sees "
                f"{needed} known frames"
            )
        if not needed - 1 <= self.last < frames:
            raise PageError(
                f"frame {self.last} is chosen as the last known one; expected {needed - 1} to "
                f"{frames - 1}: {self.model.name} sees {needed} known frames"
            )
        if min(look.height, look.width) // self.reduce < SMALLEST_SIDE and self.reduce > 1:
            raise PageError(
                f"frames of {look.width} x {look.height} cannot be reduced {self.reduce} times; "
                f"expected sides of at least {SMALLEST_SIDE} pixels after it"
            )
        if self.samples > 1 and not self.model.stochastic:
            raise PageError(f"{self.model.name} has one future; {self.samples} were asked for")
        first = max(0, self.last + 1 - max(needed, KNOWN_SHOWN))
        broken = [k for k in range(first, self.last + self.horizon + 1) if k in self.upload.damaged]
        if broken:
            raise PageError(f"frame {broken[0]} is damaged; choose another moment of the clip")

    @property
    def following(self) -> int:
        """True frames that follow the last known one, at most the horizon."""
        return min(self.horizon, len(self.upload.times) - 1 - self.last)


@dataclass
class Job:
    """A prediction, and what is known of it by now.

    Attributes:
        key: Names it in addresses.
        question: What was asked.
        folder: Its pictures.
        device: Where the model runs.
        max_memory: Bytes that predicting may take.
        changed: Is called when something changed.
        state: How far it is.
        problem: Why it failed.
        known: Known frames that are shown.
        truth: True future frames whose pictures are there, at most `Question.following`.
        done: Predicted frames by now, of all futures.
        size: Width and height of the frames that are predicted.
        copy_last: By measure, values of copying the last known frame, one a frame ahead.
        futures: For each future the same of the prediction.
    """

    key: str
    question: Question
    folder: Folder
    device: torch.device
    max_memory: int
    changed: Callable[[], None]
    state: State = "waiting"
    problem: str | None = None
    known: int = 0
    truth: int = 0
    done: int = 0
    size: tuple[int, int] = (0, 0)
    copy_last: Values = field(default_factory=dict)
    futures: list[Values] = field(default_factory=list)
    _canceled: threading.Event = field(default_factory=threading.Event)
    _begun: float = 0.0
    _seconds: float = 0.0

    def cancel(self) -> None:
        """End it after the frame that it is at, and remove its files at once."""
        self._canceled.set()
        self.folder.remove()

    def run(self) -> None:
        """Predict; failures are noted in `problem`."""
        try:
            self._require_wanted()
            self.state, self._begun = "predicting", time.monotonic()
            self.changed()
            self._predict()
            self.state = "done"
        except Gone:
            return
        except VideoError as error:
            self._fail(f"{self.question.upload.name}: {error.problem}")
        except VidpredError as error:
            self._fail(str(error))
        except Exception:
            logger.exception("a prediction failed")
            self._fail(
                f"{self.question.model.name}: predicting failed by a mistake of vidpred or of the "
                "model; the terminal shows where"
            )
        self.changed()

    def picture(self, kind: str, future: int, step: int) -> Path:
        """Give the file of a picture, which may not be there yet."""
        return self.folder.path / _picture_name(kind, future, step)

    def to_plain(self) -> dict[str, Any]:
        """Give what the page shows of it."""
        question = self.question
        look = question.upload.look
        total = question.horizon * question.samples
        elapsed = time.monotonic() - self._begun if self._begun else 0.0
        return {
            "key": self.key,
            "clip": question.upload.key,
            "model": question.model.name,
            "kind": question.model.kind,
            "last": question.last,
            "horizon": question.horizon,
            "reduce": question.reduce,
            "samples": question.samples,
            "seed": question.seed,
            "state": self.state,
            "problem": self.problem,
            "known": self.known,
            "truth": self.truth,
            "following": question.following,
            "done": self.done,
            "total": total,
            "seconds": self._seconds if self.state == "done" else elapsed,
            "left": elapsed / self.done * (total - self.done) if self.done else None,
            "width": self.size[0],
            "height": self.size[1],
            "fps": look and float(look.fps),
            "aspect": look and look.width * float(look.pixel_aspect) / look.height,
            "copy_last": {name: list(values) for name, values in list(self.copy_last.items())},
            "futures": [
                {name: list(values) for name, values in list(future.items())}
                for future in list(self.futures)
            ],
        }

    @torch.inference_mode()
    def _predict(self) -> None:
        window = self._window()
        self._write_known(window)
        context_frames = self.question.model.predictor.context_frames
        seen = replace(window, known=window.known[-context_frames:])
        last = _to_unit(window.known[-1])
        truth = [_to_unit(frame) for frame in window.truth]
        self._write_copy_last(last, truth)
        for future, frames in enumerate(self._futures(seen)):
            self.futures.append({})
            for step, frame in enumerate(frames, start=1):
                self._require_wanted()
                # Rounded to what the picture holds, so that what is shown is what is scored.
                pixels = unit_to_uint8(frame).permute(1, 2, 0).cpu().numpy()
                self._write("pred", future, step, pixels)
                if step <= len(truth):
                    pred = _to_unit(pixels)
                    values = measure(pred, truth[step - 1], last)
                    for (name, method), value in values.items():
                        if method == PREDICTION:
                            self.futures[future].setdefault(name, []).append(value)
                    self._write_difference("difference", future, step, pred, truth[step - 1])
                self.done += 1
                self.changed()
        self._seconds = time.monotonic() - self._begun

    def _window(self) -> Window:
        question = self.question
        needed = question.model.predictor.context_frames
        count = max(needed, min(KNOWN_SHOWN, question.last + 1))
        place = At(index=question.last, truth=question.following)
        (window,) = windows(Input(question.upload.path), place, count)
        if isinstance(window, VideoError):
            raise window
        known, truth = (
            tuple(reduced(frame, question.reduce) for frame in frames)
            for frames in (window.known, window.truth)
        )
        height, width = known[0].shape[:2]
        return replace(
            window, known=known, truth=truth, look=replace(window.look, height=height, width=width)
        )

    def _write_known(self, window: Window) -> None:
        height, width = window.known[0].shape[:2]
        for step, frame in enumerate(window.known):
            self._write("known", 0, step, frame)
        for step, frame in enumerate(window.truth, start=1):
            self._require_wanted()
            self._write("truth", 0, step, frame)
        self.size = (width, height)
        self.known, self.truth = len(window.known), len(window.truth)
        self.changed()

    def _write_copy_last(self, last: Tensor, truth: list[Tensor]) -> None:
        for step, target in enumerate(truth, start=1):
            self._require_wanted()
            for (name, method), value in measure(last, target, last).items():
                if method == COPY_LAST:
                    self.copy_last.setdefault(name, []).append(value)
            self._write_difference("copy-difference", 0, step, last, target)

    def _futures(self, seen: Window) -> Iterator[Iterator[Tensor]]:
        """Yield the futures, each as its frames (3, H, W) in [0, 1]."""
        predictor, horizon = self.question.model.predictor, self.question.horizon
        if self.question.samples > 1:
            # One at a time, so that it can be canceled; they are those of `vidpred predict`.
            drawn = DrawnFutures(
                predictor,
                device=self.device,
                max_memory=self.max_memory,
                num_samples=self.question.samples,
                seed=self.question.seed,
            )
            yield from drawn.one_by_one(seen, horizon)
            return
        rollout = Rollout(predictor, device=self.device, max_memory=self.max_memory, batch_size=1)
        yield (frames[0] for frames in rollout([seen], horizon))

    def _write_difference(
        self, kind: str, future: int, step: int, pred: Tensor, target: Tensor
    ) -> None:
        picture = signed_difference(pred, target).permute(1, 2, 0).numpy()
        self._write(kind, future, step, picture)

    def _write(self, kind: str, future: int, step: int, pixels: npt.NDArray[np.uint8]) -> None:
        self.folder.write(_picture_name(kind, future, step), to_png(pixels))

    def _require_wanted(self) -> None:
        if self._canceled.is_set():
            raise Gone

    def _fail(self, problem: str) -> None:
        self.folder.remove()
        self.problem, self.state = problem, "failed"


KINDS = ("known", "truth", "pred", "difference", "copy-difference")
"""Of pictures."""


def _picture_name(kind: str, future: int, step: int) -> str:
    return f"{kind}-{future}-{step}.png"


def _to_unit(pixels: Pixels) -> Tensor:
    """Give a frame (3, H, W) in [0, 1], on the CPU."""
    return to_unit(torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1))
