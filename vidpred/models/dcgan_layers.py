"""The encoder and decoder of DCGAN, which the autoencoder, SVG and the DCGAN share."""

from collections.abc import Sequence
from typing import cast

import torch
from jsonargparse.typing import PositiveInt
from torch import Tensor, nn

from vidpred.errors import SettingError

SMALLEST = 4
"""Rows and columns of the last feature map, which the code is taken from."""

LEAK = 0.2
"""Slope of the leaky ReLU, Radford et al. 2016 (arXiv 1511.06434), section 4."""

WEIGHT_DEVIATION = 0.02
"""Standard deviation of fresh weights, Radford et al. 2016, section 4."""


class DCGANEncoder(nn.Module):
    """Halves a square frame down to 4 x 4 by strided convolutions, then gives a code.

    Source: the discriminator of Radford et al. 2016 (arXiv 1511.06434) without its last layer;
    with batch norm everywhere and tanh it is the encoder of Denton and Fergus 2018 (`dcgan_64` of
    their code).

    Args:
        channels: Of what comes in; stacked frames have several times those of one.
        code_size: Values of a code.
        width: Channels of the first feature map; each further one has twice as many.
        image_size: H = W of what comes in: 8, 16, 32, 64 and so on.
        normalized_input: Whether batch norm follows the first convolution. Radford et al. leave it
            out there, Denton and Fergus have it.

    Raises:
        ValueError: When the image size is no power of 2 from 8 on.

    Example:
        >>> import torch
        >>> code, skips = DCGANEncoder(3, code_size=10, width=8)(torch.zeros(2, 3, 64, 64))
        >>> code.shape, [tuple(skip.shape[1:]) for skip in skips]
        (torch.Size([2, 10]), [(8, 32, 32), (16, 16, 16), (32, 8, 8), (64, 4, 4)])
    """

    def __init__(
        self,
        channels: PositiveInt,
        *,
        code_size: PositiveInt,
        width: PositiveInt = 64,
        image_size: PositiveInt = 64,
        normalized_input: bool = True,
    ) -> None:
        super().__init__()
        widths = [channels, *feature_widths(width, image_size)]
        self.halving = nn.ModuleList(
            _halving(widths[k], widths[k + 1], normalized=bool(k) or normalized_input)
            for k in range(len(widths) - 1)
        )
        self.code = nn.Sequential(
            nn.Conv2d(widths[-1], code_size, SMALLEST), nn.BatchNorm2d(code_size), nn.Tanh()
        )
        as_dcgan(self)

    def forward(self, frames: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Encode frames (N, channels, H, W).

        Returns:
            Codes (N, code_size) in [-1, 1], and every feature map, the largest first.

        Raises:
            SettingError: In training on a single one: batch norm has no statistics of it.
        """
        if self.training and len(frames) < 2:
            raise SettingError(
                "batch norm is to learn from a single frame stack; expected at least 2 clips a "
                "draw: raise data.batch_size (an adversarial step draws at least half the batch)"
            )
        skips = []
        for halve in self.halving:
            frames = halve(frames)
            skips.append(frames)
        return self.code(frames).flatten(1), skips


class DCGANDecoder(nn.Module):
    """Doubles a code to 4 x 4 and on to a square frame, by transposed convolutions.

    Source: the generator of Radford et al. 2016 (arXiv 1511.06434), with the encoder's feature map
    of the same size stacked on each of its own, as the decoder of Denton and Fergus 2018
    (`dcgan_64` of their code). The last layer has neither batch norm nor activation: whoever
    decodes ends in a sigmoid for frames in [0, 1] or in tanh for [-1, 1].

    Args:
        channels: Of what comes out.
        code_size: Values of a code.
        width: Channels of the last feature map; as for the encoder.
        image_size: H = W of what comes out; as for the encoder.
        negative_slope: Of the activation; 0 is the ReLU of Radford et al., 0.2 the leaky one of
            Denton and Fergus.

    Raises:
        ValueError: When the image size is no power of 2 from 8 on.
    """

    def __init__(
        self,
        channels: PositiveInt,
        *,
        code_size: PositiveInt,
        width: PositiveInt = 64,
        image_size: PositiveInt = 64,
        negative_slope: float = LEAK,
    ) -> None:
        super().__init__()
        widths = feature_widths(width, image_size)[::-1]
        self.from_code = _doubling(code_size, widths[0], negative_slope, doubles=False)
        self.doubling = nn.ModuleList(
            _doubling(2 * widths[k], widths[k + 1], negative_slope) for k in range(len(widths) - 1)
        )
        self.to_frames = nn.ConvTranspose2d(2 * widths[-1], channels, 4, stride=2, padding=1)
        as_dcgan(self)

    def forward(self, code: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """Decode codes (N, code_size) with the feature maps of an encoder, the largest first.

        Returns:
            Shape (N, channels, H, W), any number.
        """
        *others, smallest = skips
        frames = torch.cat([self.from_code(code[:, :, None, None]), smallest], dim=1)
        for double, skip in zip(self.doubling, reversed(others), strict=True):
            frames = torch.cat([double(frames), skip], dim=1)
        return cast(Tensor, self.to_frames(frames))


def feature_widths(width: int, image_size: int) -> list[int]:
    """Give the channels of the feature maps, from half the image size down to 4 x 4.

    Raises:
        ValueError: When the image size is no power of 2 from 8 on.

    Example:
        >>> feature_widths(64, 64)
        [64, 128, 256, 512]
    """
    if image_size < 2 * SMALLEST or image_size & (image_size - 1):
        raise ValueError(f"image_size is {image_size}; expected 8, 16, 32, 64 or a larger power")
    return [int(width) * 2**k for k in range((image_size // SMALLEST).bit_length() - 1)]


def require_square(network: object, frames: Tensor, image_size: int) -> None:
    """Refuse frames of another size than a network's codes are made for.

    Raises:
        SettingError: Saying what to set.
    """
    if frames.shape[-2:] != (image_size, image_size):
        height, width = frames.shape[-2:]
        raise SettingError(
            f"frames are {height} x {width} pixels; {type(network).__name__} with image_size "
            f"{image_size} takes {image_size} x {image_size} alone, as its code is of the whole "
            f"frame: scale a video to predict (ffmpeg -i VIDEO -vf scale={image_size}:{image_size} "
            f"small.mp4), set data.resize [{image_size}, {image_size}] and data.patch_size null to "
            "train (frames of a protocol likewise), or build it with another image_size"
        )


def as_dcgan(network: nn.Module) -> None:
    """Draw fresh weights as Radford et al. 2016: N(0, 0.02); of batch norm N(1, 0.02)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, WEIGHT_DEVIATION)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, WEIGHT_DEVIATION)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _halving(width_in: int, width_out: int, *, normalized: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(width_in, width_out, 4, stride=2, padding=1)]
    if normalized:
        layers.append(nn.BatchNorm2d(width_out))
    return nn.Sequential(*layers, nn.LeakyReLU(LEAK))


def _doubling(
    width_in: int, width_out: int, slope: float, *, doubles: bool = True
) -> nn.Sequential:
    # From a code, a place of 1 x 1, the same kernel without stride gives 4 x 4.
    stride, padding = (2, 1) if doubles else (1, 0)
    return nn.Sequential(
        nn.ConvTranspose2d(width_in, width_out, SMALLEST, stride=stride, padding=padding),
        nn.BatchNorm2d(width_out),
        nn.LeakyReLU(slope) if slope else nn.ReLU(),
    )
