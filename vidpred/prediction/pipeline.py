"""Inputs to predicted frames: reading, the network and writing run side by side."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vidpred.errors import PredictionError, VideoError, VidpredError
from vidpred.ops import to_unit, unit_to_uint8
from vidpred.prediction.rollout import Rollout
from vidpred.prediction.window_conditions import condition_of_window
from vidpred.prediction.windows import Input, Place, Window, windows
from vidpred.prefetch import in_background
from vidpred.video.clip import Pixels

_WINDOWS_AHEAD = 2
_FRAMES_AHEAD = 4

Values = dict[tuple[str, str], float]
"""By measure and method, the value of one frame."""

Measure = Callable[[Tensor, Tensor, Tensor, tuple[Tensor, Tensor] | None], Values]
"""Of a predicted frame, the true one, the last known one and the two true ones before it (None
where they are not known), each (3, H, W) in [0, 1]."""


@dataclass(frozen=True)
class Predicted:
    """One predicted frame.

    Attributes:
        source: Number of its input.
        window: What it was predicted from.
        step: How many frames ahead it lies, counted from 1.
        pixels: RGB, uint8, shape (H, W, 3).
        values: How close it comes to the truth; None when that is not known or not asked.
        others: The same frame of further futures, where several are drawn.
    """

    source: int
    window: Window
    step: int
    pixels: Pixels
    values: Values | None = None
    others: tuple[Pixels, ...] = ()

    @property
    def futures(self) -> tuple[Pixels, ...]:
        """The frame of every future."""
        return (self.pixels, *self.others)


@dataclass(frozen=True)
class Ended:
    """The end of one input.

    Attributes:
        source: Its number.
        problem: Why it ended before its end; None when it did not.
        left_out: Positions that were left out, because their frames are damaged.
        damage: The first of these damages.
    """

    source: int
    problem: VidpredError | None = None
    left_out: int = 0
    damage: VideoError | None = None


def predict_inputs(
    inputs: Sequence[Input],
    place: Place,
    rollout: Rollout,
    horizon: int,
    *,
    measure: Measure | None,
) -> Iterator[Predicted | Ended]:
    """Predict from every position of every input.

    Args:
        inputs: What to read, one after the other.
        place: Which positions.
        rollout: The predictor.
        horizon: Frames to predict, at least 1.
        measure: What to measure where there is a truth.

    Yields:
        Frames in the order of inputs, positions and time, and the end of each input.
    """
    read = in_background(
        _read(inputs, place, rollout.context_frames, horizon), depth=_WINDOWS_AHEAD
    )
    yield from in_background(_predict(read, rollout, horizon, measure=measure), depth=_FRAMES_AHEAD)


def _read(
    inputs: Sequence[Input], place: Place, context_frames: int, horizon: int
) -> Iterator[tuple[int, Window] | Ended]:
    for number, source in enumerate(inputs):
        damages: list[VideoError] = []
        left_out = 0
        problem = None
        try:
            for found in windows(source, place, context_frames):
                if isinstance(found, VideoError):
                    left_out += 1
                    damages = damages or [found]
                else:
                    condition = condition_of_window(found, source, context_frames, horizon)
                    yield number, replace(found, condition=condition)
        except VidpredError as error:
            problem = error
        yield Ended(number, problem, left_out, damages[0] if damages else None)


def _predict(
    read: Iterator[tuple[int, Window] | Ended],
    rollout: Rollout,
    horizon: int,
    *,
    measure: Measure | None,
) -> Iterator[Predicted | Ended]:
    """Predict windows of one size together, also when they are of several inputs."""
    held: list[tuple[int, Window] | Ended] = []
    count, limit, size = 0, 1, (0, 0)
    failed: set[int] = set()
    for item in read:
        if not isinstance(item, Ended):
            look = item[1].look
            if (look.height, look.width) != size:
                yield from _flush(held, rollout, horizon, failed, measure=measure)
                held, count, size = [], 0, (look.height, look.width)
                limit = rollout.windows_at_once(*size, horizon)
            count += 1
        held.append(item)
        if count == limit:
            yield from _flush(held, rollout, horizon, failed, measure=measure)
            held, count = [], 0
    yield from _flush(held, rollout, horizon, failed, measure=measure)


def _flush(
    held: list[tuple[int, Window] | Ended],
    rollout: Rollout,
    horizon: int,
    failed: set[int],
    *,
    measure: Measure | None,
) -> Iterator[Predicted | Ended]:
    """Predict all windows that are held, and give everything in order."""
    batch = [item for item in held if not isinstance(item, Ended) and item[0] not in failed]
    frames: dict[int, list[Predicted]] = {id(window): [] for _, window in batch}
    if batch:
        try:
            for step, following in enumerate(rollout([w for _, w in batch], horizon), start=1):
                # (B, 3, H, W), or (B, K, 3, H, W) where K futures are drawn.
                drawn = following[:, None] if following.ndim == 4 else following
                pixels = unit_to_uint8(drawn).movedim(2, -1).cpu().numpy()
                for k, (number, window) in enumerate(batch):
                    values = _values(measure, drawn[k, 0], window, step)
                    first, *others = pixels[k]
                    predicted = Predicted(number, window, step, first, values, tuple(others))
                    if len(batch) == 1 and isinstance(held[0], tuple):
                        yield predicted  # at once: a long horizon is not held
                    else:
                        frames[id(window)].append(predicted)
        except PredictionError as error:
            for number in dict.fromkeys(number for number, _ in batch):
                failed.add(number)
                yield Ended(number, error)
    for item in held:
        if not isinstance(item, Ended):
            yield from frames.get(id(item[1]), ()) if item[0] not in failed else ()
        elif item.source not in failed:
            yield item


def _values(measure: Measure | None, pred: Tensor, window: Window, step: int) -> Values | None:
    if measure is None or step > len(window.truth):
        return None
    known = (*window.known, *window.truth)
    place = len(window.known) + step - 1
    truth, last, *before = (
        to_unit(torch.from_numpy(pixels).permute(2, 0, 1)).to(pred.device)
        for pixels in (known[place], window.known[-1], *known[max(0, place - 2) : place])
    )
    return measure(pred, truth, last, (before[0], before[1]) if len(before) == 2 else None)
