"""Predictors without parameters: what a model has to beat."""

from typing import Any, Self

import torch
from jsonargparse.typing import PositiveInt
from torch import Tensor

from vidpred.flow import DISFlow, FlowEstimator, described_estimator
from vidpred.models.predictor import Condition, Predictor
from vidpred.ops.warp import warp


class CopyLastFrame(Predictor):
    """Says that nothing moves: every future frame is the last known one.

    On whole frames of UCF101, which is mostly still, it beats many models; no score should be
    reported without it.
    """

    def __init__(self, *, context_frames: PositiveInt = 1) -> None:
        super().__init__(context_frames=context_frames)

    @property
    def receptive_radius(self) -> int:
        """See `Predictor.receptive_radius`."""
        return 0

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Repeat the last frame; see `Predictor.step`."""
        return context[:, -1:]

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values."""
        return {"context_frames": self.context_frames}


class LinearExtrapolation(Predictor):
    """Predicts that every pixel keeps changing as it last did: `x_t + k (x_t - x_{t-1})`.

    Right for light that fades; things that move leave a double edge, so it mostly shows what
    follows from taking pixels one by one. Each frame is clipped to [0, 1] on its own, so that
    clipping is not extrapolated.

    Args:
        context_frames: At least 2, of which the last 2 count.

    Raises:
        ValueError: For fewer than 2 context frames.
    """

    def __init__(self, *, context_frames: PositiveInt = 2) -> None:
        _require_motion(context_frames)
        super().__init__(context_frames=context_frames)

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Extrapolate by one frame; see `Predictor.step`."""
        return self.rollout(context, 1)

    def rollout(
        self, window: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Tensor:
        """Extrapolate by 1 to `horizon` frames at once; see `Predictor.rollout`."""
        last, change = window[:, -1:], window[:, -1:] - window[:, -2:-1]
        steps = torch.arange(1, horizon + 1, device=window.device, dtype=window.dtype)
        return (last + steps[:, None, None, None] * change).clamp(0, 1)

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values."""
        return {"context_frames": self.context_frames}


class OpticalFlowExtrapolation(Predictor):
    """Predicts that everything keeps moving as it last did.

    After Mathieu et al. 2016, whose optical-flow baseline carries the flow of the last two known
    frames on; how they carry it several steps is ours. The flow b from x_t back to x_{t-1} is
    estimated once. It says where the content of each pixel came from, and moves along with what it
    moves: `b_k(q) = b_{k-1}(q + b_{k-1}(q))` from `b_0 = b`, so `x_{t+k}(q) = x_{t+k-1}(q +
    b_k(q))`. The displacements are added up along the way, and each predicted frame is sampled from
    x_t itself: frames far ahead are no more blurred than the first one.

    Args:
        estimator: Of the flow; `DISFlow()` when None.
        context_frames: At least 2, of which the last 2 count.

    Raises:
        ValueError: For fewer than 2 context frames; when called, for frames that the estimator
            cannot take.
    """

    def __init__(
        self, estimator: FlowEstimator | None = None, *, context_frames: PositiveInt = 2
    ) -> None:
        _require_motion(context_frames)
        super().__init__(context_frames=context_frames)
        self.estimator = DISFlow() if estimator is None else estimator

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Carry the last frame on by one step; see `Predictor.step`."""
        return self.rollout(context, 1)

    def rollout(
        self, window: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Tensor:
        """Carry the last frame on by 1 to `horizon` steps; see `Predictor.rollout`."""
        last = window[:, -1]
        origin = self.backward_flow(window)
        path = torch.zeros_like(origin)
        predicted: list[Tensor] = []
        for _ in range(horizon):
            origin = warp(origin, origin)
            path = origin + warp(path, origin)
            predicted.append(warp(last, path))
        return torch.stack(predicted, dim=1).clamp(0, 1)

    def backward_flow(self, window: Tensor) -> Tensor:
        """Estimate the flow that is carried: from the last known frame back to the one before.

        Args:
            window: Shape (B, context_frames, C, H, W) in [0, 1].

        Returns:
            Shape (B, 2, H, W), pixels per frame, dx then dy, on the grid of the last frame.
        """
        return self.estimator(window[:, -1], window[:, -2])

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values, the estimator by its description."""
        return {"context_frames": self.context_frames, "estimator": self.estimator.describe()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the predictor whose `config` this is, with the OpenCV that is here.

        Raises:
            ValueError: When its estimator was not DIS: others need weights, and a configuration
                names no file.
        """
        estimator = described_estimator(config["estimator"])
        return cls(estimator, context_frames=config["context_frames"])


def _require_motion(context_frames: int) -> None:
    if context_frames < 2:
        raise ValueError(
            f"context_frames is {context_frames}; expected at least 2, which show a motion"
        )
