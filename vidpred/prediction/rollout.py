"""Many frames ahead, frame by frame, so that no horizon and no frame is too large."""

import copy
import math
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vidpred.errors import PredictionError
from vidpred.models import Predictor
from vidpred.ops import to_unit
from vidpred.ops.frame_format import to_gray
from vidpred.prediction.memory import PROCESS_BYTES, in_words, step_bytes
from vidpred.prediction.tiles import tile_grid, tiled_step
from vidpred.prediction.windows import Window
from vidpred.video.clip import Pixels

COLORS = 3

_GRAY_LEVELS = 2
"""Largest difference between the channels of a pixel of a gray video, of 255."""

BORDER = 16
"""Pixels that are added around a frame before every step, and cut off again, at least.

A network fills what it does not see with zeros, and what comes of that would be fed back: after 8
frames it shows as a rim of another color. The border's pixels repeat the frame's, again for every
step. On four clips, cut to their middle, this brought the rim of 8 pixels to half the distance from
what is predicted when the frame extends there, at any step; 32 and 96 pixels brought it no closer.
"""


class Rollout:
    """Runs a predictor over windows, within a given amount of memory.

    Args:
        predictor: In evaluation mode, on the device where it is to run.
        device: Where its input goes.
        max_memory: Bytes that the process may take, and as many on the device.
        batch_size: Most windows at once.
        sharp: Whether a predictor that has the choice predicts one sharp future, which is what
            people want to look at, or the mean.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        device: torch.device,
        max_memory: int,
        batch_size: int,
        sharp: bool = True,
    ) -> None:
        if predictor.sharp is not None:
            predictor = copy.copy(predictor)  # of the same weights
            predictor.sharp = sharp
        self.predictor = predictor
        self.device = device
        self.max_memory = max_memory
        self.batch_size = batch_size
        self.context_frames = predictor.context_frames
        channels = COLORS if predictor.channels is None else predictor.channels
        if channels not in (1, COLORS):
            raise PredictionError(
                f"the predictor takes frames of {channels} channels; expected 1 or {COLORS}: "
                "videos are in color, and a network of one channel predicts each color by itself"
            )
        self._color_by_color = channels == 1
        # A predictor that rolls out by itself, as extrapolation does, has no step to be tiled.
        self._stepwise = type(predictor).rollout is Predictor.rollout and not predictor.conditions
        self._frame_by_frame = (
            type(predictor).rollout_frames is not Predictor.rollout_frames
            and not predictor.conditions
        )
        self._dtype = next(predictor.parameters(), torch.empty(0)).dtype
        self._pixel_bytes = step_bytes(predictor, channels, device, self._dtype)
        multiple, radius = predictor.size_multiple, predictor.receptive_radius
        narrow = BORDER if radius is None else min(BORDER, radius)
        if predictor.image_size is not None:
            narrow = 0
        # A multiple: the network's coarser grids lie as they do without a border.
        self._border = -(-narrow // multiple) * multiple

    def windows_at_once(self, height: int, width: int, horizon: int) -> int:
        """Count how many windows of that frame size fit into the memory together, at least 1."""
        planes = COLORS if self._color_by_color else 1
        a_pixel = horizon * COLORS + self._pixel_bytes.together * planes
        one = self._frame_bytes(height, width) + a_pixel * height * width
        return max(1, min(self.batch_size, (self.max_memory - PROCESS_BYTES) // one))

    @torch.inference_mode()
    def _known(self, windows: Sequence[Window], k: int) -> Tensor:
        """Give the past frames number k of windows of one size, (B, C, H, W) in [0, 1]."""
        pixels = torch.from_numpy(np.stack([window.known[k] for window in windows]))
        frame = to_unit(pixels.to(self.device).permute(0, 3, 1, 2)).to(self._dtype)
        return frame.flatten(0, 1)[:, None] if self._color_by_color else frame

    def __call__(self, windows: Sequence[Window], horizon: int) -> Iterator[Tensor]:
        """Predict from windows of one frame size.

        Args:
            windows: B of them.
            horizon: Frames to predict, at least 1.

        Yields:
            `horizon` tensors (B, 3, H, W), float in [0, 1], on the device; gray where all known
            frames are.

        Raises:
            PredictionError: When the memory does not suffice, or a prediction is not finite.
        """
        height, width = windows[0].look.height, windows[0].look.width
        gray = torch.tensor([_is_gray(window) for window in windows], device=self.device)
        gray = gray[:, None, None, None]
        steps = (
            self._steps
            if self._stepwise
            else partial(self._whole, condition=self._condition(windows))
        )
        # One by one, so that large frames are not held in two forms.
        known = (self._known(windows, k) for k in range(self.context_frames))
        following = steps(known, height, width, horizon)
        for frame in _explained(following):
            if self._color_by_color:
                frame = frame.reshape(-1, COLORS, height, width)
            if gray.any():
                frame = torch.where(gray, _gray(frame), frame)
            # One pass: a sum is finite when all of [0, 1] that it adds is.
            if not math.isfinite(float(frame.sum())):
                raise PredictionError("the prediction is not finite; the checkpoint has diverged")
            yield frame

    def _steps(
        self, known: Iterator[Tensor], rows_shown: int, columns_shown: int, horizon: int
    ) -> Iterator[Tensor]:
        border = self._border
        inner = (..., slice(border, border + rows_shown), slice(border, border + columns_shown))
        frames = [self._bordered(frame) for frame in known]
        batch, _, height, width = frames[0].shape
        left = self.max_memory - PROCESS_BYTES - batch * self._frame_bytes(height, width)
        rows, columns = tile_grid(
            height,
            width,
            multiple=self.predictor.size_multiple,
            radius=self.predictor.receptive_radius,
            pixels=max(0, left) // (self._pixel_bytes.together * batch),
        )
        for done in range(0, horizon, self.predictor.output_frames):
            with torch.inference_mode():
                pred = tiled_step(self.predictor, frames, rows, columns)
            step = [frame[inner] for frame in pred[:, : horizon - done].unbind(1)]
            yield from step
            frames = [*frames, *map(self._bordered, step)][-self.context_frames :]

    def _whole(
        self,
        known: Iterator[Tensor],
        height: int,
        width: int,
        horizon: int,
        *,
        condition: dict[str, Tensor],
    ) -> Iterator[Tensor]:
        window = torch.stack(list(known), dim=1)
        held = self.context_frames + (2 if self._frame_by_frame else 2 * horizon)
        needed = held * window[:, 0].nbytes + self._whole_bytes(window)
        if needed > self.max_memory - PROCESS_BYTES:
            at_once = (
                "looks at whole frames"
                if self._frame_by_frame
                else (f"gives all {horizon} frames at once")
            )
            lower = "" if self._frame_by_frame else " or lower --horizon"
            raise PredictionError(
                f"this predictor {at_once}, which takes {in_words(needed + PROCESS_BYTES)}; "
                f"raise --max-memory{lower}"
            )
        with torch.inference_mode():
            if condition:
                yield from self.predictor(window, horizon, condition=condition).unbind(1)
            else:
                yield from self.predictor.stream(window, horizon)

    def _whole_bytes(self, window: Tensor) -> int:
        """Bytes that a predictor takes that gives frame by frame what it sees whole."""
        batch, _, _, height, width = window.shape
        if not self._frame_by_frame:
            return 0
        pixels, side = height * width, self.predictor.largest_region
        at_once = pixels if side is None else min(pixels, side**2)
        return int(batch * (self._pixel_bytes.frames * pixels + self._pixel_bytes.layers * at_once))

    def _condition(self, windows: Sequence[Window]) -> dict[str, Tensor]:
        """Give what the windows are conditioned on, by name, shape (B, T, ...)."""
        given = [window.condition or {} for window in windows]
        found = {}
        for name in self.predictor.conditions:
            rows = torch.stack([each[name] for each in given]).to(self.device)
            found[name] = rows.repeat_interleave(COLORS, dim=0) if self._color_by_color else rows
        return found

    @torch.inference_mode()
    def _bordered(self, frame: Tensor) -> Tensor:
        """Add the border to frames (B, C, H, W), and what is missing to the multiple."""
        border, multiple = self._border, self.predictor.size_multiple
        below, right = (border - (length + 2 * border) % -multiple for length in frame.shape[-2:])
        return F.pad(frame, (border, right, border, below), mode="replicate")

    def _frame_bytes(self, height: int, width: int) -> int:
        """Bytes of the frames that are held for one window: fed, predicted, read ahead, written."""
        floats = self.context_frames + self.predictor.output_frames + 2
        stored = 2 * (self.context_frames + 2) + 4
        return height * width * COLORS * (4 * floats + stored)


def _is_gray(window: Window) -> bool:
    """Say whether known frames show no color, up to the rounding of a video's decoder.

    Of all frames an eighth of the rows and columns is looked at, as most videos show color there.
    """
    coarse = all(_without_color(frame[::8, ::8]) for frame in window.known)
    return coarse and _without_color(window.known[-1])


def _without_color(pixels: Pixels) -> bool:
    return int((pixels.max(axis=-1) - pixels.min(axis=-1)).max()) <= _GRAY_LEVELS


def _gray(frame: Tensor) -> Tensor:
    """Give frames (B, 3, H, W) their Rec. 601 luma in all three channels."""
    return to_gray(frame).expand_as(frame)


def _explained(frames: Iterator[Tensor]) -> Iterator[Tensor]:
    """Turn a lack of memory, for which PyTorch has several errors, into a sentence."""
    try:
        yield from frames
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, MemoryError) and "memory" not in str(error):
            raise
        raise PredictionError(
            "there is not as much memory as --max-memory allows; lower it"
        ) from error
