"""A plain port of Mathieu et al. 2016 in eager float32, to measure ours against.

What a competent person writes first: both networks from the paper's table, the losses, plain SGD, a
loop over the scales. No redundant work (predictions for the discriminator build no graph, the past
is not differentiated, the discriminator is frozen in the generator's phase) and no tricks.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SCALES = 4
GENERATOR = [  # hidden maps and kernels, coarsest first
    ((128, 256, 128), (3, 3, 3, 3)),
    ((128, 256, 128), (5, 3, 3, 5)),
    ((128, 256, 512, 256, 128), (5, 3, 3, 3, 3, 5)),
    ((128, 256, 512, 256, 128), (7, 5, 5, 5, 5, 7)),
]
DISCRIMINATOR = {  # maps, kernels, fully connected widths, whether pooled
    "paper": [
        ((64,), (3,), (512, 256), False),
        ((64, 128, 128), (3, 3, 3), (1024, 512), False),
        ((128, 256, 256), (5, 5, 5), (1024, 512), False),
        ((128, 256, 512, 128), (7, 7, 5, 5), (1024, 512), True),
    ],
    "small": [
        ((32,), (3,), (256, 128), False),
        ((32, 32, 64), (3, 3, 3), (256, 128), False),
        ((32, 32, 64), (5, 5, 5), (256, 128), False),
        ((32, 32, 64, 128), (7, 7, 5, 5), (256, 128), True),
    ],
}


class Generator(nn.Module):
    """One network a scale; the enlarged guess is an input and a residual."""

    def __init__(self, preset: str) -> None:
        super().__init__()
        self.networks = nn.ModuleList()
        for k, (hidden, kernels) in enumerate(GENERATOR):
            maps = [width // 8 if preset == "small" else width for width in hidden]
            maps = [12 + 3 * bool(k), *maps, 3]
            layers: list[nn.Module] = []
            for before, after, kernel in zip(maps, maps[1:], kernels, strict=False):
                layers += [nn.Conv2d(before, after, kernel, padding=kernel // 2), nn.ReLU()]
            self.networks.append(nn.Sequential(*layers[:-1]))

    def forward(self, past: list[Tensor]) -> list[Tensor]:
        """Predict at every scale from past frames at every scale."""
        preds: list[Tensor] = []
        for frames, network in zip(past, self.networks, strict=True):
            if preds:
                enlarged = F.interpolate(preds[-1], scale_factor=2)
                preds.append(torch.tanh(enlarged + network(torch.cat([frames, enlarged], 1))))
            else:
                preds.append(torch.tanh(network(frames)))
        return preds


class Discriminator(nn.Module):
    """One network a scale."""

    def __init__(self, preset: str, patch_size: int = 32) -> None:
        super().__init__()
        self.networks = nn.ModuleList()
        for k, (maps, kernels, widths, pooled) in enumerate(DISCRIMINATOR[preset]):
            size = patch_size // 2 ** (SCALES - 1 - k)
            layers: list[nn.Module] = []
            for before, after, kernel in zip((15, *maps), maps, kernels, strict=False):
                layers += [nn.Conv2d(before, after, kernel), nn.ReLU()]
                size -= kernel - 1
            if pooled:
                layers.append(nn.MaxPool2d(2))
                size //= 2
            layers.append(nn.Flatten())
            fully = [maps[-1] * size**2, *widths, 1]
            for before, after in pairwise(fully):
                layers += [nn.Linear(before, after), nn.ReLU()]
            self.networks.append(nn.Sequential(*layers[:-1]))

    def forward(self, past: list[Tensor], candidates: list[Tensor]) -> list[Tensor]:
        """Give the logits of every scale."""
        return [
            network(torch.cat([frames, candidate], 1))
            for frames, candidate, network in zip(past, candidates, self.networks, strict=True)
        ]


def pyramid(frames: Tensor) -> list[Tensor]:
    return [F.avg_pool2d(frames, 2**k) if k else frames for k in reversed(range(SCALES))]


def clip(frames: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    signed = frames.float() * (2 / 255) - 1
    return pyramid(signed[:, :4].flatten(1, 2)), pyramid(signed[:, 4])


def reconstruction_loss(preds: list[Tensor], targets: list[Tensor]) -> Tensor:
    total = preds[0].new_zeros(())
    for pred, target in zip(preds, targets, strict=True):
        total = total + F.mse_loss(pred, target)
        for axis in (-1, -2):
            difference = target.diff(dim=axis).abs() - pred.diff(dim=axis).abs()
            total = total + difference.abs().mean()
    return total


def bce(logits: list[Tensor], label: float) -> Tensor:
    terms = [F.binary_cross_entropy_with_logits(k, torch.full_like(k, label)) for k in logits]
    return torch.stack(terms).sum()


class PlainTraining:
    """Both networks and their optimizers; `step` trains them on uint8 clips (B, 5, 3, H, W)."""

    def __init__(
        self, preset: str, device: torch.device, *, adversarial: bool, patch_size: int = 32
    ) -> None:
        self.adversarial = adversarial
        self.generator = Generator(preset).to(device)
        self.discriminator = Discriminator(preset, patch_size).to(device)
        self.generator_sgd = torch.optim.SGD(self.generator.parameters(), lr=0.02)
        self.discriminator_sgd = torch.optim.SGD(self.discriminator.parameters(), lr=0.02)

    def step(self, frames: Tensor) -> None:
        """Train on one batch."""
        if self.adversarial:
            for_discriminator, frames = frames.chunk(2)
            past, targets = clip(for_discriminator)
            with torch.no_grad():
                preds = self.generator(past)
            loss = bce(self.discriminator(past, targets), 1)
            loss = loss + bce(self.discriminator(past, preds), 0)
            self.discriminator_sgd.zero_grad()
            loss.backward()
            self.discriminator_sgd.step()
        past, targets = clip(frames)
        preds = self.generator(past)
        loss = reconstruction_loss(preds, targets)
        if self.adversarial:
            self.discriminator.requires_grad_(False)
            loss = loss + 0.05 * bce(self.discriminator(past, preds), 1)
        self.generator_sgd.zero_grad()
        loss.backward()
        self.generator_sgd.step()
        self.discriminator.requires_grad_(True)
