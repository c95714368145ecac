"""The contract of networks that read frame after frame into a memory, their own predictions too."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vidpred.errors import NetworkError
from vidpred.models.predictor import Condition, Predictor
from vidpred.ops.checks import require_frames
from vidpred.ops.padding import pad_to_multiple


class Followed(NamedTuple):
    """What a recurrent network predicts while it reads a clip.

    Attributes:
        pred: Frames 1 to T - 1, each predicted when those before it had been read, shape
            (B, T - 1, C, H, W); not clamped to [0, 1].
        penalties: By name, scalars that are minimized next to a loss of the frames.
    """

    pred: Tensor
    penalties: dict[str, Tensor]


class RecurrentPredictor(Predictor):
    """Predicts the next frame after each frame that it reads.

    A network defines `read`. `forward` reads the known frames, then its own predictions, as they
    are; what it gives is clamped to [0, 1] outside training. `vidpred.tasks.RecurrentTask` trains
    it by `follow`, which says for each frame whether the true or the predicted one is read.

    Attributes:
        penalty_weights: What else is minimized, by name, with the weights of the paper.

    Example:
        >>> import torch
        >>> class Mean(RecurrentPredictor):  # of all that was read
        ...     def __init__(self) -> None:
        ...         super().__init__(context_frames=1)
        ...
        ...     def read(self, frame, memory):
        ...         memory = [*(memory or []), frame]
        ...         return torch.stack(memory).mean(0), memory
        ...
        ...     def config(self):
        ...         return {}
        >>> frames = torch.tensor([0.0, 1.0, 0.5]).view(1, 3, 1, 1, 1)
        >>> Mean()(frames, horizon=2).flatten()
        tensor([0.5000, 0.5000])
        >>> Mean().follow(frames, torch.tensor([[True, True]])).pred.flatten()
        tensor([0.0000, 0.5000])
        >>> Mean().follow(frames, torch.tensor([[True, False]])).pred.flatten()
        tensor([0., 0.])
    """

    penalty_weights: Mapping[str, float] = MappingProxyType({})

    @abstractmethod
    def read(self, frame: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """Read a frame and predict the next.

        Args:
            frame: Shape (B, C, H, W), H and W multiples of `size_multiple`.
            memory: What the call for the frame before gave; None at the first frame.

        Returns:
            The next frame, shape (B, C, H, W), and the memory, which is a new one.
        """

    def penalties(self, memories: Sequence[Any]) -> dict[str, Tensor]:
        """Compute what else is minimized, scalars by the names of `penalty_weights`.

        Args:
            memories: After each frame of a clip.
        """
        return {}

    def follow(self, frames: Tensor, true: Tensor) -> Followed:
        """Read a clip and predict each frame from those before it.

        Args:
            frames: Shape (B, T, C, H, W) in [0, 1], T at least 2; any H and W.
            true: Whether the true frame is read, boolean, shape (B, T - 1) for frames 0 to T - 2;
                else the prediction of that frame. The first is always read.

        Raises:
            NetworkError: When the network names conditions, which `read` does not take.
            ValueError: When shapes do not fit.
        """
        self._require_frames_alone()
        require_frames("frames", frames)
        batch, length = frames.shape[:2]
        if length < 2 or true.shape != (batch, length - 1):
            raise ValueError(
                f"frames have shape {tuple(frames.shape)}, true {tuple(true.shape)}; expected at "
                "least 2 frames, and one value for each frame but the last, (B, T - 1)"
            )
        height, width = frames.shape[-2:]
        padded = pad_to_multiple(frames, self.size_multiple)
        preds: list[Tensor] = []
        memories: list[Any] = []
        for t in range(length - 1):
            frame = padded[:, t]
            if t:
                frame = torch.where(true[:, t, None, None, None], frame, preds[-1].to(frame.dtype))
            pred, memory = self.read(frame, memories[-1] if memories else None)
            preds.append(pred)
            memories.append(memory)
        return Followed(torch.stack(preds, dim=1)[..., :height, :width], self.penalties(memories))

    def rollout_frames(
        self, window: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Iterator[Tensor]:
        """Read the window, then the own predictions; see `Predictor.rollout_frames`."""
        self._require_frames_alone()
        memory: Any = None
        for frame in window.unbind(1):
            pred, memory = self.read(frame, memory)
        for k in range(horizon):
            if k:
                pred, memory = self.read(pred, memory)
            # In training gradients have to reach what lies outside.
            yield pred if self.training else pred.clamp(0, 1)

    def rollout(
        self, window: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Tensor:
        """Predict all frames with one memory; see `Predictor.rollout`."""
        return torch.stack(list(self.rollout_frames(window, horizon)), dim=1)

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Predict one frame; see `Predictor.step`."""
        return self.rollout(context, 1)

    def _require_frames_alone(self) -> None:
        if self.conditions:
            raise NetworkError(
                f"{type(self).__name__} is conditioned on {', '.join(self.conditions)}, and read "
                "takes frames alone; derive it from vidpred.models.Predictor, whose rollout takes "
                "conditions"
            )
