"""Which pixels move, as objects that an evaluation records by what they are."""

from abc import ABC, abstractmethod
from typing import Any, Literal, get_args

from jsonargparse.typing import ClosedUnitInterval
from torch import Tensor

from vidpred.flow.colors import COLOR_THRESHOLD, flow_motion_mask, require_color_threshold
from vidpred.flow.dis import DISFlow
from vidpred.flow.estimator import FlowEstimator
from vidpred.ops.motion import MOTION_THRESHOLD, frame_difference_mask, known_frames

FlowGrid = Literal["previous", "last"]


class MotionMask(ABC):
    """Marks where things move, judged by the last known motion before each target.

    Source of the timing: Mathieu et al. 2016, released code. Target t is judged by the true frames
    t - 2 and t - 1, never by itself: the mask gives nothing away of what a predictor has to find.
    """

    @abstractmethod
    def __call__(self, frames: Tensor, horizon: int) -> Tensor:
        """Mark the pixels that moved.

        Args:
            frames: True frames, context then targets, shape (B, T, C, H, W) in [0, 1], T at least
                horizon + 2.
            horizon: Number of targets at the end of `frames`, at least 1.

        Returns:
            Boolean, shape (B, horizon, 1, H, W), true where moving.

        Raises:
            TypeError: When the frames are not floating point.
            ValueError: When fewer than two frames come before the first target.
        """

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Say in plain values (JSON) what decides the mask: name, parameters, libraries."""


class FrameDifferenceMask(MotionMask):
    """Marks pixels that changed between the last two known frames.

    See `vidpred.ops.frame_difference_mask`.

    Args:
        threshold: A pixel moves when any channel changes by more than this, of full scale.

    Raises:
        ValueError: For a threshold outside [0, 1].
    """

    def __init__(self, *, threshold: ClosedUnitInterval = MOTION_THRESHOLD) -> None:
        if not 0 <= threshold <= 1:
            raise ValueError(
                f"threshold is {threshold}; expected a number in [0, 1], of full scale"
            )
        self.threshold = float(threshold)

    def __call__(self, frames: Tensor, horizon: int) -> Tensor:
        """Mark the pixels that changed; see `MotionMask.__call__`."""
        return frame_difference_mask(frames, horizon, self.threshold)

    def describe(self) -> dict[str, Any]:
        """Say in plain values what decides the mask."""
        return {"name": type(self).__name__, "threshold": self.threshold}


class OpticalFlowMask(MotionMask):
    """Marks the fastest pixels of the last known motion, as Mathieu et al. 2016 do.

    See `vidpred.flow.flow_motion_mask` for the rule and its source. The authors' flow pictures are
    not public: these masks are recomputed, and scores on them are not the paper's.

    A flow lies on the grid of one of its two frames, and the authors do not say of which.
    `previous` is the plain forward flow from t - 2 to t - 1: the mask lies where things were before
    the last known motion. `last` is the flow from t - 1 back to t - 2: the mask lies where things
    are in the last known frame. Forward flow is what flow programs give; on 97 clips of UCF101's
    first test list, 55 are left below 50 dB for copy-last with `previous`, 56 with `last`.

    Args:
        estimator: Of the flow; `DISFlow()` when None.
        threshold: Of the colors; 0.2 marks what is faster than 80 % of the fastest pixel.
        grid: Which known frame the mask lies on.

    Raises:
        ValueError: For a threshold outside [0, 1] or an unknown grid.
    """

    def __init__(
        self,
        estimator: FlowEstimator | None = None,
        *,
        threshold: ClosedUnitInterval = COLOR_THRESHOLD,
        grid: FlowGrid = "previous",
    ) -> None:
        require_color_threshold(threshold)
        if grid not in get_args(FlowGrid):
            raise ValueError(f"grid is {grid!r}; expected one of {', '.join(get_args(FlowGrid))}")
        self.estimator = DISFlow() if estimator is None else estimator
        self.threshold = float(threshold)
        self.grid: FlowGrid = grid

    def __call__(self, frames: Tensor, horizon: int) -> Tensor:
        """Mark the fastest pixels; see `MotionMask.__call__`."""
        known = known_frames(frames, horizon)
        previous, last = known[:, :-1].flatten(0, 1), known[:, 1:].flatten(0, 1)
        pair = (previous, last) if self.grid == "previous" else (last, previous)
        mask = flow_motion_mask(self.estimator(*pair), self.threshold)
        return mask.reshape(len(frames), horizon, *mask.shape[1:])

    def describe(self) -> dict[str, Any]:
        """Say in plain values what decides the mask."""
        return {
            "name": type(self).__name__,
            "estimator": self.estimator.describe(),
            "threshold": self.threshold,
            "grid": self.grid,
        }
