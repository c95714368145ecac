"""SimVP: as many frames as it reads at once, from convolutions alone."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from jsonargparse.typing import PositiveInt
from torch import Tensor, nn

from vidpred.models.normalized_convolutions import SLOPE, normalized, shrinking
from vidpred.models.predictor import Condition, Predictor
from vidpred.models.presets import preset_arguments
from vidpred.ops.checks import require_positive

SimVPPreset = Literal["faithful", "cpu"]

SIMVP_PRESETS: dict[SimVPPreset, dict[str, Any]] = {
    "faithful": {"context_frames": 10},
    "cpu": {
        "spatial_width": 16,
        "temporal_width": 64,
        "translator_depth": 2,
        "residual": True,
        "context_frames": 4,
    },
}
"""`faithful`: the defaults of the authors' script for Moving MNIST. `cpu` is ours."""

NORM_GROUPS = 2
"""Groups of the normalization in encoder and decoder, as in the authors' code."""


class SimVP(Predictor):
    """Encodes each frame, translates all of them together, and decodes each predicted frame.

    Source: Gao et al. 2022, "SimVP: Simpler yet Better Video Prediction" (arXiv 2206.05099), with
    the Inception translator; equal to the authors' module for equal weights. It predicts
    `context_frames` frames in one step; longer horizons feed them back. In training mode its
    frames are not clamped to [0, 1], so that gradients reach what lies outside.

    Deviations: options of ours are `residual` and the presets `cpu`. In the authors' script the
    option `groups` has no effect; here `groups` is what is used there, 8.

    Args:
        spatial_width: Channels of the features of a frame, even.
        temporal_width: Channels of the translator, a multiple of 2 and of `groups`.
        spatial_depth: Convolutions of the encoder, and of the decoder; every second one changes
            the size by 2.
        translator_depth: Inception modules on each side of the translator's U, at least 2.
        kernels: Kernel sizes in an Inception module, odd.
        groups: Of the convolutions in an Inception module; 1 where its input is no multiple.
        residual: Whether the change from the last known frame is predicted instead of the frame.
        context_frames: Frames that it sees, and frames that it predicts at once.
        channels: Of a frame.

    Raises:
        ValueError: When a width is no multiple, a count is too small or a kernel is even.

    Example:
        >>> import torch
        >>> SimVP.from_preset("cpu").eval()(torch.rand(1, 4, 3, 32, 32), horizon=6).shape
        torch.Size([1, 6, 3, 32, 32])
    """

    channels: int

    def __init__(
        self,
        spatial_width: PositiveInt = 64,
        temporal_width: PositiveInt = 256,
        *,
        spatial_depth: PositiveInt = 4,
        translator_depth: PositiveInt = 8,
        kernels: Sequence[PositiveInt] = (3, 5, 7, 11),
        groups: PositiveInt = 8,
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
            "kernels": [int(kernel) for kernel in kernels],
            "groups": int(groups),
            "residual": bool(residual),
        }
        require_spatial(spatial_width, spatial_depth)
        _require(temporal_width, translator_depth, kernels, groups, spatial_width * context_frames)
        self.residual = bool(residual)
        self.encoder = nn.Sequential(
            *(
                _same(spatial_width if k else channels, spatial_width, stride)
                for k, stride in enumerate(strides(spatial_depth))
            )
        )
        self.translator = InceptionTranslator(
            context_frames * spatial_width,
            temporal_width,
            depth=translator_depth,
            kernels=kernels,
            groups=groups,
        )
        last = int(spatial_depth) - 1
        self.decoder = nn.Sequential(
            *(
                _transposed((2 if k == last else 1) * spatial_width, spatial_width, stride)
                for k, stride in enumerate(reversed(strides(spatial_depth)))
            )
        )
        self.readout = nn.Conv2d(spatial_width, channels, 1)

    @classmethod
    def from_preset(
        cls,
        name: SimVPPreset,
        context_frames: PositiveInt | None = None,
        channels: PositiveInt = 3,
    ) -> "SimVP":
        """Build a network of a known size.

        Args:
            name: `faithful` (15,778,433 parameters for 10 gray frames) or `cpu` (241,635 for 4
                frames in color).
            context_frames: Frames that it sees and predicts; None is the preset's own number, 10
                or 4.
            channels: Of a frame.

        Raises:
            ValueError: When no preset has this name.
        """
        given = {"context_frames": context_frames, "channels": channels}
        return cls(**preset_arguments(SIMVP_PRESETS, name, **given))

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Predict `context_frames` frames; see `Predictor.step`."""
        batch, frames = context.shape[:2]
        shallow = self.encoder[0](context.flatten(0, 1))
        deep = self.encoder[1:](shallow)
        translated = self.translator(deep.unflatten(0, (batch, frames)).flatten(1, 2))
        deep = translated.unflatten(1, (frames, -1)).flatten(0, 1)
        # What the first convolution kept of each known frame is the skip of each predicted one.
        decoded = self.decoder[-1](torch.cat([self.decoder[:-1](deep), shallow], dim=1))
        pred = self.readout(decoded).unflatten(0, (batch, frames))
        return finished(pred, context, residual=self.residual, training=self.training)

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values."""
        return {
            **self.arguments,
            "context_frames": self.context_frames,
            "channels": self.channels,
        }


class InceptionTranslator(nn.Module):
    """A U of Inception modules, all at one size: each has a skip to the one opposite.

    Args:
        width: Channels of its input and output.
        hidden: Channels between the modules.
        depth: Modules on each side, at least 2.
        kernels: Kernel sizes in a module.
        groups: Of the convolutions in a module.
    """

    def __init__(
        self, width: int, hidden: int, *, depth: int, kernels: Sequence[int], groups: int
    ) -> None:
        super().__init__()

        def module(wide_in: int, wide_out: int) -> Inception:
            return Inception(wide_in, hidden // 2, wide_out, kernels=kernels, groups=groups)

        self.down = nn.ModuleList(module(hidden if k else width, hidden) for k in range(depth))
        self.up = nn.ModuleList(
            module(2 * hidden if k else hidden, width if k == depth - 1 else hidden)
            for k in range(depth)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Translate the features of all frames, (B, width, h, w) to the same."""
        skips: list[Tensor] = []
        for module in self.down:
            features = module(features)
            skips.append(features)
        features = self.up[0](skips.pop())
        for module in self.up[1:]:
            features = module(torch.cat([features, skips.pop()], dim=1))
        return features


class Inception(nn.Module):
    """A pointwise convolution, then the sum of grouped convolutions of several kernel sizes.

    Args:
        width_in: Channels of the input.
        hidden: Channels after the pointwise convolution.
        width_out: Channels of the output, a multiple of `groups`.
        kernels: Kernel sizes, odd.
        groups: Of the convolutions and their normalization; 1 where `hidden` is no multiple.
    """

    def __init__(
        self, width_in: int, hidden: int, width_out: int, *, kernels: Sequence[int], groups: int
    ) -> None:
        super().__init__()
        groups = 1 if hidden % groups else groups
        self.reduce = nn.Conv2d(width_in, hidden, 1)
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(hidden, width_out, kernel, padding=kernel // 2, groups=groups),
                nn.GroupNorm(groups, width_out),
                nn.LeakyReLU(SLOPE, inplace=True),
            )
            for kernel in kernels
        )

    def forward(self, features: Tensor) -> Tensor:
        """Compute all branches, (B, width_in, h, w) to (B, width_out, h, w)."""
        reduced = self.reduce(features)
        total: Tensor = self.branches[0](reduced)
        for branch in self.branches[1:]:
            total = total + branch(reduced)
        return total


def finished(pred: Tensor, context: Tensor, *, residual: bool, training: bool) -> Tensor:
    """Add the last known frame where a change was predicted, and clamp outside training."""
    if residual:
        pred = context[:, -1:] + pred
    return pred if training else pred.clamp(0, 1)


def strides(depth: int) -> list[int]:
    """Give the stride of each convolution of an encoder: every second one is 2."""
    return [1 + k % 2 for k in range(depth)]


def require_spatial(width: int, depth: int) -> None:
    """Refuse what encoder and decoder cannot be built of."""
    if width % NORM_GROUPS:
        raise ValueError(f"spatial_width is {width}; expected an even number")
    if depth < 2:
        raise ValueError(f"spatial_depth is {depth}; expected at least 2")


def _require(hidden: int, depth: int, kernels: Sequence[int], groups: int, width: int) -> None:
    if depth < 2:
        raise ValueError(f"translator_depth is {depth}; expected at least 2")
    if hidden % 2:
        raise ValueError(f"temporal_width is {hidden}; expected an even number")
    if not kernels or any(kernel < 1 or kernel % 2 == 0 for kernel in kernels):
        raise ValueError(f"kernels are {list(kernels)}; expected odd sizes, at least one")
    require_positive("groups", groups)
    used = 1 if (hidden // 2) % groups else groups
    for name, value in (("temporal_width", hidden), ("spatial_width * context_frames", width)):
        if value % used:
            raise ValueError(f"{name} is {value}; expected a multiple of groups, {used}")


def _same(width_in: int, width_out: int, stride: int) -> nn.Sequential:
    return shrinking(width_in, width_out, stride, groups=NORM_GROUPS)


def _transposed(width_in: int, width_out: int, stride: int) -> nn.Sequential:
    if stride == 1:
        return _same(width_in, width_out, 1)
    enlarge = nn.ConvTranspose2d(width_in, width_out, 3, stride=2, padding=1, output_padding=1)
    return normalized(enlarge, width_out, groups=NORM_GROUPS)
