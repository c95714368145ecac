"""A stochastic predictor without a network."""

from typing import Any

import torch
from torch import Tensor

from vidpred.models import Condition, Predictor
from vidpred.ops import normal_like


class Noisy(Predictor):
    """Adds noise of its own to the last frame for every future; its mean is the last frame."""

    def __init__(self, *, channels: int | None = None) -> None:
        super().__init__(context_frames=2, channels=channels, stochastic=True)

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        return context[:, -1:]

    def sample_step(
        self,
        context: Tensor,
        *,
        generator: torch.Generator | None = None,
        condition: Condition | None = None,
    ) -> Tensor:
        last = context[:, -1:]
        return (last + 0.1 * normal_like(last, generator)).clamp(0, 1)

    def config(self) -> dict[str, Any]:
        return {}
