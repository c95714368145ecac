"""The contract of everything that predicts: past frames in, any number of future frames out."""

from abc import ABC, abstractmethod
from typing import Any, Self

import torch
from torch import Tensor, nn

from vidpred.ops.checks import require_frames, require_positive
from vidpred.ops.range import signed_to_unit, unit_to_signed


class Predictor(nn.Module, ABC):
    """Predicts the frames that follow, as many as asked and at any frame size.

    A network writes one step; this class checks, pads, feeds predictions back and crops.

    Attributes:
        context_frames: Past frames that a prediction needs.
        output_frames: Frames that one step predicts.
        size_multiple: H and W of what `step` sees are multiples of this; `forward` pads and crops.
    """

    def __init__(
        self, *, context_frames: int, output_frames: int = 1, size_multiple: int = 1
    ) -> None:
        super().__init__()
        require_positive("context_frames", context_frames)
        require_positive("output_frames", output_frames)
        # Plain integers: those of the command line are of a class that no checkpoint may hold.
        self.context_frames = int(context_frames)
        self.output_frames = int(output_frames)
        self.size_multiple = size_multiple

    @property
    def receptive_radius(self) -> int | None:
        """Pixels on each side of a predicted one on which `step` lets it depend; None is unknown.

        Large frames are predicted in overlapping tiles by predictors that know it.
        """
        return None

    @abstractmethod
    def step(self, context: Tensor) -> Tensor:
        """Predict the next `output_frames` frames.

        Args:
            context: Shape (B, context_frames, C, H, W) in [0, 1], H and W multiples of
                `size_multiple`.

        Returns:
            Shape (B, output_frames, C, H, W) in [0, 1].
        """

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values (JSON), to build the same again."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the predictor whose `config` this is, with fresh weights."""
        return cls(**config)

    def forward(self, context: Tensor, horizon: int) -> Tensor:
        """Predict `horizon` frames, feeding predictions back where one step does not reach.

        Args:
            context: Past frames, shape (B, T, C, H, W) in [0, 1] with T at least `context_frames`;
                only the last `context_frames` count. Any H and W.
            horizon: Frames to predict, at least 1.

        Returns:
            Shape (B, horizon, C, H, W) in [0, 1].

        Raises:
            TypeError: When the context is not floating point.
            ValueError: When the context is too short or not five-dimensional, or the horizon below
                1.
        """
        require_frames("context", context)
        require_positive("horizon", horizon)
        if not context.is_floating_point():
            raise TypeError(
                f"context is {context.dtype}; expected floating point in [0, 1]: "
                "vidpred.ops.to_unit takes uint8 frames there"
            )
        if context.shape[1] < self.context_frames:
            raise ValueError(
                f"context has {context.shape[1]} frames; "
                f"expected at least {self.context_frames} (context_frames)"
            )
        height, width = context.shape[-2:]
        window = pad_to_multiple(context[:, -self.context_frames :], self.size_multiple)
        return self.rollout(window, horizon)[..., :height, :width]

    def rollout(self, window: Tensor, horizon: int) -> Tensor:
        """Predict `horizon` frames by feeding the predictions of `step` back.

        A predictor that sees further than one step at once overrides this.

        Args:
            window: Shape (B, context_frames, C, H, W) in [0, 1], H and W multiples of
                `size_multiple`.
            horizon: At least 1.

        Returns:
            Shape (B, horizon, C, H, W) in [0, 1].
        """
        predicted: list[Tensor] = []
        for _ in range(-(-horizon // self.output_frames)):
            predicted.append(self.step(window))
            window = torch.cat([window, predicted[-1]], dim=1)[:, -self.context_frames :]
        return torch.cat(predicted, dim=1)[:, :horizon]


class ScalePredictor(Predictor):
    """A predictor that is trained at several scales at once: what `vidpred.tasks` trains.

    A network of one scale gives lists of one element. Inside, frames are in [-1, 1], where the
    losses of Mathieu et al. 2016 and their weights live; `forward` takes and gives [0, 1] like any
    predictor.

    Attributes:
        num_scales: S; scale k of S sees frames reduced `2 ** (S - k)` times, coarsest first.
    """

    def __init__(self, *, num_scales: int, context_frames: int, output_frames: int = 1) -> None:
        require_positive("num_scales", num_scales)
        super().__init__(
            context_frames=context_frames,
            output_frames=output_frames,
            size_multiple=2 ** (num_scales - 1),
        )
        self.num_scales = num_scales

    @abstractmethod
    def forward_scales(self, context: Tensor) -> list[Tensor]:
        """Predict one step at every scale.

        Args:
            context: Shape (B, context_frames, C, H, W) in [-1, 1], H and W multiples of
                `size_multiple`.

        Returns:
            S tensors (B, output_frames, C, h, w) in [-1, 1], coarsest first, the last at full size.
        """

    def step(self, context: Tensor) -> Tensor:
        """Predict the next `output_frames` frames at full size; see `Predictor.step`."""
        return signed_to_unit(self.forward_scales(unit_to_signed(context))[-1])


def pad_to_multiple(frames: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until H and W are multiples.

    Repeating, not zeros: a black border would be an edge that the network predicts, and feeds back.

    Args:
        frames: Shape (B, T, C, H, W).
        multiple: At least 1.

    Returns:
        Shape (B, T, C, H', W') with H' and W' the next multiples; the frames themselves where
        nothing is missing.
    """
    missing_h, missing_w = -frames.shape[-2] % multiple, -frames.shape[-1] % multiple
    if not missing_h and not missing_w:
        return frames
    return repeat_edges(frames, multiple)


def repeat_edges(frames: Tensor, multiple: int) -> Tensor:
    """Do as `pad_to_multiple`, without asking whether anything is missing.

    Nothing here depends on the frame size but sizes, so that one graph serves all of them.
    """
    for dim in (-2, -1):
        size = frames.shape[dim]
        padded = (size + multiple - 1) // multiple * multiple
        places = torch.arange(padded, device=frames.device).clamp(max=size - 1)
        frames = frames.index_select(dim, places)
    return frames
