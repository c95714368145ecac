"""A predictor that takes tensors, arrays and videos: what `vidpred.load` gives."""

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidpred.errors import NetworkError
from vidpred.files import expand_home
from vidpred.kernels import accelerated
from vidpred.models import Condition, Likelihood, Predictor
from vidpred.ops import to_unit, unit_to_uint8
from vidpred.ops.checks import require_positive
from vidpred.prediction.rollout import Rollout
from vidpred.prediction.shown import ShownPrediction
from vidpred.prediction.window_conditions import condition_of_window, conditions_of
from vidpred.prediction.windows import Input, Last, Window, windows

Array = npt.NDArray[Any]

MAX_MEMORY = 4 * 2**30
"""Bytes; videos of larger frames are predicted in tiles, as `vidpred predict` does by default."""


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
            channels=network.channels,
            stochastic=network.stochastic,
            conditions=network.conditions,
        )
        self.network = network
        self.image_size = network.image_size
        if isinstance(network, Likelihood):
            self.log_prob = network.log_prob

    @property
    def sharp(self) -> bool | None:
        """See `Predictor.sharp`."""
        return self.network.sharp

    @sharp.setter
    def sharp(self, sharp: bool | None) -> None:
        self.network.sharp = sharp

    @property
    def receptive_radius(self) -> int | None:
        """See `Predictor.receptive_radius`."""
        return self.network.receptive_radius

    @property
    def largest_region(self) -> int | None:
        """See `Predictor.largest_region`."""
        return self.network.largest_region

    @overload
    def __call__(
        self, context: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Tensor: ...
    @overload
    def __call__(
        self, context: Array | str | Path, horizon: int, *, condition: Condition | None = None
    ) -> Array: ...
    def __call__(
        self,
        context: Tensor | Array | str | Path,
        horizon: int,
        *,
        condition: Condition | None = None,
    ) -> Tensor | Array:
        """Predict `horizon` frames.

        Args:
            context: Past frames, of which the last `context_frames` count: a tensor
                (B, T, C, H, W), floating point in [0, 1], on the network's device; an array
                (T, H, W, C) or (B, T, C, H, W), uint8 or floating point in [0, 1]; or the path of a
                video or of a folder of frames, whose last frames are taken.
            horizon: Frames to predict, at least 1.
            condition: As for `Predictor.forward`; with the path of a video it is refused, for which
                the arrays next to it are read, see `vidpred.video.conditions`.

        Returns:
            A tensor for a tensor, with gradients where they are on; for an array one of the same
            layout and type; for a path uint8, shape (horizon, H, W, 3), the frames of `vidpred
            predict`: sharp where the network has the choice, with a border at every step and in
            tiles where frames are large, see `vidpred.prediction.rollout.Rollout`. Of tensors and
            arrays `sharp` decides.

        Raises:
            TypeError: For frames of another type.
            ValueError: For frames of another shape; for arrays of another range. The values of a
                tensor are not checked, since that would wait for the device.
            vidpred.errors.VideoError: When a video cannot be read, or has too few frames, or rows
                of what the network is conditioned on.
            vidpred.errors.PredictionError: When the video comes without these.
        """
        if isinstance(context, Tensor):
            pred: Tensor = super().__call__(context, horizon, condition=condition)
            return pred
        if not isinstance(context, np.ndarray):
            if condition is not None:
                raise ValueError(
                    f"condition is given for {context}; expected frames as a tensor or an array "
                    "with it: of a video the arrays next to it are read"
                )
            future = self._follow(self._read(context, horizon), horizon)
            return unit_to_uint8(future).permute(0, 2, 3, 1).cpu().numpy()
        with torch.inference_mode():
            future = super().__call__(self._to_tensor(context), horizon, condition=condition)
        return _like(context, future)

    def forward(
        self, context: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Tensor:
        """Predict from a tensor; see `Predictor.forward`."""
        pred: Tensor = self.network(context, horizon, condition=condition)
        return pred

    def sample(
        self,
        context: Tensor,
        horizon: int,
        *,
        num_samples: int = 1,
        generator: torch.Generator | None = None,
        condition: Condition | None = None,
    ) -> Tensor:
        """Draw possible futures from a tensor; see `Predictor.sample`."""
        return self.network.sample(
            *(context, horizon),
            num_samples=num_samples,
            generator=generator,
            condition=condition,
        )

    def futures(
        self,
        context: Tensor,
        horizon: int,
        generators: Iterable[torch.Generator],
        *,
        condition: Condition | None = None,
    ) -> Iterator[Tensor]:
        """Draw futures one by one from a tensor; see `Predictor.futures`."""
        return self.network.futures(context, horizon, generators, condition=condition)

    def show(self, context: Tensor | Array | str | Path, horizon: int) -> ShownPrediction:
        """Predict, and show known and predicted frames side by side in a notebook.

        Args:
            context: As for a call, of one clip.
            horizon: Frames to predict.

        Returns:
            What a notebook shows as a picture and a video; `save` writes them.
        """
        if not isinstance(context, Tensor | np.ndarray):
            window = self._read(context, horizon)
            future = self._follow(window, horizon)
            known = self._to_tensor(np.stack(window.known))
        else:
            known = context if isinstance(context, Tensor) else self._to_tensor(context)
            if known.ndim != 5 or len(known) != 1:
                raise ValueError(
                    f"context has shape {tuple(known.shape)}; expected one clip, B = 1, to be shown"
                )
            with torch.inference_mode():
                future = self(known, horizon)[0]
        return ShownPrediction(known[0, -self.context_frames :].cpu(), future.cpu())

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Predict the next frames; see `Predictor.step`."""
        return self.network.step(context, **self._given(condition))

    def rollout(
        self, window: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Tensor:
        """Predict any number of frames; see `Predictor.rollout`."""
        return self.network.rollout(window, horizon, **self._given(condition))

    def rollout_frames(
        self, window: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Iterator[Tensor]:
        """Predict frame by frame; see `Predictor.rollout_frames`."""
        return self.network.rollout_frames(window, horizon, **self._given(condition))

    def config(self) -> dict[str, Any]:
        """Give the network's arguments; see `Predictor.config`."""
        return self.network.config()

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Refuse: a network is trained and saved, not what carries it.

        Raises:
            NetworkError: Always.
        """
        raise NetworkError(
            "a task was given the VideoPredictor that vidpred.load gives; expected its network, "
            "such as ReconstructionTask(vidpred.load(path).network)"
        )

    def _given(self, condition: Condition | None) -> dict[str, Condition | None]:
        return {"condition": condition} if self.conditions else {}

    def _read(self, path: str | Path, horizon: int) -> Window:
        if not isinstance(path, str | Path):
            raise TypeError(
                f"context is a {type(path).__name__}; expected a tensor, a NumPy array, or the "
                "path of a video"
            )
        require_positive("horizon", horizon)
        place = expand_home(path)
        source = Input(place, conditions=conditions_of(place, self.conditions, {}))
        for window in windows(source, Last(), self.context_frames):
            if isinstance(window, Exception):
                raise window
            condition = condition_of_window(window, source, self.context_frames, horizon)
            return replace(window, condition=condition)
        raise AssertionError("windows from the last frames gives one or raises")

    def _follow(self, window: Window, horizon: int) -> Tensor:
        """Give (horizon, 3, H, W) in [0, 1]."""
        device = next(self.parameters(), torch.empty(0)).device
        rollout = Rollout(self.network, device=device, max_memory=MAX_MEMORY, batch_size=1)
        # As `vidpred predict` computes it: on a CPU by fast kernels.
        with accelerated(self.network) if device.type == "cpu" else nullcontext():
            return torch.cat(list(rollout([window], horizon)))

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
        # torch takes no array that is read-only, as `np.frombuffer` and memory maps give.
        frames = torch.from_numpy(np.require(array, requirements=["C", "W"])).to(ours.device)
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
