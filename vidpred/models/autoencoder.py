"""The encoder and decoder of SVG alone: how well a frame can be drawn from its code."""

from typing import Any

import torch
from jsonargparse.typing import PositiveInt
from torch import Tensor

from vidpred.batch import TRUE_FRAMES
from vidpred.models.dcgan_layers import DCGANDecoder, DCGANEncoder, require_square
from vidpred.models.predictor import Condition, Predictor
from vidpred.models.svg import SVG_PRESETS, SVGPreset
from vidpred.ops.checks import require_positive, require_preset


class Autoencoder(Predictor):
    """Draws each true frame from its own code: the bound of what SVG's predictor can reach.

    The network of `vidpred.models.SVG` without its recurrences: the code of the true next frame is
    decoded with the feature maps of the last known one. It is conditioned on the frames that it
    draws, `true_frames`, so that training and scoring show it the truth and `vidpred predict`, to
    which the future is unknown, refuses it.

    Source: encoder and decoder of Denton and Fergus 2018 (arXiv 1802.07687).

    Args:
        width: See `DCGANEncoder`.
        code_size: Values of a frame's code.
        image_size: H = W of the frames: 8, 16, 32, 64 and so on.
        context_frames: Known frames, of which the last counts.
        channels: Of a frame.

    Raises:
        ValueError: When a count is below 1, or the image size no power of 2.

    Example:
        >>> import torch
        >>> clips = torch.rand(1, 5, 3, 64, 64)
        >>> network = Autoencoder.from_preset("cpu", context_frames=2).eval()
        >>> network(clips[:, :2], 3, condition={"true_frames": clips}).shape
        torch.Size([1, 3, 3, 64, 64])
    """

    conditions = (TRUE_FRAMES,)
    channels: int
    image_size: int

    def __init__(
        self,
        *,
        width: PositiveInt = 64,
        code_size: PositiveInt = 128,
        image_size: PositiveInt = 64,
        context_frames: PositiveInt = 5,
        channels: PositiveInt = 3,
    ) -> None:
        super().__init__(context_frames=context_frames, channels=channels)
        require_positive("width", width)
        require_positive("code_size", code_size)
        self.width, self.code_size = int(width), int(code_size)
        self.image_size = int(image_size)
        shape: dict[str, Any] = {"code_size": code_size, "width": width, "image_size": image_size}
        self.encoder = DCGANEncoder(channels, **shape)
        self.decoder = DCGANDecoder(channels, **shape)

    @classmethod
    def from_preset(
        cls,
        name: SVGPreset,
        context_frames: PositiveInt = 5,
        channels: PositiveInt = 3,
        image_size: PositiveInt = 64,
    ) -> "Autoencoder":
        """Build encoder and decoder of a preset of `vidpred.models.SVG`.

        Args:
            name: `faithful` or `cpu`.
            context_frames: Known frames.
            channels: Of a frame.
            image_size: H = W of the frames.

        Raises:
            ValueError: When no preset has this name.
        """
        require_preset(name, tuple(SVG_PRESETS))
        sizes = SVG_PRESETS[name]
        return cls(
            width=sizes["width"],
            code_size=sizes["code_size"],
            image_size=image_size,
            context_frames=context_frames,
            channels=channels,
        )

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Draw the next frame from its own code; see `Predictor.step`."""
        return self.rollout(context, 1, condition=condition)

    def rollout(
        self, window: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Tensor:
        """Draw every frame from its own code; see `Predictor.rollout`."""
        if condition is None:
            raise ValueError(f"no condition is given; expected {TRUE_FRAMES}")
        require_square(self, window, self.image_size)
        known = self.context_frames
        frames = condition[TRUE_FRAMES][:, known - 1 : known + horizon].to(window)
        codes, skips = self.encoder(frames.flatten(0, 1))
        codes = codes.unflatten(0, frames.shape[:2])[:, 1:]
        shared = [
            skip.unflatten(0, frames.shape[:2])[:, :1]
            .expand(-1, horizon, *skip.shape[1:])
            .flatten(0, 1)
            for skip in skips
        ]
        drawn = torch.sigmoid(self.decoder(codes.flatten(0, 1), shared))
        return torch.unflatten(drawn, 0, (-1, horizon))

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values."""
        return {
            "width": self.width,
            "code_size": self.code_size,
            "image_size": self.image_size,
            "context_frames": self.context_frames,
            "channels": self.channels,
        }
