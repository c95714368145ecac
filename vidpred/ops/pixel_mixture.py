"""Mixtures of logistic or normal distributions over the 256 values of pixels."""

import math
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vidpred.ops.random import uniform_like

MixtureKind = Literal["logistic", "normal"]

LEVELS = 256
"""Values of a pixel."""

HALF_BIN = 1 / (LEVELS - 1)
"""Half the distance of two values on [-1, 1], which is 2 / 255."""

SMALLEST_LOG_SCALE: dict[MixtureKind, float] = {
    "logistic": -7.0,
    "normal": math.log(HALF_BIN),
}
"""Salimans et al. 2017 for logistics; half a value for normal densities, which have no bound."""

LARGEST_LOG_SCALE = 5.0
"""Ours: wider than any frame, and far from where an exponential overflows."""


class PixelMixture(NamedTuple):
    """Distributions of B pictures: a weighted sum of K components, and of a uniform one.

    Values are on [-1, 1], value v of 0 to 255 at v / 127.5 - 1. The uniform component gives each of
    the 256 ** C colors of a pixel the same probability: no color is impossible, and a network
    whose weight is on it at first begins at 8 bits for each value.

    Attributes:
        kind: `logistic`: probabilities of the 256 values, from differences of the logistic
            distribution function, what lies beyond the first and the last value counted as these
            (Salimans et al. 2017, arXiv 1701.05517). `normal`: densities at the values, where the
            distance of two values counts as 1.
        log_weights: Shape (B, K + 1, H, W), the last of the uniform component; their exponentials
            sum to 1.
        means: Shape (B, K, C, H, W).
        log_scales: Logarithms of the logistic scales or the standard deviations, shape
            (B, K, C, H, W); taken within their bounds.
        couplings: By how much the mean of a color changes with the colors before it, on [-1, 1],
            shape (B, K, C * (C - 1) / 2, H, W): of the second color with the first, of the third
            with the first, with the second, and so on. None is no change.

    Example:
        >>> import torch
        >>> mixture = PixelMixture(
        ...     "logistic", torch.zeros(1, 1, 1, 1).expand(1, 2, 1, 1) - 0.6931,
        ...     torch.zeros(1, 1, 1, 1, 1), torch.zeros(1, 1, 1, 1, 1) - 3)
        >>> values = torch.arange(256.0).view(256, 1, 1, 1) / 127.5 - 1
        >>> round(mixture.log_prob(values).exp().sum().item(), 3)
        1.0
    """

    kind: MixtureKind
    log_weights: Tensor
    means: Tensor
    log_scales: Tensor
    couplings: Tensor | None = None

    def log_prob(self, values: Tensor) -> Tensor:
        """Give the logarithm of each pixel's probability (`normal`: density).

        Args:
            values: Shape (B, C, H, W) on [-1, 1], each one of the 256 values.

        Returns:
            Nats, shape (B, H, W), of all colors of a pixel together.
        """
        values = values[:, None]
        means, scales = self._means_given(values), self._log_scales()
        if self.kind == "logistic":
            by_color = discretized_logistic(values, means, scales)
        else:
            # A density per value, not per unit of [-1, 1]: two values are 2 / 255 apart.
            distance = (values - means) * torch.exp(-scales)
            by_color = -0.5 * (distance.square() + math.log(2 * math.pi)) - scales
            by_color = by_color + math.log(2 * HALF_BIN)
        uniform = torch.full_like(by_color[:, :1], -math.log(LEVELS))
        components = torch.cat([by_color, uniform.expand_as(by_color[:, :1])], dim=1).sum(dim=2)
        return torch.logsumexp(self.log_weights + components, dim=1)

    def mean(self) -> Tensor:
        """Give the weighted means of the components, shape (B, C, H, W), each cut to [-1, 1].

        They are the expected values where little of a component lies beyond [-1, 1].
        """
        means = self.means
        if self.couplings is not None:
            expected: list[Tensor] = []
            for color, couplings in enumerate(self._couplings_of_colors()):
                mean = means[:, :, color]
                for before, coupling in zip(expected, couplings, strict=True):
                    mean = mean + coupling * before
                expected.append(mean)
            means = torch.stack(expected, dim=2)
        weights = self.log_weights[:, :-1].exp()
        return (weights[:, :, None] * means.clamp(-1, 1)).sum(dim=1)  # the uniform one's is 0

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw pictures.

        Args:
            generator: Source of randomness; None is the global one.

        Returns:
            Shape (B, C, H, W) on [-1, 1], each one of the 256 values.
        """
        # Gumbel's maximum: the component whose log weight and noise are the largest.
        noise = _open(uniform_like(self.log_weights, generator))
        chosen = (self.log_weights - torch.log(-torch.log(noise))).argmax(dim=1, keepdim=True)
        last = self.means.shape[1] - 1
        is_uniform = (chosen > last)[:, 0]
        place = chosen.clamp(max=last)[:, :, None]
        means, scales = self._pick(self.means, place), self._pick(self._log_scales(), place).exp()
        couplings = None if self.couplings is None else self._pick(self.couplings, place)
        noise = _open(uniform_like(means, generator))
        if self.kind == "logistic":
            spread = torch.log(noise) - torch.log1p(-noise)
        else:
            spread = math.sqrt(2) * torch.erfinv(2 * noise - 1)
        colors: list[Tensor] = []
        first = 0
        for color in range(means.shape[1]):
            mean = means[:, color]
            for before in colors if couplings is not None else []:
                assert couplings is not None
                mean = mean + couplings[:, first] * before
                first += 1
            drawn = mean + scales[:, color] * spread[:, color]
            anything = 2 * noise[:, color] - 1
            colors.append(_on_a_value(torch.where(is_uniform, anything * (1 + HALF_BIN), drawn)))
        return torch.stack(colors, dim=1)

    def _log_scales(self) -> Tensor:
        return self.log_scales.clamp(SMALLEST_LOG_SCALE[self.kind], LARGEST_LOG_SCALE)

    def _means_given(self, values: Tensor) -> Tensor:
        """Give the mean of each color given the colors before it, (B, K, C, H, W)."""
        if self.couplings is None:
            return self.means
        means = []
        for color, couplings in enumerate(self._couplings_of_colors()):
            mean = self.means[:, :, color]
            for before, coupling in enumerate(couplings):
                mean = mean + coupling * values[:, :, before]
            means.append(mean)
        return torch.stack(torch.broadcast_tensors(*means), dim=2)  # type: ignore[no-untyped-call]

    def _couplings_of_colors(self) -> list[list[Tensor]]:
        assert self.couplings is not None
        parts = iter(self.couplings.unbind(2))
        return [[next(parts) for _ in range(color)] for color in range(self.means.shape[2])]

    @staticmethod
    def _pick(values: Tensor, place: Tensor) -> Tensor:
        index = place.expand(-1, 1, *values.shape[2:])
        return values.gather(1, index)[:, 0]


def discretized_logistic(values: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
    """Give the log-probability of values under a logistic distribution cut into 256 bins.

    Source: Salimans et al. 2017 (arXiv 1701.05517), equation 2. With F the logistic function, a and
    b the scaled distances of a bin's upper and lower edge from the mean: F(a) - F(b) = F(a) F(-b)
    (1 - exp(b - a)), whose logarithm is exact for improbable values too, where a difference is 0
    and its gradient NaN.

    Args:
        values: On [-1, 1], each one of the 256 values.
        means: Any number; broadcast with the values.
        log_scales: At least -7, or widths below a bin lose digits.

    Returns:
        Nats; the exponentials of all 256 values sum to 1.

    Example:
        >>> import torch
        >>> wide = discretized_logistic(torch.tensor(0.0), torch.tensor(0.0), torch.tensor(-3.0))
        >>> narrow = discretized_logistic(torch.tensor(0.0), torch.tensor(0.0), torch.tensor(-6.0))
        >>> bool(narrow > wide)
        True
    """
    per_unit = torch.exp(-log_scales)
    upper = (values + HALF_BIN - means) * per_unit
    lower = (values - HALF_BIN - means) * per_unit
    below, above = F.logsigmoid(upper), F.logsigmoid(-lower)
    width = torch.log(-torch.expm1(-2 * HALF_BIN * per_unit))
    # All three are finite, so that the ones that are not chosen give gradient 0 and never NaN.
    last = 1 - HALF_BIN  # between the last value and the one before
    inner = torch.where(values > last, above, below + above + width)
    return torch.where(values < -last, below, inner)


def _on_a_value(values: Tensor) -> Tensor:
    """Round to the nearest of the 256 values on [-1, 1]."""
    levels = ((values.clamp(-1, 1) + 1) * ((LEVELS - 1) / 2)).round()
    return levels * (2 / (LEVELS - 1)) - 1


def _open(noise: Tensor) -> Tensor:
    """Keep uniform noise away from 0 and 1, whose logarithms are infinite."""
    return noise.clamp(1e-6, 1 - 1e-6)
