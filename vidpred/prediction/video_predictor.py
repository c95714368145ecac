"""A predictor that takes tensors, arrays and videos: what `vidpred.load` gives."""

from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidpred.models import Predictor
from vidpred.ops import to_unit, unit_to_uint8
from vidpred.prediction.shown import ShownPrediction
from vidpred.prediction.windows import Input, Last, windows

Array = npt.NDArray[Any]


class VideoPredictor(Predictor):
    """Predicts from whatever holds frames; to tensors it is as the network that it carries.

    Args:
        network: Its predictor.

    Attributes:
        network: The same: train it further, look into it, compile it.
    """

    def __init__(self, network: Predictor) -> None:
        super().__init__(
            context_frames=network.context_frames,
            output_frames=network.output_frames,
            size_multiple=network.size_multiple,
        )
        self.network = network

    @property
    def receptive_radius(self) -> int | None:
        """See `Predictor.receptive_radius`."""
        return self.network.receptive_radius

    @overload
    def __call__(self, context: Tensor, horizon: int) -> Tensor: ...
    @overload
    def __call__(self, context: Array | str | Path, horizon: int) -> Array: ...
    def __call__(self, context: Tensor | Array | str | Path, horizon: int) -> Tensor | Array:
        """Predict `horizon` frames.

        Args:
            context: Past frames, of which the last `context_frames` count: a tensor
                (B, T, C, H, W), floating point in [0, 1], on the network's device; an array
                (T, H, W, C) or (B, T, C, H, W), uint8 or floating point in [0, 1]; or the path of a
                video or of a folder of frames, whose last frames are taken.
            horizon: Frames to predict, at least 1.

        Returns:
            A tensor for a tensor, with gradients where they are on; for an array one of the same
            layout and type; for a path uint8, shape (horizon, H, W, 3).

        Raises:
            TypeError: For frames of another type.
            ValueError: For frames of another shape or range.
            vidpred.errors.VideoError: When a video cannot be read or has too few frames.
        """
        if isinstance(context, Tensor):
            pred: Tensor = super().__call__(context, horizon)
            return pred
        array = self._read(context)
        with torch.inference_mode():
            future = super().__call__(self._to_tensor(array), horizon)
        return _like(array, future)

    def forward(self, context: Tensor, horizon: int) -> Tensor:
        """Predict from a tensor; see `Predictor.forward`."""
        pred: Tensor = self.network(context, horizon)
        return pred

    def show(self, context: Tensor | Array | str | Path, horizon: int) -> ShownPrediction:
        """Predict, and show known and predicted frames side by side in a notebook.

        Args:
            context: As for a call, of one clip.
            horizon: Frames to predict.

        Returns:
            What a notebook shows as a picture and a video; `save` writes them.
        """
        known = context if isinstance(context, Tensor) else self._to_tensor(self._read(context))
        if known.ndim != 5 or len(known) != 1:
            raise ValueError(
                f"context has shape {tuple(known.shape)}; expected one clip, B = 1, to be shown"
            )
        with torch.inference_mode():
            pred = self(known, horizon)
        return ShownPrediction(known[0, -self.context_frames :].cpu(), pred[0].cpu())

    def step(self, context: Tensor) -> Tensor:
        """Predict the next frames; see `Predictor.step`."""
        return self.network.step(context)

    def rollout(self, window: Tensor, horizon: int) -> Tensor:
        """Predict any number of frames; see `Predictor.rollout`."""
        return self.network.rollout(window, horizon)

    def config(self) -> dict[str, Any]:
        """Give the network's arguments; see `Predictor.config`."""
        return self.network.config()

    def _read(self, context: Array | str | Path) -> Array:
        if isinstance(context, np.ndarray):
            return context
        if not isinstance(context, str | Path):
            raise TypeError(
                f"context is a {type(context).__name__}; expected a tensor, a NumPy array, or the "
                "path of a video"
            )
        source = Input(Path(context).expanduser())
        for window in windows(source, Last(), self.context_frames):
            if isinstance(window, Exception):
                raise window
            return np.stack(window.known)
        raise AssertionError("windows from the last frames gives one or raises")

    def _to_tensor(self, array: Array) -> Tensor:
        """Give (B, T, C, H, W) in [0, 1] on the network's device."""
        if array.dtype != np.uint8 and array.dtype.kind != "f":
            raise TypeError(
                f"context is {array.dtype}; expected uint8 (0-255) or floating point in [0, 1]"
            )
        channels = {4: -1, 5: 2}.get(array.ndim)
        if channels is None or array.shape[channels] not in (1, 3) or 0 in array.shape:
            raise ValueError(
                f"context has shape {array.shape}; expected an array (T, H, W, C) or "
                "(B, T, C, H, W) with C 1 or 3"
            )
        # Not a comparison of what is outside: NaN is neither inside nor outside.
        if array.dtype.kind == "f" and not (array.min() >= 0 and array.max() <= 1):
            raise ValueError(
                f"context is {array.dtype} from {array.min():g} to {array.max():g}; expected "
                "floating point in [0, 1]: divide by full scale, or give uint8"
            )
        ours = next(self.parameters(), torch.empty(0))
        frames = torch.from_numpy(np.ascontiguousarray(array)).to(ours.device)
        frames = to_unit(frames).to(ours.dtype)
        return frames.permute(0, 3, 1, 2)[None] if array.ndim == 4 else frames


def _like(array: Array, future: Tensor) -> Array:
    """Give predicted frames (B, T, C, H, W) the layout and type of an array."""
    if array.dtype == np.uint8:
        future = unit_to_uint8(future)
    if array.ndim == 4:
        future = future[0].permute(0, 2, 3, 1)
    found: Array = future.contiguous().cpu().numpy().astype(array.dtype, copy=False)
    return found
