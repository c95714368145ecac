"""The contract of everything that says where pixels went."""

from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vidpred.ops.checks import RANGE_TOLERANCE


class FlowEstimator(ABC):
    """Estimates the optical flow between two frames.

    An estimator holds no state between calls: equal frames give equal flow, whatever came before,
    and threads may share one.
    """

    @torch.no_grad()
    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """Say where the content of each pixel of `first` is in `second`.

        Args:
            first: Frames, shape (N, C, H, W) in [0, 1], gray (C = 1) or RGB (C = 3).
            second: As many frames of the same kind.

        Returns:
            float32 without gradient, on the frames' device, shape (N, 2, H, W): pixels, dx (to the
            right) then dy (down), on the grid of `first`. first(p) is found at p + flow(p) in
            second.

        Raises:
            TypeError: When the frames are not floating point.
            ValueError: For other shapes, values outside [0, 1], and frames that the estimator
                cannot take.
        """
        _require_pairs(first, second)
        return self.estimate(first.float(), second.float())

    @abstractmethod
    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        """Do what `__call__` says, on float32 frames that it has checked."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Say in plain values (JSON) what decides the flow: name, parameters, library."""


def pad_to_size(frames: Tensor, height: int, width: int) -> Tensor:
    """Repeat the last row and column until frames (N, C, H, W) have at least this size."""
    missing_h, missing_w = max(0, height - frames.shape[-2]), max(0, width - frames.shape[-1])
    return F.pad(frames, (0, missing_w, 0, missing_h), mode="replicate")


def _require_pairs(first: Tensor, second: Tensor) -> None:
    if first.ndim != 4 or first.shape[1] not in (1, 3) or first.numel() == 0:
        raise ValueError(
            f"first has shape {tuple(first.shape)}; expected (N, C, H, W), at least 1 of each, "
            "with C = 1 (gray) or C = 3 (RGB)"
        )
    if first.shape != second.shape:
        raise ValueError(
            f"first has shape {tuple(first.shape)}, second {tuple(second.shape)}; "
            "expected equal shapes"
        )
    for name, frames in (("first", first), ("second", second)):
        if not frames.is_floating_point():
            raise TypeError(
                f"{name} is {frames.dtype}; expected floating point in [0, 1]: "
                "vidpred.ops.to_unit takes uint8 frames there"
            )
        low, high = (value.item() for value in torch.aminmax(frames))
        # Written so that NaN is refused too.
        if not (low >= -RANGE_TOLERANCE and high <= 1 + RANGE_TOLERANCE):
            raise ValueError(f"{name} has values from {low:.4g} to {high:.4g}; expected [0, 1]")
