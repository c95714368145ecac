"""The flow refiner as one graph whose inputs are the known frames and the flows between them.

Classical flow is no graph of tensor operations, so that whoever runs the graph estimates it.
"""

import torch
from torch import Tensor, nn

from vidpred.models import FlowRefiner
from vidpred.models.flow_evidence import carry, evidence_of
from vidpred.ops.padding import repeat_edges

FLOWS = "flows"
"""Name of the graph's second input, (B, T - 1, 2, H, W), T the context frames."""

CONVENTION = (
    "flows[:, t] leads from known frame t + 1 back to frame t; pixels of the frames as they are, "
    "dx to the right then dy down, on the grid of the later frame: later(p) is found at "
    "p + flow(p) in the earlier"
)
"""What the flows are; units and signs."""


class FlowsAsInput(nn.Module):
    """Does as `FlowRefiner.forward` from flows that are given.

    Args:
        predictor: What is recorded.
        horizon: Frames that it predicts.
    """

    def __init__(self, predictor: FlowRefiner, horizon: int) -> None:
        super().__init__()
        self.predictor = predictor
        self.horizon = horizon

    def forward(self, context: Tensor, flows: Tensor) -> Tensor:
        """Predict from frames (B, T, 3, H, W) in [0, 1] and flows (B, T - 1, 2, H, W), pixels."""
        height, width = context.shape[-2:]
        window = repeat_edges(context, self.predictor.size_multiple)
        flows = repeat_edges(flows, self.predictor.size_multiple)
        evidence = evidence_of(window, flows)
        frames = torch.stack(
            [
                self.predictor.predict_whole(evidence, paths, k).clamp(0, 1)
                for k, paths in enumerate(carry(evidence, self.horizon), start=1)
            ],
            dim=1,
        )
        rows = torch.arange(height, device=context.device)
        columns = torch.arange(width, device=context.device)
        return frames.index_select(-2, rows).index_select(-1, columns)


def flows_of(predictor: FlowRefiner, context: Tensor) -> Tensor:
    """Estimate the flows that the graph takes, by the predictor's own estimator.

    Args:
        predictor: Whose estimator.
        context: Shape (B, T, 3, H, W) in [0, 1].

    Returns:
        Shape (B, T - 1, 2, H, W), see `CONVENTION`.
    """
    batch, known, _, height, width = context.shape
    window = repeat_edges(context, predictor.size_multiple)
    flows = predictor.estimator(window[:, 1:].flatten(0, 1), window[:, :-1].flatten(0, 1))
    return torch.unflatten(flows, 0, (batch, known - 1))[..., :height, :width]
