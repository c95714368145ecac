"""Textures that repeat without a seam, for the ground and the shapes of the moving world."""

import colorsys
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_SIDE = 256
"""Texels of a texture's side, a power of two."""

_TEXELS_PER_PIXEL = 2
"""Finer than the frame, so that sampling between texels blurs nothing that a frame could show."""


@dataclass(frozen=True)
class Texture:
    """An endless texture.

    Attributes:
        texels: Shape (256, 256, 3) in [0, 1]; it repeats every 128 pixels.
    """

    texels: Array

    def sample(self, x: Array, y: Array) -> Array:
        """Read colors at pixel coordinates of any shape, bilinearly; adds an axis of 3."""
        x, y = x * _TEXELS_PER_PIXEL, y * _TEXELS_PER_PIXEL
        left, top = np.floor(x), np.floor(y)
        right_share, bottom_share = (x - left)[..., None], (y - top)[..., None]
        columns, rows = left.astype(np.int64), top.astype(np.int64)
        x0, x1 = columns % _SIDE, (columns + 1) % _SIDE
        y0, y1 = rows % _SIDE, (rows + 1) % _SIDE
        upper = self.texels[y0, x0] * (1 - right_share) + self.texels[y0, x1] * right_share
        lower = self.texels[y1, x0] * (1 - right_share) + self.texels[y1, x1] * right_share
        return upper * (1 - bottom_share) + lower * bottom_share


def draw_texture(rng: np.random.Generator, *, contrast: float) -> Texture:
    """Draw two colors and a pattern that mixes them: stripes, checks, dots or clouds.

    Args:
        rng: Random source.
        contrast: 1 for vivid colors; below it both are pulled towards a middle tone.
    """
    hue = rng.uniform()
    first = _color(hue, rng.uniform(0.55, 0.95), rng.uniform(0.75, 1.0))
    second = _color(hue + rng.uniform(0.25, 0.75), rng.uniform(0.3, 0.9), rng.uniform(0.15, 0.55))
    middle = (first + second) / 2 * 0.8
    first, second = (middle + contrast * (color - middle) for color in (first, second))
    clouds = _clouds(rng)
    mix = (_pattern(rng) if contrast == 1 else 0.35 * _pattern(rng) + 0.65 * clouds)[..., None]
    texels = mix * first + (1 - mix) * second
    # Fine grain everywhere: motion then shows inside every area, not at edges alone.
    texels = texels * (0.82 + 0.36 * clouds[..., None])
    return Texture(np.clip(texels, 0, 1))


def _color(hue: float, saturation: float, value: float) -> Array:
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value))


def _pattern(rng: np.random.Generator) -> Array:
    """A pattern in [0, 1] of 8 to 16 pixels' period, its edges a pixel wide."""
    v, u = np.mgrid[0:_SIDE, 0:_SIDE] * (2 * np.pi / _SIDE)
    kind = rng.integers(4)
    # Whole numbers of periods, so that the pattern closes on itself.
    a, b = (int(rng.integers(8, 13)) for _ in range(2))
    tilt = int(rng.integers(-6, 7))
    if kind == 0:
        wave, slope = np.sin(a * u + tilt * v), np.hypot(a, tilt)
    elif kind == 1:
        wave, slope = np.sin(a * u) * np.sin(a * v), a
    elif kind == 2:
        wave, slope = np.cos(a * u) + np.cos(b * v) - 0.6, (a + b) / 2
    else:
        return np.clip((_clouds(rng) - 0.5) * 4 + 0.5, 0, 1)
    texel = slope * 2 * np.pi / _SIDE  # change of the wave over one texel, where it is steepest
    pattern: Array = np.clip(0.5 + wave / (2 * texel), 0, 1)
    return pattern


def _clouds(rng: np.random.Generator) -> Array:
    """Noise whose amplitude falls with frequency, in [0, 1], without a seam."""
    frequency = np.fft.fftfreq(_SIDE) * _SIDE
    radius = np.hypot(frequency[:, None], frequency[None, :])
    # Nothing coarser than 32 pixels, nothing finer than about 4.
    amplitude = np.where(radius >= 4, 1 / np.maximum(radius, 1), 0) * np.exp(-((radius / 32) ** 2))
    noise = np.fft.ifft2(np.fft.fft2(rng.standard_normal((_SIDE, _SIDE))) * amplitude).real
    clouds: Array = np.clip(0.5 + noise / (5 * noise.std()), 0, 1)
    return clouds
