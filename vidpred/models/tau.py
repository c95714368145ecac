"""TAU: SimVP-v2 whose translator weighs channels, and so frames, by what is in all of them."""

from typing import Any, Literal

from jsonargparse.typing import PositiveInt
from torch import Tensor, nn

from vidpred.models.presets import preset_arguments
from vidpred.models.simvp_v2 import SimVPv2, large_kernel

TAUPreset = Literal["faithful", "cpu"]

TAU_PRESETS: dict[TAUPreset, dict[str, Any]] = {
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

REDUCTION = 16
"""Width of a block relative to its divisor of channels, at which the divisor is at least 4."""


class TAU(SimVPv2):
    """SimVP-v2 with temporal attention units as its translator.

    Source: Tan et al. 2023, "Temporal Attention Unit" (arXiv 2206.12126); equal to the authors'
    module in OpenSTL for equal weights. The paper trains it with
    `vidpred.losses.DifferentialDivergenceLoss` next to the squared difference.

    Deviations: those of `SimVPv2`; and the first weights of the attention are drawn as those of the
    rest of a block, there by PyTorch's default.

    Args:
        spatial_width: See `SimVPv2`, as for all of them.
        temporal_width: Channels of the translator.
        spatial_depth: Convolutions of the encoder, and of the decoder, an even number.
        translator_depth: Blocks of the translator, at least 2.
        expansion: Hidden channels of a block's feed-forward part, relative to its width.
        drop_path: Probability that a clip skips a branch of the last block, in training.
        residual: Whether the change from the last known frame is predicted instead of the frame.
        context_frames: Frames that it sees, and frames that it predicts at once.
        channels: Of a frame.

    Example:
        >>> import torch
        >>> TAU.from_preset("cpu").eval()(torch.rand(1, 4, 3, 32, 32), horizon=6).shape
        torch.Size([1, 6, 3, 32, 32])
    """

    @classmethod
    def from_preset(
        cls,
        name: TAUPreset,
        context_frames: PositiveInt | None = None,
        channels: PositiveInt = 3,
    ) -> "TAU":
        """Build a network of a known size.

        Args:
            name: `faithful` (44,656,001 parameters for 10 gray frames) or `cpu` (181,443 for 4
                frames in color).
            context_frames: Frames that it sees and predicts; None is the preset's own number, 10
                or 4.
            channels: Of a frame.

        Raises:
            ValueError: When no preset has this name.
        """
        given = {"context_frames": context_frames, "channels": channels}
        return cls(**preset_arguments(TAU_PRESETS, name, **given))

    def gate(self, width: int) -> nn.Module:
        """Build what a block's attention is gated by, (B, width, h, w) to the same."""
        return TemporalGate(width)


class TemporalGate(nn.Module):
    """Statical attention of a large kernel times dynamical attention of channels.

    Channels are features of single frames, stacked: what weighs channels weighs frames.

    Args:
        width: Channels of input and output.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.statical = nn.Sequential(large_kernel(width), nn.Conv2d(width, width, 1))
        # The authors divide the width by width // 16: above 64 channels, 16 or a few more remain.
        hidden = max(width // max(width // REDUCTION, 4), 1)
        self.dynamical = nn.Sequential(
            nn.Linear(width, hidden, bias=False),
            nn.ReLU(),
            nn.Linear(hidden, width, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Gate, (B, width, h, w) to the same."""
        channels = self.dynamical(features.mean((2, 3)))[..., None, None]
        gated: Tensor = channels * self.statical(features) * features
        return gated
