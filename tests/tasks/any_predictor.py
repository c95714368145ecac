"""A network without scales for tests of the tasks: latent variables, a likelihood, conditions."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from vidpred.models import Condition, PosteriorPrediction, Predictor
from vidpred.ops import normal_like


class AnyNetwork(Predictor):
    """One convolution of the past, of a latent map and of the speed, where it is conditioned."""

    stochastic = True

    def __init__(
        self, channels: int = 3, output_frames: int = 1, conditions: tuple[str, ...] = ()
    ) -> None:
        super().__init__(
            context_frames=4, output_frames=output_frames, channels=channels, conditions=conditions
        )
        frame = output_frames * channels
        self.body = nn.Conv2d(4 * channels + 1, frame, 3, padding=1)
        self.encoder = nn.Conv2d(4 * channels + frame, 2, 3, padding=1)

    def decode(self, context: Tensor, latent: Tensor) -> Tensor:
        pred = torch.sigmoid(self.body(torch.cat([context.flatten(1, 2), latent], dim=1)))
        return pred.reshape(len(context), self.output_frames, *context.shape[2:])

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        latent = torch.zeros_like(context[:, 0, :1])
        if self.conditions:
            assert condition is not None
            latent = latent + condition["speed"][:, 4].view(-1, 1, 1, 1)
        return self.decode(context, latent)

    def sample_step(
        self,
        context: Tensor,
        *,
        generator: torch.Generator | None = None,
        condition: Condition | None = None,
    ) -> Tensor:
        return self.decode(context, normal_like(context[:, 0, :1], generator))

    def posterior(
        self, context: Tensor, target: Tensor, *, condition: Condition | None = None
    ) -> PosteriorPrediction:
        seen = torch.cat([context, target], dim=1).flatten(1, 2)
        mean, log_deviation = self.encoder(seen).chunk(2, dim=1)
        posterior = Normal(mean, log_deviation.exp())
        prior = Normal(torch.zeros_like(mean), torch.ones_like(mean))
        kl = kl_divergence(posterior, prior).flatten(1).sum(1)
        pred = self.decode(context, posterior.rsample())
        return PosteriorPrediction(pred, kl[:, None].expand(-1, target.shape[1]))

    def log_prob(
        self, context: Tensor, target: Tensor, *, condition: Condition | None = None
    ) -> Tensor:
        pred = self(context, target.shape[1], condition=condition)
        return Normal(pred, 0.1).log_prob(target).flatten(2).sum(2)

    def config(self) -> dict[str, Any]:
        return {
            "channels": self.channels,
            "output_frames": self.output_frames,
            "conditions": list(self.conditions),
        }
