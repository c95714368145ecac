"""Which frames a prediction sees: the positions that were asked for, cut out of what plays."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from torch import Tensor

from vidpred.errors import VideoError
from vidpred.video.clip import Pixels
from vidpred.video.conditions import Rows
from vidpred.video.pipe import RawVideo
from vidpred.video.playing import (
    Look,
    PlayedFrame,
    last_moment,
    past_the_last,
    play,
    time_of_frame,
)


@dataclass(frozen=True)
class Last:
    """From the last frames, or so far before them that `held_back` true ones follow."""

    held_back: int = 0


@dataclass(frozen=True)
class At:
    """From one place on: the frame that is shown at that time, or of that index, is the last known.

    Attributes:
        seconds: Time since the beginning; None when the index is given.
        index: Counted from 0.
        truth: True frames to give after it, fewer where the video ends.
    """

    seconds: Fraction | None = None
    index: int | None = None
    truth: int = 0


@dataclass(frozen=True)
class Every:
    """From every position, or every `stride`-th.

    Attributes:
        stride: At least 1.
        truth: True frames to give after each; positions with fewer are left out.
    """

    stride: int = 1
    truth: int = 0


Place = Last | At | Every


@dataclass(frozen=True)
class Window:
    """What one prediction sees.

    Attributes:
        look: How the frames are shown.
        index: Index of the last known frame in its video; None where only its time is known.
        known: Past frames, uint8, each of shape (H, W, 3).
        truth: True frames that follow, as many as asked and there are.
        condition: By name, what is known of the past frames and of those to predict, shape
            (T, ...); None where nothing is needed.
    """

    look: Look
    index: int | None
    known: tuple[Pixels, ...]
    truth: tuple[Pixels, ...]
    condition: dict[str, Tensor] | None = None


@dataclass(frozen=True)
class Input:
    """Something to predict from.

    Attributes:
        path: A video, a folder of frames, or `PIPE`.
        fps: Frames per second of what has none.
        raw: How pixels from the standard input are to be read; None when the stream says it.
        conditions: By name, rows by frame that predictions need; None where none are needed. With
            them, windows know the index of their frames, which are counted from the beginning.
    """

    path: Path
    fps: Fraction = Fraction(25)
    raw: RawVideo | None = None
    conditions: Rows | None = None

    def play(self, start: Fraction = Fraction(0)) -> Iterator[PlayedFrame]:
        """Yield its frames; see `vidpred.video.playing.play`."""
        return play(self.path, start, fps=self.fps, raw=self.raw)


def windows(source: Input, place: Place, context_frames: int) -> Iterator[Window | VideoError]:
    """Cut out what predictions see.

    Args:
        source: What to read.
        place: Which positions.
        context_frames: Past frames that a prediction needs.

    Yields:
        One window a position; with `Every`, a `VideoError` for a position whose frames are damaged.

    Raises:
        VideoError: When the input cannot be read, has too few frames, or ends before the place.
    """
    match place:
        case Last():
            yield _last(source, place, context_frames)
        case At():
            window = _at(source, place, context_frames)
            if place.truth and not window.truth:
                raise VideoError(
                    source.path, "nothing follows --at, so there is no truth to compare with"
                )
            yield window
        case Every():
            yield from _every(source, place, context_frames)


def _last(source: Input, place: Last, context_frames: int) -> Window:
    wanted = context_frames + place.held_back
    frames: deque[PlayedFrame] = deque(maxlen=wanted)
    count = 0
    for start in _starts(source, None, wanted):
        frames.clear()
        count = 0
        for frame in source.play(start):
            frames.append(frame)
            count += 1
        if len(frames) == wanted:
            break
    if len(frames) < wanted:
        raise _too_few(source, count, context_frames, place.held_back)
    index = None if source.conditions is None else count - 1 - place.held_back
    return _window(source, list(frames), context_frames, index)


def _at(source: Input, place: At, context_frames: int) -> Window:
    if place.seconds is not None:
        return _at_time(source, place.seconds, place.truth, context_frames)
    index = place.index or 0
    if index > _FAR and source.path.is_file() and source.conditions is None:
        moment = time_of_frame(source.path, index)
        if moment is not None:
            return _at_time(source, moment, place.truth, context_frames)
    frames: deque[PlayedFrame] = deque(maxlen=context_frames + place.truth)
    count = 0
    for count, frame in enumerate(source.play(), start=1):
        frames.append(frame)
        if count > index + place.truth:
            break
    if count <= index:
        raise past_the_last(source.path, index, count)
    if index + 1 < context_frames:
        raise _too_early(source, index + 1, f"--at {index}", context_frames)
    first = max(0, count - len(frames))
    known = index + 1 - context_frames - first
    return _window(source, list(frames)[known:], context_frames, index)


_FAR = 250
"""Index from which on it pays to look up the frame's time, and to seek."""


def _at_time(source: Input, moment: Fraction, truth: int, context_frames: int) -> Window:
    known: deque[PlayedFrame] = deque(maxlen=context_frames)
    after: list[PlayedFrame] = []
    count = 0
    for start in _starts(source, moment, context_frames):
        known.clear()
        after.clear()
        count = 0
        for frame in source.play(start):
            if frame.time <= moment:
                known.append(frame)
                count += 1
            else:
                after.append(frame)
                if len(after) >= max(truth, 1):
                    break
        if len(known) == context_frames:
            break
    if not after and known:
        end = known[-1].time + 1 / known[-1].look.fps
        if moment >= end:
            raise VideoError(
                source.path,
                f"--at {float(moment):g}s is past the end; it lasts {float(end):.2f} s",
            )
    if len(known) < context_frames:
        raise _too_early(source, len(known), f"--at {float(moment):g}s", context_frames)
    index = None if source.conditions is None else count - 1
    return _window(source, [*known, *after[:truth]], context_frames, index)


def _every(source: Input, place: Every, context_frames: int) -> Iterator[Window | VideoError]:
    wanted = context_frames + place.truth
    frames: deque[PlayedFrame] = deque(maxlen=wanted)
    count = 0
    for count, frame in enumerate(source.play(), start=1):
        frames.append(frame)
        if len(frames) == wanted and (count - wanted) % place.stride == 0:
            try:
                yield _window(source, list(frames), context_frames, count - place.truth - 1)
            except VideoError as damage:
                yield damage
    if count < wanted:
        raise _too_few(source, count, context_frames, place.truth)


def _starts(source: Input, moment: Fraction | None, frames: int) -> Iterator[Fraction]:
    """Yield times to begin at, each earlier, until enough frames come before a moment or the end.

    One second before what is needed is mostly enough; then four times as far, and at last from the
    beginning.
    """
    if source.path.is_file() and source.conditions is None:
        moment = last_moment(source.path) if moment is None else moment
        distance = 1 + frames / Fraction(10)
        while moment is not None and distance < moment:
            yield moment - distance
            distance *= 4
    yield Fraction(0)


def _window(
    source: Input, frames: list[PlayedFrame], context_frames: int, index: int | None
) -> Window:
    for frame in frames:
        if not frame.sound:
            raise VideoError(
                source.path,
                f"the frame at {float(frame.time):.2f} s is damaged; choose another --at, or fetch "
                "or encode the file again",
            )
    pixels = tuple(frame.pixels for frame in frames)
    return Window(frames[0].look, index, pixels[:context_frames], pixels[context_frames:])


def _too_few(source: Input, count: int, context_frames: int, truth: int) -> VideoError:
    more = f" and {truth} to compare with" if truth else ""
    return VideoError(
        source.path,
        f"it has {count} {_frames(count)}; expected at least {context_frames + truth}: the "
        f"predictor sees {context_frames} past frames{more}",
    )


def _too_early(source: Input, count: int, place: str, context_frames: int) -> VideoError:
    return VideoError(
        source.path,
        f"{place} has {count} {_frames(count)} up to there; expected at least {context_frames}, "
        "which the predictor sees: choose a later place, or another video",
    )


def _frames(count: int) -> str:
    return "frame" if count == 1 else "frames"
