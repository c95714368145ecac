"""Several possible futures of one window, drawn from a stochastic predictor."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from vidpred.errors import PredictionError
from vidpred.models import Predictor
from vidpred.ops import named_generator, to_unit, unit_to_uint8
from vidpred.ops.checks import require_positive
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
        first: Number of the first future, to draw a few of them at a time.
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
        first: int = 0,
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
        self._first = first
        self._name: tuple[object, ...] = ()

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
        kept = self._num_samples * horizon * COLORS * window.look.height * window.look.width
        if kept > self.max_memory - PROCESS_BYTES:
            raise PredictionError(
                f"{self._num_samples} futures of {horizon} frames take "
                f"{in_words(kept + PROCESS_BYTES)}; raise --max-memory, or lower --samples or "
                "--horizon"
            )
        futures: list[Tensor] = []
        for index in range(self._first, self._first + self._num_samples):
            self._name = (self._seed, window.index, index)
            frames = torch.cat(list(super().__call__(windows, horizon)))
            futures.append(frames if self._num_samples == 1 else unit_to_uint8(frames).cpu())
        for step in range(horizon):
            yield torch.stack([to_unit(frames[step]) for frames in futures])[None]

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
        # Where each color is predicted by itself, all three are drawn alike.
        with torch.inference_mode():
            planes = [
                self.predictor.sample(
                    plane[None],
                    horizon,
                    generator=self._generator(),
                    condition={name: rows[k : k + 1] for name, rows in condition.items()} or None,
                )[0]
                for k, plane in enumerate(context)
            ]
        yield from torch.cat(planes).unbind(1)

    def _generator(self) -> torch.Generator:
        """Give the generator of this future, from its beginning."""
        return named_generator(*self._name)
