"""The coarse-to-fine generator of Mathieu, Couprie and LeCun (ICLR 2016, arXiv 1511.05440)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal, Self, cast, get_args

import torch
import torch.nn.functional as F
from jsonargparse.typing import PositiveInt
from torch import Tensor, nn

from vidpred.models.predictor import Condition
from vidpred.models.scale_predictor import ScalePredictor
from vidpred.ops.checks import require_frames, require_preset
from vidpred.ops.pyramid import pyramid


@dataclass(frozen=True)
class GeneratorScale:
    """One scale's network: stride-1 convolutions with ReLU between.

    Attributes:
        hidden: Feature maps of the hidden layers.
        kernels: Kernel sizes, one more than `hidden`, all odd so that "same" padding exists.
    """

    hidden: tuple[PositiveInt, ...]
    kernels: tuple[PositiveInt, ...]

    def __post_init__(self) -> None:
        if len(self.kernels) != len(self.hidden) + 1:
            raise ValueError(
                f"{len(self.kernels)} kernels for {len(self.hidden)} hidden layers; "
                "expected one kernel more than hidden layers"
            )
        if any(kernel < 1 or kernel % 2 == 0 for kernel in self.kernels):
            raise ValueError(f"kernels are {list(self.kernels)}; expected odd sizes")


PAPER_SCALES = (
    GeneratorScale((128, 256, 128), (3, 3, 3, 3)),
    GeneratorScale((128, 256, 128), (5, 3, 3, 5)),
    GeneratorScale((128, 256, 512, 256, 128), (5, 3, 3, 3, 3, 5)),
    GeneratorScale((128, 256, 512, 256, 128), (7, 5, 5, 5, 5, 7)),
)
"""Table 1 of the paper, coarsest first."""

SMALL_SCALES = tuple(
    GeneratorScale(tuple(width // 8 for width in scale.hidden), scale.kernels)
    for scale in PAPER_SCALES
)
"""The net of the released training script: every hidden width of the paper divided by 8."""

PAPER_8TO8_SCALES = (
    GeneratorScale((16, 32, 64), (3, 3, 3, 3)),
    GeneratorScale((16, 32, 64), (5, 3, 3, 3)),
    GeneratorScale((32, 64, 128), (5, 5, 5, 5)),
    GeneratorScale((32, 64, 128, 128), (7, 5, 5, 5, 5)),
)
"""The paper's variant that predicts 8 frames from 8; recalled, not verified against the paper."""

Upsampling = Literal["nearest", "bilinear"]

ResidualTo = Literal["guess", "last_frame"]

GeneratorPreset = Literal["paper", "small", "single_scale", "single_scale_small", "paper_8to8"]

GENERATOR_PRESETS: dict[GeneratorPreset, tuple[GeneratorScale, ...]] = {
    "paper": PAPER_SCALES,
    "small": SMALL_SCALES,
    "single_scale": PAPER_SCALES[-1:],
    "single_scale_small": SMALL_SCALES[-1:],
    "paper_8to8": PAPER_8TO8_SCALES,
}


class MultiScaleGenerator(ScalePredictor):
    """Predicts at the coarsest scale, then corrects the enlarged guess scale by scale.

    `Y_k = tanh(u(Y_{k-1}) + G_k([X_k, u(Y_{k-1})]))`, the coarsest `Y_1 = tanh(G_1(X_1))`: the
    enlarged guess u(Y) enters twice, as input channels and as a residual, and tanh comes after the
    addition. Fully convolutional with zero padding; no normalization.

    A tanh of the guess cannot give the guess back: a copy of the last frame has to be learned as
    the inverse of tanh, which grows without bound near black, white and full colors, so that
    predictions get paler whenever they are fed back. `residual_to="last_frame"`, which is not the
    paper's, predicts the change of the last known frame instead, without a tanh:
    `D_k = u(D_{k-1}) + G_k([X_k, u(Y_{k-1})])`, `Y_k = x_k + D_k` with x_k the last frame of X_k.
    Its last convolutions start at zero, so that untrained it is `CopyLastFrame`.

    Args:
        scales: One network a scale, coarsest first; each scale has twice the size of the one
            before.
        context_frames: Past frames, stacked on the channels.
        output_frames: Frames that one step predicts, stacked on the channels.
        channels: Color channels of a frame, C.
        upsampling: How the coarser guess is enlarged; the paper's code uses nearest neighbors.
        residual_to: What the networks correct: `guess`, as in the paper, or `last_frame`.

    Example:
        >>> import torch
        >>> generator = MultiScaleGenerator.from_preset("small", residual_to="last_frame")
        >>> context = torch.rand(1, 4, 3, 16, 16)
        >>> bool(torch.allclose(generator(context, 2), context[:, -1:], atol=1e-6))  # untrained
        True
    """

    channels: int

    def __init__(
        self,
        scales: Sequence[GeneratorScale],
        *,
        context_frames: PositiveInt = 4,
        output_frames: PositiveInt = 1,
        channels: PositiveInt = 3,
        upsampling: Upsampling = "nearest",
        residual_to: ResidualTo = "guess",
    ) -> None:
        if upsampling not in get_args(Upsampling):
            raise ValueError(f"upsampling is {upsampling!r}; expected nearest or bilinear")
        if residual_to not in get_args(ResidualTo):
            raise ValueError(f"residual_to is {residual_to!r}; expected guess or last_frame")
        super().__init__(
            num_scales=len(scales),
            context_frames=context_frames,
            output_frames=output_frames,
            channels=channels,
        )
        self.scales = tuple(scales)
        self.upsampling = upsampling
        self.residual_to = residual_to
        guess_channels = output_frames * channels
        self.networks = nn.ModuleList(
            same_size_network(
                scale, context_frames * channels + (guess_channels if k else 0), guess_channels
            )
            for k, scale in enumerate(self.scales)
        )
        if residual_to == "last_frame":
            for network in self.networks:
                last = cast(nn.Conv2d, cast(nn.Sequential, network)[-1])
                nn.init.zeros_(last.weight)
                nn.init.zeros_(cast(Tensor, last.bias))

    @property
    def receptive_radius(self) -> int:
        """See `Predictor.receptive_radius`; 95 for the `small` and `paper` networks."""
        widest = needed = 0
        for k, scale in enumerate(reversed(self.scales)):
            # Pixels of this scale around one that is needed: those that its network sees, then the
            # pixels of the coarser guess that these were enlarged from.
            seen = needed + sum(kernel // 2 for kernel in scale.kernels)
            widest = max(widest, seen * 2**k + 2**k - 1)
            needed = -(-seen // 2) + (self.upsampling == "bilinear")
        return widest

    @classmethod
    def from_preset(
        cls,
        name: GeneratorPreset,
        context_frames: PositiveInt | None = None,
        channels: PositiveInt = 3,
        output_frames: PositiveInt | None = None,
        upsampling: Upsampling = "nearest",
        residual_to: ResidualTo = "guess",
    ) -> "MultiScaleGenerator":
        """Build one of the published networks.

        Args:
            name: `paper` (12,569,740 parameters), `small` (223,644), `single_scale` and
                `single_scale_small` (the finest network of each alone) or `paper_8to8`.
            context_frames: Past frames; None is the preset's own number, 4 (8 for `paper_8to8`).
            channels: Color channels of a frame.
            output_frames: Frames a step; None is the preset's own number, 1 (8 for `paper_8to8`).
            upsampling: How the coarser guess is enlarged.
            residual_to: What the networks correct; `guess` is the paper's.

        Raises:
            ValueError: When no preset has this name.
        """
        require_preset(name, get_args(GeneratorPreset))
        eight = name == "paper_8to8"
        return cls(
            GENERATOR_PRESETS[name],
            context_frames=(8 if eight else 4) if context_frames is None else context_frames,
            output_frames=(8 if eight else 1) if output_frames is None else output_frames,
            channels=channels,
            upsampling=upsampling,
            residual_to=residual_to,
        )

    def forward_scales(self, context: Tensor) -> list[Tensor]:
        """Predict one step at every scale; see `ScalePredictor.forward_scales`.

        With `residual_to="last_frame"` values may leave [-1, 1], so that gradients reach what lies
        outside; `step` cuts them.

        Raises:
            ValueError: When the context has another number of frames or channels than the network.
        """
        require_frames("context", context)
        if context.shape[1:3] != (self.context_frames, self.channels):
            raise ValueError(
                f"context has shape {tuple(context.shape)}; expected "
                f"(B, {self.context_frames}, {self.channels}, H, W)"
            )
        frames_shape = (self.output_frames, self.channels)
        guesses: list[Tensor] = []
        change: Tensor | None = None
        for past, network in zip(pyramid(context, self.num_scales), self.networks, strict=True):
            past = past.flatten(1, 2)
            # Under autocast the convolutions alone are in half precision: a guess keeps the digits
            # of the frames, through all the scales that add to it.
            if guesses:
                enlarged = F.interpolate(
                    guesses[-1].flatten(1, 2), scale_factor=2, mode=self.upsampling
                )
                correction = network(torch.cat([past, enlarged], dim=1)).to(past.dtype)
            else:
                enlarged, correction = None, network(past).to(past.dtype)
            if self.residual_to == "last_frame":
                if change is not None:
                    correction = correction + F.interpolate(
                        change, scale_factor=2, mode=self.upsampling
                    )
                change = correction
                last = past[:, -self.channels :].repeat(1, self.output_frames, 1, 1)
                guess = last + change
            else:
                guess = torch.tanh(correction if enlarged is None else enlarged + correction)
            guesses.append(torch.unflatten(guess, 1, frames_shape))
        return guesses

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Predict the next `output_frames` frames at full size; see `Predictor.step`."""
        return super().step(context).clamp(0, 1)

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values."""
        # The key is left out where it says nothing new, so that files of 0.1 are of equal networks.
        option = {} if self.residual_to == "guess" else {"residual_to": self.residual_to}
        return {
            **option,
            "scales": [
                {name: [int(v) for v in value] for name, value in asdict(scale).items()}
                for scale in self.scales
            ],
            "context_frames": self.context_frames,
            "output_frames": self.output_frames,
            "channels": self.channels,
            "upsampling": self.upsampling,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the generator whose `config` this is, with fresh weights."""
        scales = [
            GeneratorScale(tuple(scale["hidden"]), tuple(scale["kernels"]))
            for scale in config["scales"]
        ]
        return cls(**{**config, "scales": scales})


def same_size_network(scale: GeneratorScale, in_channels: int, out_channels: int) -> nn.Sequential:
    """Build the network of one scale, (B, in_channels, H, W) to (B, out_channels, H, W)."""
    widths = [in_channels, *scale.hidden, out_channels]
    layers: list[nn.Module] = []
    for (width_in, width_out), kernel in zip(pairwise(widths), scale.kernels, strict=True):
        convolution = nn.Conv2d(width_in, width_out, kernel, padding=kernel // 2)
        layers += [convolution, nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])
