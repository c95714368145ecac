"""A variational autoencoder: one past, many futures.

After Denton and Fergus 2018, "Stochastic Video Generation with a Learned Prior" (arXiv
1802.07687), without recurrence: a map of latent variables says what the past leaves open. In
training they come from a posterior that sees the target, in prediction from a prior that sees the
past alone. In the folder that holds this file:

    vidpred data toy toy
    vidpred fit -c vae.yaml --data.root toy --run-dir runs/vae
    vidpred test runs/vae/checkpoints/best.ckpt --module vae --root toy
    vidpred predict toy/UCF-101/Zoom/v_Zoom_g02_c01.avi \
        --model runs/vae/checkpoints/best.ckpt --module vae --horizon 8 \
        --output vae.mp4

Different futures in Python: `vidpred.load(path, modules=[vae]).sample(context, 8, num_samples=5)`.
"""

from typing import Any

import torch
from jsonargparse.typing import PositiveInt
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from vidpred.models import Condition, PosteriorPrediction, Predictor
from vidpred.ops import normal_like


def encoder(frames: int, width: int, outputs: int) -> nn.Sequential:
    """Build a network from stacked frames (B, frames, H, W) to (B, outputs, H / 4, W / 4)."""
    return nn.Sequential(
        nn.Conv2d(frames, width, kernel_size=4, stride=2, padding=1),
        nn.SiLU(),
        nn.Conv2d(width, width, kernel_size=4, stride=2, padding=1),
        nn.SiLU(),
        nn.Conv2d(width, outputs, kernel_size=3, padding=1),
    )


class VAE(Predictor):
    """Predicts one frame from the past and a map of normal latent variables.

    Args:
        width: Channels of the features.
        latents: Latent variables at each place, one place for 4 x 4 pixels.
        context_frames: Frames that it sees.
        channels: Of a frame.
    """

    stochastic = True

    def __init__(
        self,
        width: PositiveInt = 32,
        latents: PositiveInt = 2,
        *,
        context_frames: PositiveInt = 4,
        channels: PositiveInt = 3,
    ) -> None:
        super().__init__(context_frames=context_frames, channels=channels, size_multiple=4)
        self.width, self.latents = int(width), int(latents)
        past = context_frames * channels
        self.encode = encoder(past, width, width)
        self.prior_of_past = encoder(past, width, 2 * latents)
        self.posterior_of_all = encoder(past + channels, width, 2 * latents)
        self.decode = nn.Sequential(
            nn.Conv2d(width + latents, width, kernel_size=3, padding=1),
            nn.SiLU(),
            nn.ConvTranspose2d(width, width, kernel_size=4, stride=2, padding=1),
            nn.SiLU(),
            nn.ConvTranspose2d(width, channels, kernel_size=4, stride=2, padding=1),
        )

    def prior(self, context: Tensor) -> Normal:
        """Give the distribution of the latent variables when the past alone is known."""
        return _normal(self.prior_of_past(context.flatten(1, 2)))

    def predict(self, context: Tensor, latent: Tensor) -> Tensor:
        """Give the next frame (B, 1, C, H, W) when the latent variables are known."""
        features = torch.cat([self.encode(context.flatten(1, 2)), latent], dim=1)
        return (context[:, -1] + self.decode(features)).clamp(0, 1)[:, None]

    def posterior(
        self, context: Tensor, target: Tensor, *, condition: Condition | None = None
    ) -> PosteriorPrediction:
        """Predict frame by frame with latent variables that saw it; see `Variational`."""
        preds, divergences = [], []
        for frame in target.split(1, dim=1):
            seen = torch.cat([context, frame], dim=1)
            posterior = _normal(self.posterior_of_all(seen.flatten(1, 2)))
            divergence = kl_divergence(posterior, self.prior(context))
            divergences.append(divergence.flatten(1).sum(dim=1))  # nats, independent variables
            preds.append(self.predict(context, posterior.rsample()))
            context = seen[:, 1:]
        return PosteriorPrediction(torch.cat(preds, dim=1), torch.stack(divergences, dim=1))

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Predict with the most likely latent variables; see `Predictor.step`."""
        return self.predict(context, self.prior(context).mean)

    def sample_step(
        self,
        context: Tensor,
        *,
        generator: torch.Generator | None = None,
        condition: Condition | None = None,
    ) -> Tensor:
        """Predict with latent variables from the prior; see `Predictor.sample_step`."""
        prior = self.prior(context)
        return self.predict(context, prior.mean + prior.stddev * normal_like(prior.mean, generator))

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {
            "width": self.width,
            "latents": self.latents,
            "context_frames": self.context_frames,
            "channels": self.channels,
        }


def _normal(parameters: Tensor) -> Normal:
    mean, log_deviation = parameters.float().chunk(2, dim=1)
    # Not validated: a training that diverges ends by its loss, which tasks check.
    return Normal(mean, log_deviation.clamp(-7, 7).exp(), validate_args=False)
