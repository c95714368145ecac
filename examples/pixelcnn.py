"""PixelCNN: how likely is each pixel, given all before it? Gray frames of 16 x 16.

Source: van den Oord et al. 2016, "Pixel Recurrent Neural Networks" (arXiv 1601.06759), with the
past frames as in their "Video Pixel Networks" (arXiv 1610.00527), small: one categorical
distribution over 256 gray levels for each pixel. Training is one pass; a frame is drawn pixel by
pixel, with the features of the pixels before it kept. In the folder that holds this file:

    vidpred data toy toy16 --height 16 --width 16
    vidpred fit -c pixelcnn.yaml --data.root toy16 --run-dir runs/pixelcnn
    vidpred test runs/pixelcnn/checkpoints/best.ckpt --module pixelcnn --root toy16 \
        --protocol pixelcnn_protocol.yaml
    vidpred predict toy16/UCF-101/Zoom/v_Zoom_g02_c01.avi \
        --model runs/pixelcnn/checkpoints/best.ckpt --module pixelcnn --horizon 2 \
        --output pixelcnn.mp4
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jsonargparse.typing import PositiveInt
from torch import Tensor, nn

from vidpred.models import Condition, Predictor
from vidpred.ops import uniform_like

LEVELS = 256


class MaskedConv2d(nn.Conv2d):
    """A convolution that sees the rows above and the pixels to the left.

    Args:
        kernel_size: Odd.
        center: Whether it sees the pixel itself too; the first layer must not.
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int, *, center: bool) -> None:
        super().__init__(inputs, outputs, kernel_size, padding=kernel_size // 2)
        mask = torch.ones(kernel_size, kernel_size)
        middle = kernel_size // 2
        mask[middle, middle + center :] = 0
        mask[middle + 1 :] = 0
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Convolve with the visible part of the kernel."""
        return F.conv2d(features, self.weight * self.mask, self.bias, padding=self.padding)

    def at(self, padded: Tensor, row: int, column: int) -> Tensor:
        """Convolve at one pixel, (B, outputs), of features with their padding."""
        rows, columns = (slice(start, start + self.kernel_size[0]) for start in (row, column))
        weight = (self.weight * self.mask).flatten(1)
        return F.linear(padded[..., rows, columns].flatten(1), weight, self.bias)


class PixelCNN(Predictor):
    """Gives a distribution of gray levels for every pixel of the next frame.

    Args:
        width: Channels of the features.
        layers: Masked layers between the first and the last.
        context_frames: Frames that it sees.
    """

    stochastic = True

    def __init__(
        self, width: PositiveInt = 32, layers: PositiveInt = 4, *, context_frames: PositiveInt = 4
    ) -> None:
        super().__init__(context_frames=context_frames, channels=1)
        self.width, self.num_layers = int(width), int(layers)
        self.past = nn.Sequential(
            nn.Conv2d(context_frames, width, kernel_size=5, padding=2),
            nn.SiLU(),
            nn.Conv2d(width, width, kernel_size=5, padding=2),
        )
        self.first = MaskedConv2d(1, width, 5, center=False)
        self.layers = nn.ModuleList(
            MaskedConv2d(width, width, 3, center=True) for _ in range(layers)
        )
        self.last = nn.Conv2d(width, LEVELS, kernel_size=1)

    def logits(self, past: Tensor, frame: Tensor) -> Tensor:
        """Give (B, 256, H, W) from features of the past and the frame (B, 1, H, W) so far."""
        features = past + self.first(frame)
        for layer in self.layers:
            features = features + layer(F.silu(features))
        return self.last(F.silu(features)).float()

    def log_prob(
        self, context: Tensor, target: Tensor, *, condition: Condition | None = None
    ) -> Tensor:
        """Give the log-likelihood of true frames among 256 levels; see `Likelihood`."""
        found = []
        for frame in target.split(1, dim=1):
            levels = (frame[:, 0, 0] * (LEVELS - 1)).round().long()
            logits = self.logits(self.past(context.flatten(1, 2)), frame[:, 0])
            found.append(-F.cross_entropy(logits, levels, reduction="none").flatten(1).sum(dim=1))
            context = torch.cat([context[:, 1:], frame], dim=1)
        return torch.stack(found, dim=1)

    @torch.no_grad()
    def paint(self, context: Tensor, choose: Callable[[Tensor], Tensor]) -> Tensor:
        """Fill a frame (B, 1, 1, H, W) pixel by pixel; `logits` of one pixel, features kept.

        Args:
            context: Past frames.
            choose: Gives levels (B, 1) from probabilities (B, 256).
        """
        past = self.past(context.flatten(1, 2))
        frame = F.pad(torch.zeros_like(context[:, -1]), (2, 2, 2, 2))
        kept = [F.pad(torch.zeros_like(past), (1, 1, 1, 1)) for _ in self.layers]
        for row in range(past.shape[2]):
            for column in range(past.shape[3]):
                features = past[:, :, row, column] + self.first.at(frame, row, column)
                for seen, layer in zip(kept, self.layers, strict=True):
                    seen[:, :, row + 1, column + 1] = F.silu(features)
                    features = features + layer.at(seen, row, column)
                logits = self.last(F.silu(features)[..., None, None]).flatten(1).float()
                frame[:, :, row + 2, column + 2] = choose(logits.softmax(dim=1)) / (LEVELS - 1)
        return frame[:, None, :, 2:-2, 2:-2]

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Predict by the expected level of each pixel; see `Predictor.step`."""
        levels = torch.arange(LEVELS, device=context.device, dtype=torch.float32)
        return self.paint(context, lambda probabilities: probabilities @ levels[:, None])

    def sample_step(
        self,
        context: Tensor,
        *,
        generator: torch.Generator | None = None,
        condition: Condition | None = None,
    ) -> Tensor:
        """Draw each pixel; see `Predictor.sample_step`."""

        def draw(probabilities: Tensor) -> Tensor:
            below = probabilities.cumsum(dim=1) < uniform_like(probabilities[:, :1], generator)
            levels = below.sum(dim=1, keepdim=True).clamp(max=LEVELS - 1)
            return levels.to(context.dtype) + 0 * probabilities[:, :1]  # NaN stays NaN

        return self.paint(context, draw)

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        known = {"context_frames": self.context_frames}
        return {"width": self.width, "layers": self.num_layers, **known}
