"""A predictor as one graph for any frame size and batch."""

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from vidpred.errors import ExportError
from vidpred.export.flow_graph import FLOWS, FlowsAsInput, flows_of
from vidpred.models import (
    DYAN,
    EDMPredictor,
    FlowRefiner,
    OpticalFlowExtrapolation,
    Predictor,
    VideoPixelNetwork,
)
from vidpred.ops.padding import repeat_edges

INPUT, OUTPUT = "context", "frames"
"""Names of the graph's input, (B, T, C, H, W) in [0, 1], and output, (B, horizon, C, H, W)."""

DYNAMIC = {0: "batch", 3: "height", 4: "width"}
"""Names of the dimensions that are free."""

_TRACED = (3, 37, 53)
"""Batch, H and W that the graph is recorded with; none is special to it."""

_TRACED_WITH_FLOWS = (3, 37, 19_983)
"""The same where flows are inputs.

The recorder then adds a check that refuses frames as wide as these are once they are padded
(PyTorch 2.14), which no video is.
"""


class _FixedHorizon(nn.Module):
    """Does as `Predictor.forward`, with no decision that depends on the frame size."""

    def __init__(self, predictor: Predictor, horizon: int) -> None:
        super().__init__()
        self.predictor = predictor
        self.horizon = horizon

    def forward(self, context: Tensor) -> Tensor:
        height, width = context.shape[-2:]
        window = repeat_edges(context, self.predictor.size_multiple)
        frames = self.predictor.rollout(window, self.horizon)
        # Slices would ask whether something is cut off at all.
        rows = torch.arange(height, device=context.device)
        columns = torch.arange(width, device=context.device)
        return frames.index_select(-2, rows).index_select(-1, columns)


def channels_of(predictor: Predictor) -> int:
    """Give C; that of color where the predictor takes any number."""
    return 3 if predictor.channels is None else predictor.channels


def smallest_side(predictor: Predictor) -> int:
    """Give the least H and W of the graph.

    On smaller frames the coarsest scale would be one pixel wide, for which other rules hold.
    """
    return predictor.size_multiple + 1


def inputs_of(predictor: Predictor, context: Tensor) -> dict[str, Tensor]:
    """Give what a predictor's graph takes, by name: the frames, and of `FlowRefiner` the flows.

    Args:
        predictor: What is recorded.
        context: Frames, shape (B, T, C, H, W) in [0, 1].
    """
    if isinstance(predictor, FlowRefiner):
        return {INPUT: context, FLOWS: flows_of(predictor, context)}
    return {INPUT: context}


def _why_no_graph(predictor: Predictor) -> str | None:
    """Say what of a predictor no graph can hold, where that is known."""
    if predictor.conditions:
        return (
            f"it is conditioned on {', '.join(predictor.conditions)}, and a graph has frames alone"
        )
    if (side := predictor.image_size) is not None:
        return f"it takes frames of {side} x {side} alone, and a graph takes any size"
    if isinstance(predictor, DYAN | OpticalFlowExtrapolation):
        return "its optical flow is estimated outside of PyTorch"
    if isinstance(predictor, VideoPixelNetwork):
        return "its prediction is the mean of futures that are drawn pixel by pixel"
    if isinstance(predictor, EDMPredictor):
        return "its prediction starts from seeded noise of the frame's size"
    return None


def record(predictor: Predictor, horizon: int) -> ExportedProgram:
    """Record a predictor as a graph.

    Args:
        predictor: In evaluation mode on the CPU.
        horizon: Frames that the graph predicts.

    Raises:
        ExportError: When its steps cannot be recorded for all frame sizes.
    """
    if reason := _why_no_graph(predictor):
        raise ExportError(
            f"{type(predictor).__name__} is no graph: {reason}. --format safetensors takes any "
            "network"
        )
    flows = isinstance(predictor, FlowRefiner)
    batch, height, width = _TRACED_WITH_FLOWS if flows else _TRACED
    side = smallest_side(predictor)
    context = torch.rand(
        batch, predictor.context_frames, channels_of(predictor), max(height, side), max(width, side)
    )
    free = {0: Dim("batch", min=1), 3: Dim("height", min=side), 4: Dim("width", min=side)}
    inputs = inputs_of(predictor, context)
    graph: nn.Module = _FixedHorizon(predictor, horizon)
    if isinstance(predictor, FlowRefiner):
        graph = FlowsAsInput(predictor, horizon)
    try:
        # The evidence of flows is computed without gradient; a graph that switches is no ONNX.
        with torch.set_grad_enabled(torch.is_grad_enabled() and not flows):
            return torch.export.export(
                graph,
                tuple(inputs.values()),
                dynamic_shapes={name: free for name in inputs},
                # What depends on strides of odd sizes is checked when the graph runs.
                prefer_deferred_runtime_asserts_over_guards=flows,
            )
    except Exception as error:  # whatever the network's own code raises, and the recorder's
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ExportError(
            f"{type(predictor).__name__} cannot be recorded as a graph for every frame size "
            f"({reason}); expected a step of tensor operations alone, without decisions that "
            "depend on the size. --format safetensors takes any network"
        ) from error
