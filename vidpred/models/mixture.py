"""The multi-scale generator with a mixture of distributions a pixel instead of a color."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Self, get_args

import torch
import torch.nn.functional as F
from jsonargparse.typing import PositiveInt
from torch import Tensor, nn

from vidpred.models.multiscale import (
    GENERATOR_PRESETS,
    GeneratorPreset,
    GeneratorScale,
    MultiScaleGenerator,
    same_size_network,
)
from vidpred.models.predictor import Condition, Predictor
from vidpred.ops.checks import require_positive, require_preset
from vidpred.ops.padding import pad_to_multiple
from vidpred.ops.pixel_mixture import MixtureKind, PixelMixture
from vidpred.ops.pyramid import downsample
from vidpred.ops.range import signed_to_unit, unit_to_signed

UNIFORM_AT_FIRST = 0.998
"""Weight of the uniform component of a fresh network, ours: it gives 8 bits for each value."""

LOG_SCALE_AT_FIRST = -2.0
"""Of the other components, ours: a tenth of the range, so that little lies beyond it."""


class MixtureGenerator(Predictor):
    """Predicts K distributions for each pixel, and how likely each is.

    The coarser scales are those of `MultiScaleGenerator`; the finest network gives the parameters
    of a mixture around their enlarged guess. The point prediction is the weighted mean of the
    components, which PSNR favors (the mixture's mean where little lies beyond black and white);
    draws are as sharp as the distributions are sure, each pixel on its own given the colors before
    it. A likelihood of 256 values (`logistic`) is comparable with that of other networks.

    Source: the generator is that of Mathieu et al. 2016 (arXiv 1511.05440), the logistic mixture
    with its linear coupling of colors that of Salimans et al. 2017 (arXiv 1701.05517). The uniform
    component is ours, see `vidpred.ops.PixelMixture`.

    Args:
        scales: One network a scale, coarsest first; see `MultiScaleGenerator`.
        components: K, at least 1.
        distribution: `logistic`: discretized logistics with coupled colors; `normal`: densities of
            independent colors, the Gaussian mixture.
        context_frames: Past frames, stacked on the channels.
        channels: Color channels of a frame, C.

    Raises:
        ValueError: When a count is below 1 or the distribution unknown.

    Example:
        >>> import torch
        >>> network = MixtureGenerator.from_preset("small", components=2)
        >>> clip = torch.randint(256, (1, 6, 3, 16, 16)) / 255
        >>> nats = -network.log_prob(clip[:, :4], clip[:, 4:])
        >>> (nats / (3 * 16 * 16 * math.log(2))).round().tolist()  # bits a value, untrained
        [[8.0, 8.0]]
    """

    stochastic = True
    channels: int

    def __init__(
        self,
        scales: Sequence[GeneratorScale],
        *,
        components: PositiveInt = 5,
        distribution: MixtureKind = "logistic",
        context_frames: PositiveInt = 4,
        channels: PositiveInt = 3,
    ) -> None:
        if distribution not in get_args(MixtureKind):
            raise ValueError(f"distribution is {distribution!r}; expected logistic or normal")
        require_positive("components", components)
        require_positive("number of scales", len(scales))
        super().__init__(
            context_frames=context_frames, channels=channels, size_multiple=2 ** (len(scales) - 1)
        )
        self.scales = tuple(scales)
        self.components = int(components)
        self.distribution: MixtureKind = distribution
        *coarser, finest = scales
        shape: dict[str, Any] = {"context_frames": context_frames, "channels": channels}
        self.coarser = MultiScaleGenerator(coarser, **shape) if coarser else None
        inputs = context_frames * channels + (channels if coarser else 0)
        self.finest = same_size_network(finest, inputs, sum(self._parameters_of_a_pixel()))
        self._begin_uniform()

    @property
    def receptive_radius(self) -> int:
        """See `Predictor.receptive_radius`."""
        shape: dict[str, Any] = {"context_frames": self.context_frames, "channels": self.channels}
        with torch.device("meta"):
            return MultiScaleGenerator(self.scales, **shape).receptive_radius

    @classmethod
    def from_preset(
        cls,
        name: GeneratorPreset,
        components: PositiveInt = 5,
        distribution: MixtureKind = "logistic",
        context_frames: PositiveInt = 4,
        channels: PositiveInt = 3,
    ) -> "MixtureGenerator":
        """Build on the scales of a preset of `MultiScaleGenerator`.

        Args:
            name: `small`, `paper` and so on.
            components: K.
            distribution: See the class.
            context_frames: Past frames.
            channels: Color channels of a frame.

        Raises:
            ValueError: When no preset has this name.
        """
        require_preset(name, tuple(GENERATOR_PRESETS))
        return cls(
            GENERATOR_PRESETS[name],
            components=components,
            distribution=distribution,
            context_frames=context_frames,
            channels=channels,
        )

    def mixture(self, context: Tensor) -> PixelMixture:
        """Give the distribution of the next frame.

        Args:
            context: Shape (B, context_frames, C, H, W) in [0, 1], any H and W.

        Returns:
            Distributions of shape (B, ..., H, W), float32.
        """
        height, width = context.shape[-2:]
        signed = unit_to_signed(pad_to_multiple(context, self.size_multiple))
        seen = signed.flatten(1, 2)
        guess: Tensor | None = None
        if self.coarser is not None:
            smaller = self.coarser.forward_scales(downsample(signed, 2))[-1]
            guess = F.interpolate(smaller.flatten(1, 2), scale_factor=2, mode="nearest")
            seen = torch.cat([seen, guess.to(seen)], dim=1)
        found = self.finest(seen)[..., :height, :width].float()
        weights, means, log_scales, couplings = found.split(self._parameters_of_a_pixel(), dim=1)
        by_component = (self.components, self.channels)
        means = torch.unflatten(means, 1, by_component)
        if guess is not None:
            means = means + guess[:, None, :, :height, :width].float()
        return PixelMixture(
            self.distribution,
            F.log_softmax(weights, dim=1),
            means,
            torch.unflatten(log_scales, 1, by_component),
            torch.unflatten(torch.tanh(couplings), 1, (self.components, -1))
            if couplings.shape[1]
            else None,
        )

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Predict the mean of the distribution; see `Predictor.step`."""
        return signed_to_unit(self.mixture(context).mean()).to(context.dtype)[:, None]

    def sample_step(
        self,
        context: Tensor,
        *,
        generator: torch.Generator | None = None,
        condition: Condition | None = None,
    ) -> Tensor:
        """Draw from the distribution, values of 8 bits; see `Predictor.sample_step`."""
        drawn = self.mixture(context).sample(generator)
        return signed_to_unit(drawn).to(context.dtype)[:, None]

    def log_prob(
        self, context: Tensor, target: Tensor, *, condition: Condition | None = None
    ) -> Tensor:
        """Give the log-likelihood of each frame given all true ones before it.

        See `vidpred.models.Likelihood`. Targets are taken to the nearest of the 256 values.
        """
        self._window(context, target.shape[1], None)  # refuses what cannot be seen
        frames = torch.cat([context, target.to(context)], dim=1)
        found = []
        for t in range(context.shape[1], frames.shape[1]):
            values = unit_to_signed((frames[:, t].float() * 255).round() / 255)
            past = frames[:, t - self.context_frames : t]
            found.append(self.mixture(past).log_prob(values).flatten(1).sum(dim=1))
        return torch.stack(found, dim=1)

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values."""
        return {
            "scales": [
                {name: [int(v) for v in value] for name, value in asdict(scale).items()}
                for scale in self.scales
            ],
            "components": self.components,
            "distribution": self.distribution,
            "context_frames": self.context_frames,
            "channels": self.channels,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the generator whose `config` this is, with fresh weights."""
        scales = [
            GeneratorScale(tuple(scale["hidden"]), tuple(scale["kernels"]))
            for scale in config["scales"]
        ]
        return cls(**{**config, "scales": scales})

    def _parameters_of_a_pixel(self) -> list[int]:
        """Count log weights, means, log scales and couplings."""
        count, channels = self.components, self.channels
        pairs = channels * (channels - 1) // 2 if self.distribution == "logistic" else 0
        return [count + 1, count * channels, count * channels, count * pairs]

    def _begin_uniform(self) -> None:
        last = self.finest[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        weights, _, log_scales, _ = torch.split(last.bias.detach(), self._parameters_of_a_pixel())
        weights.zero_()
        weights[-1] = math.log(self.components * UNIFORM_AT_FIRST / (1 - UNIFORM_AT_FIRST))
        log_scales.fill_(LOG_SCALE_AT_FIRST)
