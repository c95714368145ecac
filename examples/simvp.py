"""SimVP: several frames at once, from convolutions alone.

Source: Gao et al. 2022, "SimVP: Simpler yet Better Video Prediction" (arXiv 2206.05099): an encoder
of single frames, a translator of all of them together, a decoder; here with plain residual blocks
in place of the translator's Inception modules, and a skip connection from the last frame.
A network like this is one class; the rest is configuration. In the folder that holds this file:

    vidpred data toy toy
    vidpred fit -c simvp.yaml --data.root toy --run-dir runs/simvp
    vidpred test runs/simvp/checkpoints/best.ckpt --module simvp --root toy
    vidpred predict toy/UCF-101/Zoom/v_Zoom_g02_c01.avi \
        --model runs/simvp/checkpoints/best.ckpt --module simvp --horizon 8 \
        --output simvp.mp4
"""

from typing import Any

from jsonargparse.typing import PositiveInt
from torch import Tensor, nn

from vidpred.models import Condition, Predictor


def block(channels: int) -> nn.Sequential:
    """Build a residual branch, (B, channels, h, w) to the same."""
    return nn.Sequential(
        nn.GroupNorm(4, channels),
        nn.SiLU(),
        nn.Conv2d(channels, channels, kernel_size=3, padding=1),
        nn.GroupNorm(4, channels),
        nn.SiLU(),
        nn.Conv2d(channels, channels, kernel_size=3, padding=1),
    )


class SimVP(Predictor):
    """Predicts `output_frames` frames in one step; longer horizons feed them back.

    Args:
        width: Channels of the features of a frame, a multiple of 4.
        blocks: Residual blocks of the translator.
        context_frames: Frames that it sees.
        output_frames: Frames that it predicts at once.
        channels: Of a frame.
    """

    def __init__(
        self,
        width: PositiveInt = 16,
        blocks: PositiveInt = 4,
        *,
        context_frames: PositiveInt = 4,
        output_frames: PositiveInt = 4,
        channels: PositiveInt = 3,
    ) -> None:
        super().__init__(
            context_frames=context_frames,
            output_frames=output_frames,
            channels=channels,
            size_multiple=4,
        )
        self.width, self.num_blocks = int(width), int(blocks)
        self.encode = nn.Sequential(
            nn.Conv2d(channels, width, kernel_size=4, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, width, kernel_size=4, stride=2, padding=1),
        )
        mixed = 4 * width
        self.mix = nn.Conv2d(context_frames * width, mixed, kernel_size=1)
        self.translate = nn.ModuleList(block(mixed) for _ in range(blocks))
        self.separate = nn.Conv2d(mixed, output_frames * width, kernel_size=1)
        self.decode = nn.Sequential(
            nn.SiLU(),
            nn.ConvTranspose2d(width, width, kernel_size=4, stride=2, padding=1),
            nn.SiLU(),
            nn.ConvTranspose2d(width, channels, kernel_size=4, stride=2, padding=1),
        )

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Predict all frames of a step; see `Predictor.step`."""
        batch = len(context)
        frames = self.encode(context.flatten(0, 1))  # time is part of the batch
        features = self.mix(frames.reshape(batch, -1, *frames.shape[2:]))
        for branch in self.translate:
            features = features + branch(features)
        features = self.separate(features)
        changes = self.decode(features.reshape(-1, self.width, *features.shape[2:]))
        changes = changes.reshape(batch, self.output_frames, *context.shape[2:])
        return (context[:, -1:] + changes).clamp(0, 1)

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {
            "width": self.width,
            "blocks": self.num_blocks,
            "context_frames": self.context_frames,
            "output_frames": self.output_frames,
            "channels": self.channels,
        }
