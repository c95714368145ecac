"""Optical-flow extrapolation that is not misled by a duplicate of the last frame."""

import torch
from jsonargparse.typing import PositiveInt
from torch import Tensor

from vidpred.flow import FlowEstimator
from vidpred.models.baselines import OpticalFlowExtrapolation
from vidpred.ops.duplicates import SHARE, STILL, luma_differences


class DuplicateAwareFlowExtrapolation(OpticalFlowExtrapolation):
    """Optical-flow extrapolation that looks past a duplicate of the last known frame.

    Conversions of the frame rate repeat frames; about a quarter of UCF101's clips hold some. After
    such a repetition the flow of the last two frames is zero, and `OpticalFlowExtrapolation`
    predicts that everything stops. Here, where the last pair differs by less than 15 % of the pair
    before it (mean absolute luma difference), or by less than 0.05 gray levels of 255, the flow of
    the pair before is carried instead. All other clips are predicted as by
    `OpticalFlowExtrapolation`.

    The rule looks at two differences alone: after a scene cut between the third and the second last
    frame, the last pair looks like a duplicate too, and a flow across the cut is carried.

    Args:
        estimator: Of the flow; `DISFlow()` when None.
        context_frames: At least 3, of which the last 3 count.

    Raises:
        ValueError: For fewer than 3 context frames; when called, for frames that the estimator
            cannot take.

    Example:
        >>> predictor = DuplicateAwareFlowExtrapolation()
        >>> predictor(torch.rand(1, 3, 3, 64, 64), horizon=2).shape
        torch.Size([1, 2, 3, 64, 64])
    """

    def __init__(
        self, estimator: FlowEstimator | None = None, *, context_frames: PositiveInt = 3
    ) -> None:
        if context_frames < 3:
            raise ValueError(
                f"context_frames is {context_frames}; expected at least 3: the last pair of frames "
                "is compared with the pair before it"
            )
        super().__init__(estimator, context_frames=context_frames)

    def backward_flow(self, window: Tensor) -> Tensor:
        """Estimate the flow back from the last frame, or from its original where it repeats one."""
        before, last = luma_differences(window[:, -3:]).unbind(dim=1)
        repeated = ((last < STILL) | (last < SHARE * before))[:, None, None, None]
        newer = torch.where(repeated, window[:, -2], window[:, -1])
        older = torch.where(repeated, window[:, -3], window[:, -2])
        return self.estimator(newer, older)
