"""The Video Pixel Network of Kalchbrenner et al. (ICML 2017, arXiv 1610.00527)."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import torch
from jsonargparse.typing import PositiveInt
from torch import Tensor, nn

from vidpred.models.multiplicative import ResidualMultiplicativeBlock
from vidpred.models.pixel_decoder import LEVELS, PixelDecoder, PixelDistribution, PixelLayers
from vidpred.models.pixel_sampling import draw_frame
from vidpred.models.predictor import Condition, Predictor
from vidpred.models.presets import preset_arguments
from vidpred.models.row_lstm import lstm_step
from vidpred.ops.checks import require_positive
from vidpred.ops.random import uniform_like

PixelPreset = Literal["faithful", "cpu"]

PIXEL_PRESETS: dict[PixelPreset, dict[str, int]] = {
    "faithful": {"width": 128, "encoder_blocks": 8, "decoder_blocks": 12, "hidden": 256},
    "cpu": {"width": 16, "encoder_blocks": 2, "decoder_blocks": 3, "hidden": 32},
}
"""`faithful` has the sizes of the public port o-tawab/Video-Pixel-Networks at 0598172, which gives
them as the paper's; `cpu` trains on frames of 32 x 32 on two cores."""

DILATIONS = (1, 2, 4, 8)
"""Of an encoder's blocks, again and again, where it is dilated."""

_POINT_SEED = 0


class PastState(NamedTuple):
    """What a network knows of the frames so far.

    Attributes:
        hidden: Features for the next frame, shape (B, hidden, H, W).
        memory: Of the convolutional LSTM, same shape.
    """

    hidden: Tensor
    memory: Tensor


class VideoPixelNetwork(Predictor):
    """Gives the distribution of every color of every pixel, given all that come before it.

    An encoder of residual multiplicative blocks keeps the resolution of each past frame, a
    convolutional LSTM joins them over time, and a masked decoder joins its state with the pixels of
    the frame that are known. Training is one pass; a drawn frame takes as many steps as it has
    waves of pixels (`vidpred.models.pixel_sampling`), so frames have to be small.

    Source: Kalchbrenner et al. 2017, Video Pixel Networks; with `layers: row_lstm` the decoder
    stacks the Row LSTMs of van den Oord et al. 2016 (PixelRNN) instead.

    `log_prob` is exact: of 256 levels a value, to which frames are rounded, or of black and white
    (see `PixelDecoder.log_prob` for gray frames). `sample` draws; what it gives are such values.
    `forward`, the point prediction, is the mean of `point_draws` drawn futures: the expected frame,
    which no single pass gives. Their random numbers are always the same, and the same for every
    clip, so that a prediction depends on its clip alone; it has no gradient.

    Args:
        channels: C of the frames.
        context_frames: Past frames that it sees.
        width: c; blocks have 2c channels outside and c inside.
        encoder_blocks: Residual multiplicative blocks for a past frame.
        decoder_blocks: Blocks of the decoder.
        hidden: Channels of the convolutional LSTM.
        layers: What the decoder stacks.
        distribution: Of a value: `categorical`, 256 levels, or `bernoulli`, for frames that are
            black and white or nearly so, such as Moving MNIST's.
        dilated_encoder: Whether the blocks of the encoder have the dilations 1, 2, 4, 8, ...
        point_draws: Futures of which `forward` is the mean.

    Raises:
        ValueError: When a number is below 1, a name unknown, or the width smaller than the number
            of channels.

    Example:
        >>> import torch
        >>> network = VideoPixelNetwork(channels=1, context_frames=2, width=4, hidden=4)
        >>> clip = torch.rand(1, 4, 1, 8, 8)
        >>> network.log_prob(clip[:, :2], clip[:, 2:]).shape
        torch.Size([1, 2])
        >>> network.sample(clip[:, :2], horizon=2, num_samples=3).shape
        torch.Size([3, 1, 2, 1, 8, 8])
    """

    stochastic = True

    def __init__(
        self,
        channels: PositiveInt = 3,
        *,
        context_frames: PositiveInt = 4,
        width: PositiveInt = 16,
        encoder_blocks: PositiveInt = 2,
        decoder_blocks: PositiveInt = 3,
        hidden: PositiveInt = 32,
        layers: PixelLayers = "multiplicative",
        distribution: PixelDistribution = "categorical",
        dilated_encoder: bool = False,
        point_draws: PositiveInt = 8,
    ) -> None:
        super().__init__(context_frames=context_frames, channels=channels)
        self._numbers = {
            "width": int(width),
            "encoder_blocks": int(encoder_blocks),
            "decoder_blocks": int(decoder_blocks),
            "hidden": int(hidden),
            "point_draws": int(point_draws),
        }
        for name, number in self._numbers.items():
            require_positive(name, number)
        for name, word, known in (
            ("layers", layers, get_args(PixelLayers)),
            ("distribution", distribution, get_args(PixelDistribution)),
        ):
            if word not in known:
                raise ValueError(f"{name} is {word!r}; expected one of {', '.join(known)}")
        self.layers, self.distribution = layers, distribution
        self.dilated_encoder, self.point_draws = bool(dilated_encoder), int(point_draws)
        colors = int(channels)
        self.encoder = nn.Sequential(
            nn.Conv2d(colors, 2 * width, 3, padding=1),
            *(
                ResidualMultiplicativeBlock(
                    width, dilation=DILATIONS[k % len(DILATIONS)] if dilated_encoder else 1
                )
                for k in range(encoder_blocks)
            ),
        )
        self.hidden = int(hidden)
        self.to_state = nn.Conv2d(2 * width + hidden, 4 * hidden, 3, padding=1)
        self.decoder = PixelDecoder(
            colors, width, decoder_blocks, hidden, layers=layers, distribution=distribution
        )

    @classmethod
    def from_preset(
        cls,
        name: PixelPreset,
        layers: PixelLayers = "multiplicative",
        distribution: PixelDistribution = "categorical",
        context_frames: PositiveInt = 4,
        channels: PositiveInt = 3,
        point_draws: PositiveInt = 8,
    ) -> "VideoPixelNetwork":
        """Build a network of known sizes.

        Args:
            name: `faithful`, or `cpu`, the sizes of the constructor's defaults.
            layers: As in the class.
            distribution: As in the class.
            context_frames: As in the class.
            channels: As in the class.
            point_draws: As in the class.

        Raises:
            ValueError: When no preset has this name.
        """
        return cls(
            channels,
            context_frames=context_frames,
            layers=layers,
            distribution=distribution,
            point_draws=point_draws,
            **preset_arguments(PIXEL_PRESETS, name),
        )

    def log_prob(
        self, context: Tensor, target: Tensor, *, condition: Condition | None = None
    ) -> Tensor:
        """Give the log-likelihood of true frames; see `Likelihood`.

        Raises:
            ValueError: When context or target do not fit the network.
        """
        logits = self.logits(context, target)
        nats = self.decoder.log_prob(logits.flatten(0, 1), self._values(target).flatten(0, 1))
        return torch.unflatten(nats, 0, target.shape[:2])

    def logits(self, context: Tensor, target: Tensor) -> Tensor:
        """Give the logits of every value of true frames, given all values before it.

        Args:
            context: As for `log_prob`.
            target: As for `log_prob`.

        Returns:
            Shape (B, T, C, outputs, H, W): outputs are 256 levels, or one logit of white.
        """
        window, _ = self._window(context, target.shape[1], None)
        if target.shape[:1] + target.shape[2:] != window.shape[:1] + window.shape[2:]:
            raise ValueError(
                f"target has shape {tuple(target.shape)}, context {tuple(context.shape)}; "
                "expected equal batch, channels and size"
            )
        target = self._values(target)
        past = torch.cat([self._values(window), target[:, :-1]], dim=1)
        features = torch.unflatten(self.encoder(past.flatten(0, 1)), 0, past.shape[:2])
        state: PastState | None = None
        states: list[Tensor] = []
        for seen in features.unbind(1):
            state = self._remember(seen, state)
            states.append(state.hidden)
        known = torch.stack(states[-target.shape[1] :], dim=1).flatten(0, 1)
        logits: Tensor = self.decoder(target.flatten(0, 1), self.decoder.condition(known))
        return torch.unflatten(logits, 0, target.shape[:2])

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Predict the next frame; see `Predictor.step`."""
        return self.rollout(context, 1)

    def sample_step(
        self,
        context: Tensor,
        *,
        generator: torch.Generator | None = None,
        condition: Condition | None = None,
    ) -> Tensor:
        """Draw the next frame; see `Predictor.sample_step`."""
        return self._futures(context, 1, 1, lambda like: uniform_like(like, generator))

    def rollout(
        self, window: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Tensor:
        """Predict by the mean of drawn futures, each of which goes its own way."""
        generator = torch.Generator().manual_seed(_POINT_SEED)

        def shared(like: Tensor) -> Tensor:
            draws = like.view(self.point_draws, -1, *like.shape[1:])
            return uniform_like(draws[:, :1], generator).expand_as(draws).reshape(like.shape)

        futures = self._futures(window, horizon, self.point_draws, shared)
        return torch.unflatten(futures, 0, (self.point_draws, -1)).mean(dim=0)

    def sample(
        self,
        context: Tensor,
        horizon: int,
        *,
        num_samples: int = 1,
        generator: torch.Generator | None = None,
        condition: Condition | None = None,
    ) -> Tensor:
        """Draw possible futures; see `Predictor.sample`.

        Raises:
            TypeError: When the context is not floating point.
            ValueError: When `num_samples` is below 1, and as `forward` does.
        """
        require_positive("num_samples", num_samples)
        window, _ = self._window(context, horizon, None)
        futures = self._futures(
            window, horizon, num_samples, lambda like: uniform_like(like, generator)
        )
        return torch.unflatten(futures, 0, (num_samples, -1))

    @torch.no_grad()
    def _futures(
        self, window: Tensor, horizon: int, draws: int, uniform: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Draw futures, shape (draws * B, horizon, C, H, W)."""
        state: PastState | None = None
        for frame in self._values(window).unbind(1):
            state = self._remember(self.encoder(frame), state)
        assert state is not None
        state = PastState(*(value.repeat(draws, 1, 1, 1) for value in state))
        like = window[:, -1].float().repeat(draws, 1, 1, 1)
        frames: list[Tensor] = []
        for _ in range(horizon):
            if frames:
                state = self._remember(self.encoder(frames[-1]), state)
            known = self.decoder.condition(state.hidden)
            frames.append(draw_frame(self.decoder, known, uniform(like)).to(window.dtype))
        return torch.stack(frames, dim=1)

    def _remember(self, seen: Tensor, state: PastState | None) -> PastState:
        """Take features of a frame, (B, 2 * c, H, W), into the state."""
        if state is None:
            empty = seen.new_zeros(seen.shape[0], self.hidden, *seen.shape[2:])
            state = PastState(empty, empty)
        gates = self.to_state(torch.cat([seen, state.hidden], dim=1))
        return PastState(*lstm_step(gates, state.memory))

    def _values(self, frames: Tensor) -> Tensor:
        """Round to the values that frames can have, so that nothing is seen that has no level.

        The gradient is that of the frames themselves.
        """
        if self.distribution == "bernoulli":
            return frames
        rounded = (frames * (LEVELS - 1)).round() / (LEVELS - 1)
        return frames + (rounded - frames).detach()

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {
            "channels": self.channels,
            "context_frames": self.context_frames,
            **self._numbers,
            "layers": self.layers,
            "distribution": self.distribution,
            "dilated_encoder": self.dilated_encoder,
        }
