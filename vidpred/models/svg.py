"""Stochastic video generation, with a learned or a fixed prior (Denton and Fergus 2018)."""

from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from jsonargparse.typing import PositiveInt
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from vidpred.models.dcgan_layers import DCGANDecoder, DCGANEncoder, require_square
from vidpred.models.predictor import Condition, Predictor
from vidpred.models.presets import preset_arguments
from vidpred.models.variational import PosteriorPrediction
from vidpred.ops.checks import require_positive
from vidpred.ops.random import normal_like

Prior = Literal["learned", "fixed"]

SVGPreset = Literal["faithful", "cpu"]

SVG_PRESETS: dict[SVGPreset, dict[str, int]] = {
    "faithful": {"width": 64, "code_size": 128, "hidden_size": 256, "latent_size": 10},
    "cpu": {"width": 16, "code_size": 64, "hidden_size": 128, "latent_size": 10},
}
"""`faithful` has the sizes of the authors' code for Moving MNIST; `cpu` a quarter of the width."""

LOG_DEVIATION_LIMIT = 7.0
"""Bound of log standard deviations, ours: beyond it a divergence overflows."""

State = tuple[Tensor, Tensor]
"""Hidden state and cell of an LSTM, (layers, B, hidden_size) each; None is zeros."""


class Recurrence(nn.Module):
    """A linear layer, LSTM layers and linear heads, from vectors (B, T, inputs).

    Args:
        inputs: Values of a vector.
        hidden_size: Units of each layer.
        layers: LSTM layers.
        heads: Values of each output.
    """

    def __init__(self, inputs: int, hidden_size: int, layers: int, heads: tuple[int, ...]) -> None:
        super().__init__()
        self.embed = nn.Linear(inputs, hidden_size)
        self.lstm = nn.LSTM(hidden_size, hidden_size, layers, batch_first=True)
        self.heads = nn.ModuleList(nn.Linear(hidden_size, values) for values in heads)

    def forward(
        self, vectors: Tensor, state: State | None = None
    ) -> tuple[tuple[Tensor, ...], State]:
        """Give each head's output (B, T, values), and the state after the last vector."""
        hidden, state = self.lstm(self.embed(vectors), state)
        return tuple(head(hidden) for head in self.heads), state


class GaussianRecurrence(Recurrence):
    """A recurrence that gives a normal distribution of latent variables at each time."""

    def __init__(self, inputs: int, hidden_size: int, latent_size: int) -> None:
        super().__init__(inputs, hidden_size, 1, (latent_size, latent_size))

    def distribution(self, vectors: Tensor, state: State | None = None) -> tuple[Normal, State]:
        """Give the distribution of latents (B, T, latent_size), and the state."""
        (mean, log_variance), state = self(vectors, state)
        # float32: the square of a deviation overflows at half precision.
        log_deviation = 0.5 * log_variance.float()
        limit = LOG_DEVIATION_LIMIT
        deviation = log_deviation.clamp(-limit, limit).exp()
        # Not validated: what is not finite passes on to the loss, which tasks check.
        return Normal(mean.float(), deviation, validate_args=False), state


class SVG(Predictor):
    """Predicts frame by frame with latent variables that say what the past leaves open.

    Source: Denton and Fergus 2018 (arXiv 1802.07687) and the authors' code (edenton/svg). The code
    h of a frame, and a latent z drawn for the next frame, go through an LSTM to the code of the
    next frame, which is decoded with the feature maps of the last known frame. In training z comes
    from a posterior, an LSTM that has seen the next frame; in prediction from the prior: an LSTM of
    the frames before (SVG-LP) or the standard normal distribution (SVG-FP).

    Deviations: all frames of a batch share the statistics of batch norm, where the authors' code
    normalizes each time on its own; the loss is of the frames after the context, where it also asks
    for the known ones; feature maps are those of the last known frame, where the code takes the one
    before it.

    Args:
        prior: `learned` is SVG-LP, `fixed` is SVG-FP.
        width: See `DCGANEncoder`.
        code_size: Values of a frame's code, g in the code.
        hidden_size: Units of an LSTM layer.
        predictor_layers: LSTM layers of the predictor; posterior and prior have one.
        latent_size: Latent variables of a frame.
        image_size: H = W of the frames: 8, 16, 32, 64 and so on.
        context_frames: Frames that it sees, at least 1.
        channels: Of a frame.

    Raises:
        ValueError: When the prior is unknown, a count below 1, or the image size no power of 2.

    Example:
        >>> import torch
        >>> network = SVG.from_preset("cpu", context_frames=2).eval()
        >>> network.sample(torch.rand(1, 2, 3, 64, 64), 3, num_samples=4).shape
        torch.Size([4, 1, 3, 3, 64, 64])
    """

    stochastic = True
    channels: int
    image_size: int

    def __init__(
        self,
        prior: Prior = "learned",
        *,
        width: PositiveInt = 64,
        code_size: PositiveInt = 128,
        hidden_size: PositiveInt = 256,
        predictor_layers: PositiveInt = 2,
        latent_size: PositiveInt = 10,
        image_size: PositiveInt = 64,
        context_frames: PositiveInt = 5,
        channels: PositiveInt = 3,
    ) -> None:
        super().__init__(context_frames=context_frames, channels=channels)
        if prior not in get_args(Prior):
            raise ValueError(f"prior is {prior!r}; expected one of {', '.join(get_args(Prior))}")
        self.prior: Prior = prior
        sizes = {
            "width": width,
            "code_size": code_size,
            "hidden_size": hidden_size,
            "predictor_layers": predictor_layers,
            "latent_size": latent_size,
            "image_size": image_size,
        }
        for name, value in sizes.items():
            require_positive(name, value)
        self.sizes = {name: int(value) for name, value in sizes.items()}
        self.image_size, self.latent_size = int(image_size), int(latent_size)
        shape: dict[str, Any] = {"code_size": code_size, "width": width, "image_size": image_size}
        self.encoder = DCGANEncoder(channels, **shape)
        self.decoder = DCGANDecoder(channels, **shape)
        self.predictor = Recurrence(
            code_size + latent_size, hidden_size, predictor_layers, (code_size,)
        )
        self.posterior_recurrence = GaussianRecurrence(code_size, hidden_size, latent_size)
        self.prior_recurrence = (
            GaussianRecurrence(code_size, hidden_size, latent_size) if prior == "learned" else None
        )

    @classmethod
    def from_preset(
        cls,
        name: SVGPreset,
        prior: Prior = "learned",
        context_frames: PositiveInt = 5,
        channels: PositiveInt = 3,
        image_size: PositiveInt = 64,
        latent_size: PositiveInt | None = None,
    ) -> "SVG":
        """Build a network of known sizes.

        Args:
            name: `faithful`, the authors' sizes for Moving MNIST, or `cpu`, which trains on two
                cores.
            prior: `learned` (SVG-LP) or `fixed` (SVG-FP).
            context_frames: Frames that it sees; the authors give 5.
            channels: Of a frame.
            image_size: H = W of the frames.
            latent_size: Latent variables of a frame; None is the preset's, 10.

        Raises:
            ValueError: When no preset has this name.
        """
        sizes = preset_arguments(SVG_PRESETS, name, latent_size=latent_size)
        return cls(
            prior, image_size=image_size, context_frames=context_frames, channels=channels, **sizes
        )

    def posterior(
        self, context: Tensor, target: Tensor, *, condition: Condition | None = None
    ) -> PosteriorPrediction:
        """Predict each frame from true frames before it and a latent that saw it.

        See `vidpred.models.Variational`. The divergence is between latents of the same time, in
        nats, summed over the latent variables.
        """
        known, steps = context.shape[1], target.shape[1]
        frames = torch.cat([context, target], dim=1)
        require_square(self, frames, self.image_size)
        codes, skips = self._encode(frames)
        before, after = codes[:, :-1], codes[:, 1:]
        posterior, _ = self.posterior_recurrence.distribution(after)
        latents = posterior.rsample()
        prior, _ = self._prior(before, None)
        divergence = kl_divergence(posterior, prior).sum(dim=2)[:, -steps:]
        (predicted,), _ = self.predictor(torch.cat([before, latents.to(before)], dim=2))
        last_known = [skip[:, known - 1] for skip in skips]
        return PosteriorPrediction(self._decode(predicted[:, -steps:], last_known), divergence)

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Predict the next frame from the means of all latents; see `Predictor.step`."""
        return self.rollout(context, 1)

    def rollout(
        self, window: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Tensor:
        """Predict from the means of all latents; see `Predictor.rollout`."""
        return self._unroll(window, horizon, lambda latents: latents.mean)

    def sample_step(
        self,
        context: Tensor,
        *,
        generator: torch.Generator | None = None,
        condition: Condition | None = None,
    ) -> Tensor:
        """Draw the next frame; see `Predictor.sample_step`."""
        return self.sample(context, 1, generator=generator)[0]

    def sample(
        self,
        context: Tensor,
        horizon: int,
        *,
        num_samples: int = 1,
        generator: torch.Generator | None = None,
        condition: Condition | None = None,
    ) -> Tensor:
        """Draw futures whose recurrent states are kept over frames; see `Predictor.sample`."""
        require_positive("num_samples", num_samples)
        window, _ = self._window(context, horizon, condition)

        def drawn(latents: Normal) -> Tensor:
            return latents.mean + latents.stddev * normal_like(latents.mean, generator)

        futures = self._unroll(window, horizon, drawn, num_samples)
        return torch.unflatten(futures, 0, (num_samples, -1))

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values."""
        return {
            "prior": self.prior,
            **self.sizes,
            "context_frames": self.context_frames,
            "channels": self.channels,
        }

    def _unroll(
        self, window: Tensor, horizon: int, choose: Callable[[Normal], Tensor], copies: int = 1
    ) -> Tensor:
        """Predict frame by frame; `choose` takes latents from their distribution.

        The latents of known frames come from the posterior, which has seen these.
        """
        require_square(self, window, self.image_size)
        codes, skips = self._encode(window)
        codes = codes.repeat(copies, 1, 1)
        skips = [skip[:, -1].repeat(copies, 1, 1, 1) for skip in skips]
        before, after, code = codes[:, :-1], codes[:, 1:], codes[:, -1:]
        prior_state = predictor_state = None
        if before.shape[1]:
            latents = choose(self.posterior_recurrence.distribution(after)[0]).to(before)
            _, prior_state = self._prior(before, None)
            _, predictor_state = self.predictor(torch.cat([before, latents], dim=2))
        frames: list[Tensor] = []
        while True:
            prior, prior_state = self._prior(code, prior_state)
            seen = torch.cat([code, choose(prior).to(code)], dim=2)
            (predicted,), predictor_state = self.predictor(seen, predictor_state)
            frames.append(self._decode(predicted, skips))
            if len(frames) == horizon:
                return torch.cat(frames, dim=1)
            code, _ = self._encode(frames[-1])

    def _prior(self, codes: Tensor, state: State | None) -> tuple[Normal, State | None]:
        if self.prior_recurrence is not None:
            return self.prior_recurrence.distribution(codes, state)
        shape = (*codes.shape[:2], self.latent_size)
        zeros = codes.new_zeros(shape, dtype=torch.float32)
        return Normal(zeros, torch.ones_like(zeros)), None

    def _encode(self, frames: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Give codes (B, T, code_size) and feature maps (B, T, channels, h, w) of frames."""
        size = frames.shape[:2]
        codes, skips = self.encoder(frames.flatten(0, 1))
        return codes.unflatten(0, size), [skip.unflatten(0, size) for skip in skips]

    def _decode(self, codes: Tensor, skips: list[Tensor]) -> Tensor:
        """Give frames of codes (B, T, code_size) that share the feature maps of one frame."""
        size = codes.shape[:2]
        shared = [
            skip[:, None].expand(-1, size[1], *skip.shape[1:]).flatten(0, 1) for skip in skips
        ]
        # The tanh is the predictor's: a code of the encoder ends in one as well.
        frames = self.decoder(torch.tanh(codes).flatten(0, 1), shared)
        return torch.unflatten(torch.sigmoid(frames), 0, size)
