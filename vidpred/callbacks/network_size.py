"""How large a network is, and how many operations a predicted frame takes."""

import copy
from typing import Any, NamedTuple

import torch
from lightning_utilities.core.rank_zero import rank_zero_info
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vidpred.diagnostics.advice import predictor_name
from vidpred.kernels import restore
from vidpred.models import Predictor
from vidpred.plain import with_prefix

DEFAULT_SIZE = 64
"""Rows and columns for which operations are counted when the data name no size of their frames."""


class NetworkSize(NamedTuple):
    """Size and cost of a predictor.

    Attributes:
        parameters: Numbers that are trained or kept.
        flops: Floating-point operations of one predicted frame, a multiplication and an addition
            counted as two; None when they cannot be counted.
        height: Rows of the frame that was counted.
        width: Its columns.
    """

    parameters: int
    flops: int | None
    height: int
    width: int

    def words(self) -> str:
        """Say it in a line."""
        parameters = f"{self.parameters:,} parameters"
        if self.flops is None:
            return f"{parameters}; its operations cannot be counted"
        cost = with_prefix(self.flops, "FLOPs")
        return f"{parameters}, {cost} a predicted frame of {self.height} x {self.width}"


def network_size(predictor: Predictor, height: int, width: int) -> NetworkSize:
    """Count parameters, and operations of one predicted frame by `torch.utils.flop_counter`.

    Matrix products and convolutions are counted, as that counter does; the network runs on the
    "meta" device, which has shapes and no memory, and by plain PyTorch.

    Args:
        predictor: Any; left as it is.
        height: Rows of a frame.
        width: Columns.

    Example:
        >>> from vidpred.models import CopyLastFrame
        >>> network_size(CopyLastFrame(), 32, 32)
        NetworkSize(parameters=0, flops=0, height=32, width=32)
    """
    parameters = sum(parameter.numel() for parameter in predictor.parameters())
    shape = (1, predictor.context_frames, predictor.channels or 3, height, width)
    try:
        network = copy.deepcopy(predictor).to("meta").eval()
        restore(network)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(torch.rand(shape, device="meta"), predictor.output_frames)
    except Exception:  # whatever a user's network does: a count is not worth a training
        return NetworkSize(parameters, None, height, width)
    flops = counter.get_total_flops() // predictor.output_frames
    return NetworkSize(parameters, flops, height, width)


class NetworkSummary(Callback):
    """Print the networks with their parameters, and the operations of a predicted frame."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print a line for each network, and one for the predictor."""
        for line in summary_lines(pl_module, _frame_size(trainer)):
            rank_zero_info(line)


def summary_lines(task: nn.Module, size: tuple[int, int]) -> list[str]:
    """Give a line for each network of a task that has parameters, with the cost of the predictor.

    Args:
        task: Whose attributes are networks.
        size: Rows and columns of a frame.
    """
    lines = []
    for name, network in task.named_children():
        parameters = sum(parameter.numel() for parameter in network.parameters())
        if not parameters:
            continue
        said = f"{parameters:,} parameters"
        if isinstance(network, Predictor):
            said = network_size(network, *size).words()
        if network is getattr(task, "predictor", None):
            name = predictor_name(task)
        lines.append(f"{name}: {type(network).__name__}, {said}")
    return lines


def _frame_size(trainer: Trainer) -> tuple[int, int]:
    """Read the size of training frames, patches or whole, off the data module, where it has one."""
    data: Any = getattr(trainer, "datamodule", None)
    shapes = (getattr(data, name, None) for name in ("patch_shape", "frame_shape"))
    return next((shape for shape in shapes if shape), (DEFAULT_SIZE, DEFAULT_SIZE))
