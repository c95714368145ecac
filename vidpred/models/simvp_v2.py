"""SimVP-v2: SimVP with gated spatiotemporal attention of large kernels as its translator."""

import math
from typing import Any, Literal

import torch
from jsonargparse.typing import ClosedUnitInterval, PositiveInt
from torch import Tensor, nn

from vidpred.models.predictor import Condition, Predictor
from vidpred.models.presets import preset_arguments
from vidpred.models.simvp import NORM_GROUPS, finished, require_spatial, strides

SimVPv2Preset = Literal["faithful", "cpu"]

SIMVP_V2_PRESETS: dict[SimVPv2Preset, dict[str, Any]] = {
    "faithful": {"context_frames": 10},
    "cpu": {
        "spatial_width": 16,
        "temporal_width": 64,
        "translator_depth": 4,
        "expansion": 2,
        "residual": True,
        "context_frames": 4,
    },
}
"""`faithful`: the authors' configuration for Moving MNIST. `cpu` is ours."""

LAYER_SCALE = 0.01
"""What each branch of a block is multiplied by at first."""

LOCAL_KERNEL, SPARSE_KERNEL, DILATION = 5, 7, 3
"""A kernel of 21 x 21 as one of neighbors, then one of every third pixel: (21, dilation 3)."""

WEIGHT_DEVIATION = 0.02
"""Of the weights of encoder and decoder at first."""


class SimVPv2(Predictor):
    """Encodes each frame, translates all together by gated attention, decodes predicted frames.

    Source: Tan et al. 2022, "SimVP: Towards Simple yet Powerful Spatiotemporal Predictive
    Learning" (arXiv 2211.12509), translator gSTA; equal to the authors' module in OpenSTL for equal
    weights. It predicts `context_frames` frames in one step; longer horizons feed them back. In
    training mode its frames are not clamped to [0, 1], so that gradients reach what lies outside.

    Deviations: `residual` and the presets `cpu` are ours. `drop_path` grows from 0 at the first
    block to its value at the last; there it starts at 0.01 whatever its value.

    Args:
        spatial_width: Channels of the features of a frame, even.
        temporal_width: Channels of the translator.
        spatial_depth: Convolutions of the encoder, and of the decoder, an even number; every second
            one changes the size by 2.
        translator_depth: Blocks of the translator, at least 2.
        expansion: Hidden channels of a block's feed-forward part, relative to its width.
        drop_path: Probability that a clip skips a branch of the last block, in training.
        residual: Whether the change from the last known frame is predicted instead of the frame.
        context_frames: Frames that it sees, and frames that it predicts at once.
        channels: Of a frame.

    Raises:
        ValueError: When a width or depth is odd or too small, or `drop_path` is no probability.

    Example:
        >>> import torch
        >>> SimVPv2.from_preset("cpu").eval()(torch.rand(1, 4, 3, 32, 32), horizon=6).shape
        torch.Size([1, 6, 3, 32, 32])
    """

    channels: int

    def __init__(
        self,
        spatial_width: PositiveInt = 64,
        temporal_width: PositiveInt = 512,
        *,
        spatial_depth: PositiveInt = 4,
        translator_depth: PositiveInt = 8,
        expansion: PositiveInt = 8,
        drop_path: ClosedUnitInterval = 0.0,
        residual: bool = False,
        context_frames: PositiveInt = 10,
        channels: PositiveInt = 3,
    ) -> None:
        super().__init__(
            context_frames=context_frames,
            output_frames=context_frames,
            channels=channels,
            size_multiple=2 ** (int(spatial_depth) // 2),
        )
        self.arguments = {
            "spatial_width": int(spatial_width),
            "temporal_width": int(temporal_width),
            "spatial_depth": int(spatial_depth),
            "translator_depth": int(translator_depth),
            "expansion": int(expansion),
            "drop_path": float(drop_path),
            "residual": bool(residual),
        }
        require_spatial(spatial_width, spatial_depth)
        if spatial_depth % 2:
            raise ValueError(f"spatial_depth is {spatial_depth}; expected an even number")
        if translator_depth < 2:
            raise ValueError(f"translator_depth is {translator_depth}; expected at least 2")
        if not 0 <= drop_path <= 1:
            raise ValueError(f"drop_path is {drop_path}; expected a probability, from 0 to 1")
        self.residual = bool(residual)
        self.encoder = nn.Sequential(
            *(
                _convolution(spatial_width if k else channels, spatial_width, stride=stride)
                for k, stride in enumerate(strides(spatial_depth))
            )
        )
        wide = context_frames * spatial_width
        widths = [wide, *[temporal_width] * (translator_depth - 1), wide]
        self.translator = nn.Sequential(
            *(
                AttentionBlock(
                    widths[k],
                    widths[k + 1],
                    attention=self.gate(widths[k]),
                    expansion=expansion,
                    drop_path=drop_path * k / (translator_depth - 1),
                )
                for k in range(translator_depth)
            )
        )
        self.decoder = nn.Sequential(
            *(
                _convolution(spatial_width, spatial_width, enlarge=stride)
                for stride in reversed(strides(spatial_depth))
            )
        )
        self.readout = nn.Conv2d(spatial_width, channels, 1)

    @classmethod
    def from_preset(
        cls,
        name: SimVPv2Preset,
        context_frames: PositiveInt | None = None,
        channels: PositiveInt = 3,
    ) -> "SimVPv2":
        """Build a network of a known size.

        Args:
            name: `faithful` (46,769,665 parameters for 10 gray frames) or `cpu` (189,891 for 4
                frames in color).
            context_frames: Frames that it sees and predicts; None is the preset's own number, 10
                or 4.
            channels: Of a frame.

        Raises:
            ValueError: When no preset has this name.
        """
        given = {"context_frames": context_frames, "channels": channels}
        return cls(**preset_arguments(SIMVP_V2_PRESETS, name, **given))

    def gate(self, width: int) -> nn.Module:
        """Build what a block's attention is gated by, (B, width, h, w) to the same."""
        return SpatialGate(width)

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Predict `context_frames` frames; see `Predictor.step`."""
        batch, frames = context.shape[:2]
        shallow = self.encoder[0](context.flatten(0, 1))
        deep = self.encoder[1:](shallow)
        translated = self.translator(deep.unflatten(0, (batch, frames)).flatten(1, 2))
        deep = self.decoder[:-1](translated.unflatten(1, (frames, -1)).flatten(0, 1))
        # What the first convolution kept of each known frame is the skip of each predicted one.
        pred = self.readout(self.decoder[-1](deep + shallow)).unflatten(0, (batch, frames))
        return finished(pred, context, residual=self.residual, training=self.training)

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values."""
        return {
            **self.arguments,
            "context_frames": self.context_frames,
            "channels": self.channels,
        }


class AttentionBlock(nn.Module):
    """Attention, then a convolutional feed-forward part, each added to what came in.

    Args:
        width: Channels of the input.
        width_out: Channels of the output; a pointwise convolution follows where they differ.
        attention: The gate, (B, width, h, w) to the same.
        expansion: Hidden channels of the feed-forward part, relative to `width`.
        drop_path: Probability that a clip skips a branch, in training.
    """

    def __init__(
        self,
        width: int,
        width_out: int,
        *,
        attention: nn.Module,
        expansion: int,
        drop_path: float = 0.0,
    ) -> None:
        # Here and not above: torchvision takes seconds, which `vidpred predict` need not wait.
        from torchvision.ops import StochasticDepth

        super().__init__()
        hidden = expansion * width
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(2))
        self.attend = nn.Sequential(
            nn.Conv2d(width, width, 1), nn.GELU(), attention, nn.Conv2d(width, width, 1)
        )
        self.feed_forward = nn.Sequential(
            nn.Conv2d(width, hidden, 1),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden),
            nn.GELU(),
            nn.Conv2d(hidden, width, 1),
        )
        self.scales = nn.ParameterList(
            nn.Parameter(torch.full((width, 1, 1), LAYER_SCALE)) for _ in range(2)
        )
        self.skip = StochasticDepth(drop_path, "row")
        self.apply(_initialize)
        self.reduce = nn.Conv2d(width, width_out, 1) if width != width_out else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Mix pixels and channels, (B, width, h, w) to (B, width_out, h, w)."""
        normal = self.norms[0](features)
        features = features + self.skip(self.scales[0] * (normal + self.attend(normal)))
        normal = self.norms[1](features)
        features = features + self.skip(self.scales[1] * self.feed_forward(normal))
        reduced: Tensor = self.reduce(features)
        return reduced


class SpatialGate(nn.Module):
    """gSTA: half of what a large kernel gives is gated by the sigmoid of the other half.

    Args:
        width: Channels of input and output.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.large = large_kernel(width)
        self.mix = nn.Conv2d(width, 2 * width, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Gate, (B, width, h, w) to the same."""
        values, gate = self.mix(self.large(features)).chunk(2, dim=1)
        gated: Tensor = gate.sigmoid() * values
        return gated


def large_kernel(width: int) -> nn.Sequential:
    """Build a depthwise convolution of a large kernel, of two sparse ones."""
    reach = DILATION * (SPARSE_KERNEL // 2)
    return nn.Sequential(
        nn.Conv2d(width, width, LOCAL_KERNEL, padding=LOCAL_KERNEL // 2, groups=width),
        nn.Conv2d(width, width, SPARSE_KERNEL, padding=reach, groups=width, dilation=DILATION),
    )


def _initialize(layer: nn.Module) -> None:
    """Draw the weights of a block by the number of outputs that each input reaches."""
    if isinstance(layer, nn.Conv2d):
        reached = math.prod(layer.kernel_size) * layer.out_channels // layer.groups
        nn.init.normal_(layer.weight, std=math.sqrt(2 / reached))
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _convolution(
    width_in: int, width_out: int, *, stride: int = 1, enlarge: int = 1
) -> nn.Sequential:
    """Build a convolution that shrinks by its stride, or enlarges by moving channels to pixels."""
    convolution = nn.Conv2d(width_in, width_out * enlarge**2, 3, stride=stride, padding=1)
    nn.init.trunc_normal_(convolution.weight, std=WEIGHT_DEVIATION)
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    return nn.Sequential(
        convolution,
        nn.PixelShuffle(enlarge) if enlarge > 1 else nn.Identity(),
        nn.GroupNorm(NORM_GROUPS, width_out),
        nn.SiLU(),
    )
