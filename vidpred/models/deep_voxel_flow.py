"""Deep Voxel Flow (Liu et al., ICCV 2017, arXiv 1702.02463), extrapolating."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from jsonargparse.typing import PositiveInt
from torch import Tensor, nn

from vidpred.models.predictor import Condition, Predictor
from vidpred.ops.checks import require_preset
from vidpred.ops.range import unit_to_signed
from vidpred.ops.warp import warp

REACH = 64.0
"""Pixels that the largest output moves the newer frame: released code, half of half a frame of the
256 x 256 pixels that it trains on, whatever the size of the frame."""

INITIAL_DEVIATION = 0.01
"""Standard deviation of the initial weights of convolutions; released code."""

KERNELS = (5, 5, 3)
"""Kernel sizes of the three levels, finest first; released code."""

VoxelFlowPreset = Literal["faithful", "cpu"]

WIDTHS: dict[VoxelFlowPreset, tuple[int, int, int]] = {
    "faithful": (64, 128, 256),
    "cpu": (16, 32, 64),
}


class DeepVoxelFlow(Predictor):
    """Samples the last two frames along one flow and blends them.

    A U-Net of three levels sees both frames and gives three values a pixel, in [-1, 1] by tanh: a
    motion f of up to `REACH` pixels and a blend m. The newer frame is sampled at x - f, the older
    one at x - 2f, and the prediction is `m * older + (1 - m) * newer` with m taken to [0, 1].
    Several frames are predicted by feeding predictions back. Before any training, in evaluation
    mode, f is near 0 and m near 1/2: it predicts about the mean of the last two frames, which is
    worse than their copy. In training, batches are normalized by themselves, and f begins as ten
    pixels in any direction, as in the release: first batches teach mostly to keep it short.

    Source: Liu et al. 2017; layers, weights and parametrization of the authors' second release
    (PyTorch). Deviations: the flow is in whole pixels and the corners of the frame are aligned, as
    that code was written for (it leaves `align_corners` to today's default). Batch normalization
    averages its statistics over about ten batches; theirs keeps the last batch alone.

    Args:
        widths: Channels of the three levels, finest first; each lower one has half the size.
        channels: Color channels of a frame, C.

    Raises:
        ValueError: When there are not three widths.

    Example:
        >>> import torch
        >>> network = DeepVoxelFlow.from_preset("cpu")
        >>> network(torch.rand(1, 2, 3, 32, 48), horizon=2).shape
        torch.Size([1, 2, 3, 32, 48])
    """

    channels: int

    def __init__(
        self,
        widths: Sequence[PositiveInt] = WIDTHS["faithful"],
        *,
        channels: PositiveInt = 3,
    ) -> None:
        if len(widths) != len(KERNELS):
            raise ValueError(f"widths are {list(widths)}; expected three, finest first")
        super().__init__(context_frames=2, size_multiple=2 ** len(KERNELS), channels=channels)
        self.widths = tuple(int(width) for width in widths)
        lowest = self.widths[-1]
        above = (2 * self.channels, *self.widths[:-1])
        self.down = nn.ModuleList(
            _convolution(before, after, kernel)
            for before, after, kernel in zip(above, self.widths, KERNELS, strict=True)
        )
        self.bottom = _convolution(lowest, lowest, KERNELS[-1])
        below = (*self.widths[1:], lowest)
        self.up = nn.ModuleList(
            _convolution(lower + here, here, kernel)
            for lower, here, kernel in zip(below, self.widths, KERNELS, strict=True)
        )
        self.head = nn.Conv2d(self.widths[0], 3, KERNELS[0], padding=KERNELS[0] // 2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=INITIAL_DEVIATION)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    @classmethod
    def from_preset(cls, name: VoxelFlowPreset, channels: PositiveInt = 3) -> "DeepVoxelFlow":
        """Build the published network, or one of a quarter of its width.

        Args:
            name: `faithful` (3,821,891 parameters) or `cpu` (242,003).
            channels: Color channels of a frame.

        Raises:
            ValueError: When no preset has this name.
        """
        require_preset(name, get_args(VoxelFlowPreset))
        return cls(WIDTHS[name], channels=channels)

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Predict the next frame; see `Predictor.step`."""
        older, newer = context[:, -2], context[:, -1]
        flow, blend = self.voxel_flow(context)
        pred = blend * warp(older, -2 * flow) + (1 - blend) * warp(newer, -flow)
        return pred.clamp(0, 1).to(context.dtype)[:, None]

    def voxel_flow(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Estimate the motion into the next frame.

        Args:
            context: Shape (B, 2, C, H, W) in [0, 1], H and W multiples of 8.

        Returns:
            Flow, shape (B, 2, H, W), pixels per frame, dx then dy, on the grid of the next frame,
            and the weight of the older frame, shape (B, 1, H, W) in [0, 1].
        """
        maps = unit_to_signed(context).flatten(1, 2)
        levels: list[Tensor] = []
        for down in self.down:
            levels.append(down(maps))
            maps = F.max_pool2d(levels[-1], 2)
        maps = self.bottom(maps)
        for up, level in zip(reversed(self.up), reversed(levels), strict=True):
            maps = F.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)
            maps = up(torch.cat([maps, level], dim=1))
        # Half precision has too few digits for a position.
        out = torch.tanh(self.head(maps).float())
        return REACH * out[:, :2], (1 + out[:, 2:]) / 2

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values."""
        return {"widths": list(self.widths), "channels": self.channels}


def _convolution(before: int, after: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )
