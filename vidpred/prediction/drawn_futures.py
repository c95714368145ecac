"""Several possible futures of one window, drawn from a stochastic predictor."""

from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from vidpred.errors import PredictionError
from vidpred.models import Predictor
from vidpred.ops import named_generator, to_unit, unit_to_uint8
from vidpred.ops.checks import require_positive
from vidpred.plain import counted
from vidpred.prediction.memory import PROCESS_BYTES, in_words
from vidpred.prediction.rollout import COLORS, Rollout
from vidpred.prediction.windows import Window


class DrawnFutures(Rollout):
    """Draws K futures of each window: whole frames, no border; without `sharp` as evaluations do.

    Each future has a generator of its own, seeded by the seed, the window's place in its video and
    the number of the future: the first futures of a larger K are those of a smaller one.

    Args:
        predictor: Stochastic, in evaluation mode, on the device where it is to run.
        device: Where its input goes.
        max_memory: Bytes that the process may take, and as many on the device.
        num_samples: K, at least 1.
        seed: Of the draws.
        sharp: As for `Rollout`.

    Raises:
        PredictionError: When the predictor has one future only.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        device: torch.device,
        max_memory: int,
        num_samples: int,
        seed: int,
        sharp: bool = True,
    ) -> None:
        require_positive("num_samples", num_samples)
        if not predictor.stochastic:
            raise PredictionError(
                f"{type(predictor).__name__} gives one future, so there is nothing to draw; "
                "expected a stochastic --model, or leave --samples and --sharp out"
            )
        super().__init__(predictor, device=device, max_memory=max_memory, batch_size=1, sharp=sharp)
        self._stepwise = False
        self._num_samples = num_samples
        self._seed = seed
        self._place: int | None = None

    def windows_at_once(self, height: int, width: int, horizon: int) -> int:
        """Draw of one window at a time."""
        return 1

    def __call__(self, windows: Sequence[Window], horizon: int) -> Iterator[Tensor]:
        """Draw futures of one window.

        Args:
            windows: One.
            horizon: Frames to predict, at least 1.

        Yields:
            `horizon` tensors (1, K, 3, H, W), float in [0, 1]; with several futures in steps of
            1/255, as they are kept in 8 bits.

        Raises:
            PredictionError: When the memory does not suffice, or a prediction is not finite.
        """
        (window,) = windows
        self._require_memory(window, horizon, futures=self._num_samples)
        futures: list[Tensor] = []
        for future in self.one_by_one(window, horizon):
            frames = torch.stack(list(future))
            futures.append(frames if self._num_samples == 1 else unit_to_uint8(frames).cpu())
        for step in range(horizon):
            yield torch.stack([to_unit(frames[step]) for frames in futures])[None]

    def one_by_one(self, window: Window, horizon: int) -> Iterator[Iterator[Tensor]]:
        """Draw the futures of one window one after the other.

        Args:
            window: As for a call.
            horizon: Frames to predict, at least 1.

        Yields:
            K iterators, each to be read before the next one, over `horizon` frames (3, H, W), float
            in [0, 1].

        Raises:
            PredictionError: As a call does.
        """
        self._require_memory(window, horizon, futures=1)
        self._place = window.index
        frames = (frame[0] for frame in super().__call__([window], horizon))
        for _ in range(self._num_samples):
            yield islice(frames, horizon)

    def _require_memory(self, window: Window, horizon: int, *, futures: int) -> None:
        """Refuse to keep more futures than there is memory for."""
        kept = futures * horizon * COLORS * window.look.height * window.look.width
        if kept > self.max_memory - PROCESS_BYTES:
            raise PredictionError(
                f"{counted(futures, 'future')} of {horizon} frames take "
                f"{in_words(kept + PROCESS_BYTES)}; raise --max-memory, or lower --samples or "
                "--horizon"
            )

    @torch.inference_mode()
    def _whole(
        self,
        known: Iterator[Tensor],
        height: int,
        width: int,
        horizon: int,
        *,
        condition: dict[str, Tensor],
    ) -> Iterator[Tensor]:
        context = torch.stack(list(known), dim=1)
        planes = [
            self.predictor.futures(
                plane[None],
                horizon,
                # The same for each plane: where each color is predicted by itself, all three are
                # drawn alike.
                [named_generator(self._seed, self._place, j) for j in range(self._num_samples)],
                condition={name: rows[k : k + 1] for name, rows in condition.items()} or None,
            )
            for k, plane in enumerate(context)
        ]
        for future in zip(*planes, strict=True):
            yield from torch.cat(future).unbind(1)
