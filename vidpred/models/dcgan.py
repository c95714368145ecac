"""DCGAN as a next-frame predictor with a latent code (Radford et al. 2016)."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jsonargparse.typing import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from vidpred.models.clip_discriminator import ClipDiscriminator
from vidpred.models.dcgan_layers import (
    SMALLEST,
    DCGANDecoder,
    DCGANEncoder,
    as_dcgan,
    feature_widths,
    require_square,
)
from vidpred.models.minibatch_discrimination import MinibatchDiscrimination
from vidpred.models.predictor import Condition, Predictor
from vidpred.ops.checks import require_frames, require_positive, require_preset
from vidpred.ops.random import uniform_like
from vidpred.ops.range import signed_to_unit, unit_to_signed

DCGANPreset = Literal["faithful", "cpu"]

DCGAN_WIDTHS: dict[DCGANPreset, int] = {"faithful": 64, "cpu": 16}
"""Channels of the largest feature map; `faithful` is a width of the paper's discriminator."""

LATENT_SIZE = 100
"""Uniform latent values, Radford et al. 2016, figure 1."""


class DCGANGenerator(Predictor):
    """Predicts one frame from the past and a uniform latent code.

    Transposed convolutions with batch norm and ReLU but for the last, which ends in tanh. What the
    paper does not have, a past, goes through an encoder built as its discriminator, whose code is
    stacked on the latent one and whose feature maps are stacked on those of the decoder.

    Source: Radford et al. 2016 (arXiv 1511.06434). Deviations: the encoder; kernels of 4 x 4, as in
    Denton and Fergus 2018, where the paper has 5 x 5.

    Args:
        width: See `DCGANEncoder`.
        code_size: Values of the past's code.
        latent_size: Values of the latent code, uniform on [-1, 1].
        image_size: H = W of the frames: 8, 16, 32, 64 and so on.
        context_frames: Frames that it sees.
        channels: Of a frame.

    Raises:
        ValueError: When a count is below 1, or the image size no power of 2.

    Example:
        >>> import torch
        >>> network = DCGANGenerator.from_preset("cpu").eval()
        >>> network.sample(torch.rand(1, 4, 3, 64, 64), 2, num_samples=3).shape
        torch.Size([3, 1, 2, 3, 64, 64])
    """

    stochastic = True
    channels: int
    image_size: int

    def __init__(
        self,
        *,
        width: PositiveInt = 64,
        code_size: PositiveInt = 100,
        latent_size: PositiveInt = LATENT_SIZE,
        image_size: PositiveInt = 64,
        context_frames: PositiveInt = 4,
        channels: PositiveInt = 3,
    ) -> None:
        super().__init__(context_frames=context_frames, channels=channels)
        for name, value in (
            ("width", width),
            ("code_size", code_size),
            ("latent_size", latent_size),
        ):
            require_positive(name, value)
        self.width, self.code_size = int(width), int(code_size)
        self.latent_size, self.image_size = int(latent_size), int(image_size)
        shape: dict[str, Any] = {"width": width, "image_size": image_size}
        self.encoder = DCGANEncoder(context_frames * channels, code_size=code_size, **shape)
        self.decoder = DCGANDecoder(
            channels, code_size=code_size + latent_size, negative_slope=0.0, **shape
        )

    @classmethod
    def from_preset(
        cls,
        name: DCGANPreset,
        context_frames: PositiveInt = 4,
        channels: PositiveInt = 3,
        image_size: PositiveInt = 64,
        latent_size: PositiveInt = LATENT_SIZE,
    ) -> "DCGANGenerator":
        """Build a network of known width.

        Args:
            name: `faithful` or `cpu`.
            context_frames: Frames that it sees.
            channels: Of a frame.
            image_size: H = W of the frames.
            latent_size: Values of the latent code.

        Raises:
            ValueError: When no preset has this name.
        """
        return cls(
            width=_width(name),
            latent_size=latent_size,
            image_size=image_size,
            context_frames=context_frames,
            channels=channels,
        )

    def predict(self, context: Tensor, latent: Tensor) -> Tensor:
        """Give the next frame when the latent code is known.

        Args:
            context: Shape (B, context_frames, C, H, W) in [0, 1].
            latent: Shape (B, latent_size).

        Returns:
            Shape (B, 1, C, H, W) in [0, 1].
        """
        require_square(self, context, self.image_size)
        code, skips = self.encoder(unit_to_signed(context).flatten(1, 2))
        frame = torch.tanh(self.decoder(torch.cat([code, latent.to(code)], dim=1), skips))
        return signed_to_unit(frame)[:, None]

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Predict with the middle of the latent code, zeros; see `Predictor.step`."""
        return self.predict(context, context.new_zeros(len(context), self.latent_size))

    def sample_step(
        self,
        context: Tensor,
        *,
        generator: torch.Generator | None = None,
        condition: Condition | None = None,
    ) -> Tensor:
        """Predict with a uniform latent code; see `Predictor.sample_step`."""
        like = context.new_empty(len(context), self.latent_size)
        return self.predict(context, 2 * uniform_like(like, generator) - 1)

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values."""
        return {
            "width": self.width,
            "code_size": self.code_size,
            "latent_size": self.latent_size,
            "image_size": self.image_size,
            "context_frames": self.context_frames,
            "channels": self.channels,
        }


class DCGANDiscriminator(ClipDiscriminator):
    """Scores one frame after the known ones by strided convolutions with batch norm.

    Leaky ReLU follows every convolution, batch norm all but the first. It sees the past, stacked on
    the channels, and true and predicted frames in calls of their own.

    Source: Radford et al. 2016 (arXiv 1511.06434). Deviation: kernels of 4 x 4 where the paper has
    5 x 5.

    Args:
        width: See `DCGANEncoder`.
        image_size: H = W of the frames.
        context_frames: Known frames that it sees.
        channels: Of a frame.
        minibatch_kernels: Kernels of `MinibatchDiscrimination` before the logit; 0 is none.

    Raises:
        ValueError: When a count is below 1, or the image size no power of 2.

    Example:
        >>> import torch
        >>> network = DCGANDiscriminator.from_preset("cpu")
        >>> (logits,) = network(torch.zeros(2, 4, 3, 64, 64), [torch.zeros(2, 1, 3, 64, 64)])
        >>> logits.shape
        torch.Size([2, 1])
    """

    num_scales = 1
    output_frames = 1
    batch_dependent = True

    def __init__(
        self,
        *,
        width: PositiveInt = 64,
        image_size: PositiveInt = 64,
        context_frames: PositiveInt = 4,
        channels: PositiveInt = 3,
        minibatch_kernels: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        for name, value in (
            ("width", width),
            ("context_frames", context_frames),
            ("channels", channels),
        ):
            require_positive(name, value)
        self.width, self.image_size = int(width), int(image_size)
        self.context_frames, self.channels = int(context_frames), int(channels)
        self.minibatch_kernels = int(minibatch_kernels)
        stacked = DCGANEncoder(
            (context_frames + 1) * channels,
            code_size=1,
            width=width,
            image_size=image_size,
            normalized_input=False,
        )
        self.halving = stacked.halving
        features = feature_widths(width, image_size)[-1] * SMALLEST**2
        self.similarity: nn.Module = (
            MinibatchDiscrimination(features, kernels=minibatch_kernels)
            if minibatch_kernels
            else nn.Identity()
        )
        self.logit = nn.Linear(features + self.minibatch_kernels, 1)
        as_dcgan(self.logit)

    @classmethod
    def from_preset(
        cls,
        name: DCGANPreset,
        context_frames: PositiveInt = 4,
        channels: PositiveInt = 3,
        image_size: PositiveInt = 64,
        minibatch_kernels: NonNegativeInt = 0,
    ) -> "DCGANDiscriminator":
        """Build a network of known width.

        Args:
            name: `faithful` or `cpu`.
            context_frames: Known frames that it sees.
            channels: Of a frame.
            image_size: H = W of the frames.
            minibatch_kernels: See the class.

        Raises:
            ValueError: When no preset has this name.
        """
        return cls(
            width=_width(name),
            image_size=image_size,
            context_frames=context_frames,
            channels=channels,
            minibatch_kernels=minibatch_kernels,
        )

    def forward(self, context: Tensor, candidates: Sequence[Tensor]) -> list[Tensor]:
        """Score frames; see `ClipDiscriminator.forward`."""
        *_, last = self.feature_maps(context, candidates)
        return [self.logit(self.similarity(last.flatten(1)))]

    def features(self, context: Tensor, candidates: Sequence[Tensor]) -> Tensor:
        """Give features for a classifier, as section 5.1 of the paper makes them.

        Args:
            context: As for `forward`.
            candidates: As for `forward`.

        Returns:
            The maximum of each feature map over a grid of 4 x 4, of all layers, shape (B, F).
        """
        maps = self.feature_maps(context, candidates)
        return torch.cat([F.adaptive_max_pool2d(m, SMALLEST).flatten(1) for m in maps], dim=1)

    def feature_maps(self, context: Tensor, candidates: Sequence[Tensor]) -> list[Tensor]:
        """Give the feature maps of every layer, shape (B, channels, h, w), the largest first.

        Raises:
            ValueError: When frames or scales are not those of the network.
        """
        require_frames("context", context)
        if len(candidates) != 1:
            raise ValueError(f"{len(candidates)} candidates; expected one: it has a single scale")
        expected = (self.context_frames, self.channels)
        if context.shape[1:3] != expected:
            raise ValueError(
                f"context has shape {tuple(context.shape)}; "
                f"expected (B, {expected[0]}, {expected[1]}, H, W)"
            )
        require_square(self, context, self.image_size)
        frames = torch.cat([context, candidates[0]], dim=1).flatten(1, 2)
        maps = []
        for halve in self.halving:
            frames = halve(frames)
            maps.append(frames)
        return maps

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values."""
        return {
            "width": self.width,
            "image_size": self.image_size,
            "context_frames": self.context_frames,
            "channels": self.channels,
            "minibatch_kernels": self.minibatch_kernels,
        }


def _width(name: DCGANPreset) -> int:
    require_preset(name, tuple(DCGAN_WIDTHS))
    return DCGAN_WIDTHS[name]
