"""Diffusion of the next frame with the design of EDM (Karras et al., NeurIPS 2022)."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple, cast, get_args

import torch
import torch.nn.functional as F
from jsonargparse.typing import PositiveFloat, PositiveInt
from torch import Tensor, nn

from vidpred.models.conditional_unet import GROUP, ConditionalUNet, divisor
from vidpred.models.predictor import Condition, Predictor
from vidpred.models.presets import preset_arguments
from vidpred.ops.checks import require_positive
from vidpred.ops.random import normal_like
from vidpred.ops.range import signed_to_unit, unit_to_signed

RHO = 7.0
"""How noise levels are spaced: more of them where there is little noise; Karras et al. 2022."""

CONTEXT_DEVIATION = 0.5
"""Standard deviation of frames in [-1, 1], by which the network's view of the past is divided."""

POINT_SEED = 0
"""Of the noise that a point prediction starts from, the same for every clip."""

DiffusedSignal = Literal["frame", "change"]

EDMPreset = Literal["faithful", "cpu"]

EDM_PRESETS: dict[EDMPreset, dict[str, Any]] = {
    "faithful": {"widths": (64, 64, 64, 64)},
    "cpu": {
        "widths": (32, 32, 48, 64),
        "blocks": 1,
        "features": 64,
        "attention": False,
        "diffused": "change",
        "sigma_data": 0.1,
        "sigma_max": 1.0,
    },
}
"""`faithful`: the network and the noise levels of DIAMOND (Alonso et al. 2024). `cpu` is ours."""


class Preconditioning(NamedTuple):
    """How a denoiser is made of a network: `skip * x + out * network(into * x, noise)`.

    Attributes:
        skip: Of the noisy values, shape (B,).
        out: Of the network's output, which learns values of variance 1, shape (B,).
        into: Of what the network sees, to variance 1, shape (B,).
        noise: What the network is shown of the noise level, shape (B,).
    """

    skip: Tensor
    out: Tensor
    into: Tensor
    noise: Tensor


class EDMPredictor(Predictor):
    """Draws the next frame by taking noise away in a few steps, given the last frames.

    `sample` integrates the probability-flow equation from noise to a frame by Euler steps, and
    feeds each drawn frame back. `forward` needs one number a pixel: it gives the denoiser's
    estimate at the highest noise level, which is about the mean of all futures, from noise that is
    the same for every clip and call; it costs one run of the network a frame, and is blurred where
    the future is uncertain, as the mean is.

    Source: Karras et al. 2022 (arXiv 2206.00364) for preconditioning, noise levels and sampler;
    Alonso et al. 2024 (DIAMOND, arXiv 2405.12399) for the network and its few steps. Deviations
    from DIAMOND: no actions, no offset noise, no rounding of estimates to 8 bits between steps, and
    sampling starts from noise of deviation `sigma_max` (Karras et al.), where its code starts from
    1. The preset `cpu` diffuses the change from the last frame, which is ours: without training its
    estimate is a copy of the last frame.

    Args:
        widths: Channels of each level of the U-Net, finest first.
        blocks: Residual blocks of a level.
        features: Numbers by which the noise level modulates the blocks, even.
        attention: Whether the lowest blocks attend to the whole frame.
        diffused: Whether noise is added to the next `frame` or to its `change` from the last one,
            both in [-1, 1] units.
        sigma_data: Standard deviation of that.
        sigma_min: Lowest noise level of sampling above 0.
        sigma_max: Highest noise level.
        num_steps: Euler steps of a drawn frame. Few make draws too alike: an exact denoiser of
            normal values of deviation 0.5 gives 0.25 with 3 steps, 0.48 with 50.
        context_frames: Past frames that the network sees.
        channels: Color channels of a frame.

    Raises:
        ValueError: For no level, a count below 1, odd features, noise levels that are not ordered,
            or an unknown signal.

    Example:
        >>> import torch
        >>> network = EDMPredictor.from_preset("cpu").eval()
        >>> context = torch.rand(1, 4, 3, 32, 32)
        >>> network.sample(context, horizon=2, num_samples=3).shape
        torch.Size([3, 1, 2, 3, 32, 32])
    """

    channels: int
    stochastic = True

    def __init__(
        self,
        widths: Sequence[PositiveInt] = EDM_PRESETS["faithful"]["widths"],
        *,
        blocks: PositiveInt = 2,
        features: PositiveInt = 256,
        attention: bool = True,
        diffused: DiffusedSignal = "frame",
        sigma_data: PositiveFloat = 0.5,
        sigma_min: PositiveFloat = 0.002,
        sigma_max: PositiveFloat = 5.0,
        num_steps: PositiveInt = 3,
        context_frames: PositiveInt = 4,
        channels: PositiveInt = 3,
    ) -> None:
        if not widths:
            raise ValueError("widths are empty; expected the channels of at least one level")
        for width in widths:
            require_positive("each of widths", width)
        require_positive("blocks", blocks)
        require_positive("num_steps", num_steps)
        if features % 2 or features < 2:
            raise ValueError(f"features is {features}; expected an even number above 0")
        if diffused not in get_args(DiffusedSignal):
            raise ValueError(f"diffused is {diffused!r}; expected frame or change")
        if not (0 < sigma_min < sigma_max < math.inf and 0 < sigma_data < math.inf):
            raise ValueError(
                f"sigma_min is {sigma_min}, sigma_max {sigma_max}, sigma_data {sigma_data}; "
                "expected finite numbers above 0, the first below the second"
            )
        super().__init__(
            context_frames=context_frames,
            channels=channels,
            size_multiple=2 ** (len(widths) - 1),
        )
        self.arguments: dict[str, Any] = {
            "widths": [int(width) for width in widths],
            "blocks": int(blocks),
            "features": int(features),
            "attention": bool(attention),
            "sigma_min": float(sigma_min),
            "sigma_max": float(sigma_max),
        }
        self.diffused: DiffusedSignal = diffused
        self.sigma_data = float(sigma_data)
        self.num_steps = int(num_steps)
        self.register_buffer("frequencies", torch.randn(features // 2))
        self.frequencies: Tensor
        self.embed = nn.Sequential(
            nn.Linear(features, features), nn.SiLU(), nn.Linear(features, features)
        )
        first = int(widths[0])
        self.inward = nn.Conv2d((self.context_frames + 1) * self.channels, first, 3, padding=1)
        self.unet = ConditionalUNet(widths, blocks, features, attention=attention)
        self.norm = nn.GroupNorm(divisor(first, first // GROUP), first)
        self.outward = nn.Conv2d(first, self.channels, 3, padding=1)
        nn.init.zeros_(self.outward.weight)
        nn.init.zeros_(cast(Tensor, self.outward.bias))

    @classmethod
    def from_preset(
        cls,
        name: EDMPreset,
        context_frames: PositiveInt = 4,
        channels: PositiveInt = 3,
        num_steps: PositiveInt = 3,
    ) -> "EDMPredictor":
        """Build a network of a known size.

        Args:
            name: `faithful` (4,405,699 parameters) or `cpu` (999,379).
            context_frames: Past frames that the network sees.
            channels: Color channels of a frame.
            num_steps: Euler steps of a drawn frame.

        Raises:
            ValueError: When no preset has this name.
        """
        given = {"context_frames": context_frames, "channels": channels, "num_steps": num_steps}
        return cls(**preset_arguments(EDM_PRESETS, name, **given))

    @property
    def noise_levels(self) -> list[float]:
        """Noise levels of sampling, highest first, the last 0."""
        low, high = self.arguments["sigma_min"], self.arguments["sigma_max"]
        return noise_levels(self.num_steps, low, high)

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Estimate the mean of the next frame; see `Predictor.step`."""
        level = self.noise_levels[0]
        generator = torch.Generator().manual_seed(POINT_SEED)
        noise = normal_like(context[:1, -1:], generator).expand_as(context[:, -1:])
        sigma = context.new_full((len(context),), level)
        return self._frames(context, self.denoise(level * noise, sigma, context))

    def sample_step(
        self,
        context: Tensor,
        *,
        generator: torch.Generator | None = None,
        condition: Condition | None = None,
    ) -> Tensor:
        """Draw the next frame; see `Predictor.sample_step`."""
        levels = self.noise_levels

        def denoised(noisy: Tensor, level: float) -> Tensor:
            return self.denoise(noisy, noisy.new_full((len(noisy),), level), context)

        start = levels[0] * normal_like(context[:, -1:], generator)
        return self._frames(context, euler_sample(denoised, start, levels))

    def signal(self, context: Tensor, target: Tensor) -> Tensor:
        """Give the values that noise is added to; see `Denoising.signal`."""
        signed = unit_to_signed(target)
        return signed if self.diffused == "frame" else signed - unit_to_signed(context[:, -1:])

    def denoise(self, noisy: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        """Estimate the signal under noise; see `Denoising.denoise`."""
        by = precondition(sigma, self.sigma_data)
        past = unit_to_signed(context) / CONTEXT_DEVIATION
        seen = torch.cat([past, _each(by.into) * noisy], dim=1).flatten(1, 2)
        phases = 2 * math.pi * by.noise[:, None] * self.frequencies
        vector = self.embed(torch.cat([phases.cos(), phases.sin()], dim=1))
        out = self.outward(F.silu(self.norm(self.unet(self.inward(seen), vector))))
        found: Tensor = _each(by.skip) * noisy + _each(by.out) * out.to(noisy.dtype)[:, None]
        return found

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values."""
        return {
            **self.arguments,
            "diffused": self.diffused,
            "sigma_data": self.sigma_data,
            "num_steps": self.num_steps,
            "context_frames": self.context_frames,
            "channels": self.channels,
        }

    def _frames(self, context: Tensor, signal: Tensor) -> Tensor:
        if self.diffused == "change":
            signal = signal + unit_to_signed(context[:, -1:])
        return signed_to_unit(signal).clamp(0, 1)


def precondition(sigma: Tensor, sigma_data: float) -> Preconditioning:
    """Give the preconditioning of Karras et al. 2022, table 1.

    Args:
        sigma: Standard deviation of the noise, above 0, shape (B,).
        sigma_data: Standard deviation of the data, above 0.

    Example:
        >>> import torch
        >>> precondition(torch.tensor([0.5]), 0.5).skip
        tensor([0.5000])
    """
    total = sigma.square() + sigma_data**2
    return Preconditioning(
        skip=sigma_data**2 / total,
        out=sigma * sigma_data / total.sqrt(),
        into=1 / total.sqrt(),
        noise=sigma.log() / 4,
    )


def noise_levels(count: int, lowest: float, highest: float) -> list[float]:
    """Space noise levels evenly in their 7th root, from the highest to the lowest; then 0.

    Example:
        >>> [round(level, 3) for level in noise_levels(3, 0.002, 5.0)]
        [5.0, 0.283, 0.002, 0.0]
    """
    require_positive("count", count)
    first, last = highest ** (1 / RHO), lowest ** (1 / RHO)
    shares = [k / max(count - 1, 1) for k in range(count)]
    return [*((first + share * (last - first)) ** RHO for share in shares), 0.0]


def euler_sample(
    denoise: Callable[[Tensor, float], Tensor], start: Tensor, levels: Sequence[float]
) -> Tensor:
    """Follow the probability-flow equation by Euler steps (Karras et al. 2022, algorithm 1).

    Args:
        denoise: Gives the estimate of the data from noisy values and their noise level.
        start: Noise of the first level, any shape.
        levels: Noise levels, falling, the last 0.

    Returns:
        Shape of `start`.
    """
    noisy = start
    for level, following in pairwise(levels):
        slope = (noisy - denoise(noisy, level)) / level
        noisy = noisy + (following - level) * slope
    return noisy


def _each(numbers: Tensor) -> Tensor:
    return numbers[:, None, None, None, None]
