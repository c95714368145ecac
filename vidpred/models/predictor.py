"""The contract of everything that predicts: past frames in, any number of future frames out."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from vidpred.errors import NetworkError
from vidpred.models.condition_checks import (
    condition_of_step,
    distinct_names,
    required_conditions,
)
from vidpred.models.step_checks import NO_DRAWS, checked_step
from vidpred.ops.checks import require_frames, require_positive
from vidpred.ops.padding import pad_to_multiple
from vidpred.plain import counted

Condition = Mapping[str, Tensor]
"""What a prediction is conditioned on besides past frames: by name, tensors (B, T, ...) with one
entry a frame, those of the context first, then those of the frames to predict."""


class Predictor(nn.Module, ABC):
    """Predicts the frames that follow, any number of them and at any frame size.

    A network defines `step`; this class checks, pads, feeds predictions back and crops. One that
    predicts all frames directly overrides `rollout`, one that gives different futures also defines
    `sample_step` (or overrides `sample`).

    Of the attributes, `image_size` and `sharp` are set by the subclass, `sharp` at any time; all
    others are arguments of this class, and `channels`, `stochastic` and `conditions` may be class
    attributes of a subclass instead.

    Attributes:
        context_frames: Past frames that a prediction needs.
        output_frames: Frames that one step predicts.
        size_multiple: H and W of what `step` sees are multiples of this; `forward` pads and crops.
        channels: C of the frames; None is any number.
        stochastic: Whether `sample` gives different futures.
        conditions: Names of the tensors that a prediction needs besides frames, such as
            `("actions",)`.
        image_size: H = W of the only frames that the network takes; None is any size.
        sharp: Whether a prediction is one sharp future instead of the mean of what may happen; None
            where there is no such choice.

    Raises:
        ValueError: When a count is below 1 or a condition is named twice.

    Example:
        >>> import torch
        >>> class Fade(Predictor):
        ...     def __init__(self) -> None:
        ...         super().__init__(context_frames=1)
        ...
        ...     def step(self, context, *, condition=None):
        ...         return context / 2
        ...
        ...     def config(self):
        ...         return {}
        >>> Fade()(torch.ones(1, 1, 3, 2, 2), horizon=3)[0, :, 0, 0, 0]
        tensor([0.5000, 0.2500, 0.1250])
    """

    channels: int | None = None
    stochastic: bool = False
    conditions: tuple[str, ...] = ()
    image_size: int | None = None
    sharp: bool | None = None

    def __init__(
        self,
        *,
        context_frames: int,
        output_frames: int = 1,
        size_multiple: int = 1,
        channels: int | None = None,
        stochastic: bool | None = None,
        conditions: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        require_positive("context_frames", context_frames)
        require_positive("output_frames", output_frames)
        require_positive("size_multiple", size_multiple)
        # Plain integers: those of the command line are of a class that no checkpoint may hold.
        self.context_frames = int(context_frames)
        self.output_frames = int(output_frames)
        self.size_multiple = int(size_multiple)
        if channels is not None:
            require_positive("channels", channels)
            self.channels = int(channels)
        if stochastic is not None:
            self.stochastic = bool(stochastic)
        draws = ("sample_step", "sample", "futures")
        if self.stochastic and all(getattr(type(self), n) is getattr(Predictor, n) for n in draws):
            raise NetworkError(f"{type(self).__name__} {NO_DRAWS}")
        if conditions is not None:
            self.conditions = distinct_names(conditions)

    @property
    def receptive_radius(self) -> int | None:
        """Pixels on each side of a predicted one on which `step` lets it depend; None is unknown.

        Large frames are predicted in overlapping tiles by predictors that know it.
        """
        return None

    @property
    def largest_region(self) -> int | None:
        """Rows and columns that the layers see together, at most; None is the whole frame.

        Known to predictors that cut large frames by themselves, where no gradient is wanted.
        """
        return None

    @abstractmethod
    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Predict the next `output_frames` frames.

        Args:
            context: Shape (B, context_frames, C, H, W) in [0, 1], H and W multiples of
                `size_multiple`.
            condition: The tensors named by `conditions`, each of shape
                (B, context_frames + output_frames, ...). Given only to predictors that name some,
                so that others may leave this argument out.

        Returns:
            Shape (B, output_frames, C, H, W) in [0, 1].
        """

    def sample_step(
        self,
        context: Tensor,
        *,
        generator: torch.Generator | None = None,
        condition: Condition | None = None,
    ) -> Tensor:
        """Draw the next `output_frames` frames; stochastic predictors define it.

        Args:
            context: As for `step`.
            generator: Source of randomness, on any device (`vidpred.ops.normal_like` and
                `uniform_like` draw from it); None is the global one of the context's device.
            condition: As for `step`, and given to the same predictors alone.

        Returns:
            Shape (B, output_frames, C, H, W) in [0, 1]; the draws of different clips are
            independent.
        """
        raise NetworkError(f"{type(self).__name__} {NO_DRAWS}")

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values (JSON), to build the same again."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the predictor whose `config` this is, with fresh weights."""
        return cls(**config)

    def forward(
        self, context: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Tensor:
        """Predict `horizon` frames, feeding predictions back where one step does not reach.

        Args:
            context: Past frames, shape (B, T, C, H, W) in [0, 1] with T at least `context_frames`;
                only the last `context_frames` count. Any H and W.
            horizon: Frames to predict, at least 1.
            condition: The tensors named by `conditions`, each of shape (B, T + horizon, ...): an
                entry for every frame of the context, then one for every predicted frame. Others are
                ignored.

        Returns:
            Shape (B, horizon, C, H, W) in [0, 1]: the point prediction.

        Raises:
            TypeError: When the context is not floating point.
            ValueError: When the context is too short, not five-dimensional or has other channels,
                the horizon is below 1, or a condition is missing or of another length.
        """
        window, condition = self._window(context, horizon, condition)
        height, width = context.shape[-2:]
        given = {"condition": condition} if self.conditions else {}
        return self.rollout(window, horizon, **given)[..., :height, :width]

    def rollout(
        self, window: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Tensor:
        """Predict `horizon` frames by feeding the predictions of `step` back.

        A predictor that sees further than one step at once overrides this.

        Args:
            window: Shape (B, context_frames, C, H, W) in [0, 1], H and W multiples of
                `size_multiple`.
            horizon: At least 1.
            condition: The tensors named by `conditions`, each of shape
                (B, context_frames + horizon, ...). Given only to predictors that name some.

        Returns:
            Shape (B, horizon, C, H, W) in [0, 1].
        """
        return self._feed_back(self.step, window, horizon, condition)

    def rollout_frames(
        self, window: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Iterator[Tensor]:
        """Predict as `rollout`, frame by frame.

        A predictor that predicts all frames directly overrides this too where it need not hold them
        all.

        Yields:
            `horizon` tensors (B, C, H, W) in [0, 1].
        """
        given = {"condition": condition} if self.conditions else {}
        yield from self.rollout(window, horizon, **given).unbind(1)

    def stream(
        self, context: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Iterator[Tensor]:
        """Predict as `forward`, and give each frame once it is known.

        Args:
            context: As for `forward`.
            horizon: As for `forward`.
            condition: As for `forward`.

        Yields:
            `horizon` tensors (B, C, H, W) in [0, 1].
        """
        window, condition = self._window(context, horizon, condition)
        height, width = context.shape[-2:]
        given = {"condition": condition} if self.conditions else {}
        for frame in self.rollout_frames(window, horizon, **given):
            yield frame[..., :height, :width]

    def sample(
        self,
        context: Tensor,
        horizon: int,
        *,
        num_samples: int = 1,
        generator: torch.Generator | None = None,
        condition: Condition | None = None,
    ) -> Tensor:
        """Draw possible futures; a predictor that is not stochastic repeats its only one.

        Args:
            context: As for `forward`.
            horizon: Frames to predict, at least 1.
            num_samples: K, futures of each clip, at least 1.
            generator: Source of randomness; see `sample_step`.
            condition: As for `forward`.

        Returns:
            Shape (K, B, horizon, C, H, W) in [0, 1].

        Raises:
            TypeError: When the context is not floating point.
            ValueError: When `num_samples` is below 1, and as `forward` does.

        Example:
            >>> import torch
            >>> from vidpred.models import CopyLastFrame
            >>> CopyLastFrame().sample(torch.rand(2, 1, 3, 8, 8), 5, num_samples=4).shape
            torch.Size([4, 2, 5, 3, 8, 8])
        """
        require_positive("num_samples", num_samples)
        if not self.stochastic:
            future = self.forward(context, horizon, condition=condition)
            return future.expand(num_samples, *future.shape)
        window, condition = self._window(context, horizon, condition)
        # All futures at once: K copies of the batch, of which no two draws are alike.
        window = _repeated(window, num_samples)
        if condition is not None:
            condition = {name: _repeated(c, num_samples) for name, c in condition.items()}
        futures = self._feed_back(self.sample_step, window, horizon, condition, generator=generator)
        height, width = context.shape[-2:]
        return torch.unflatten(futures, 0, (num_samples, -1))[..., :height, :width]

    def futures(
        self,
        context: Tensor,
        horizon: int,
        generators: Iterable[torch.Generator],
        *,
        condition: Condition | None = None,
    ) -> Iterator[Tensor]:
        """Draw futures one by one, each from a generator of its own.

        The first futures of many generators are those of a few. A predictor overrides this where
        its futures share work, or depend on those that were drawn before.

        Args:
            context: As for `forward`.
            horizon: As for `sample`.
            generators: One for each future.
            condition: As for `forward`.

        Yields:
            For each generator a tensor (B, horizon, C, H, W) in [0, 1].

        Raises:
            TypeError: As `sample` does, when the first future is asked for.
            ValueError: The same.

        Example:
            >>> import torch
            >>> from vidpred.models import CopyLastFrame
            >>> generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
            >>> drawn = CopyLastFrame().futures(torch.rand(2, 1, 3, 8, 8), 5, generators)
            >>> [tuple(future.shape) for future in drawn]
            [(2, 5, 3, 8, 8), (2, 5, 3, 8, 8)]
        """
        for generator in generators:
            yield self.sample(context, horizon, generator=generator, condition=condition)[0]

    def _window(
        self, context: Tensor, horizon: int, condition: Condition | None
    ) -> tuple[Tensor, Condition | None]:
        """Check what came, and give the frames and conditions that a rollout sees."""
        require_frames("context", context)
        require_positive("horizon", horizon)
        if not context.is_floating_point():
            raise TypeError(
                f"context is {context.dtype}; expected floating point in [0, 1]: "
                "vidpred.ops.to_unit takes uint8 frames there"
            )
        if context.shape[1] < self.context_frames:
            raise ValueError(
                f"context has {counted(context.shape[1], 'frame')}; "
                f"expected at least {self.context_frames} (context_frames)"
            )
        if self.channels is not None and context.shape[2] != self.channels:
            raise ValueError(
                f"context has {counted(context.shape[2], 'channel')}, shape "
                f"{tuple(context.shape)}; {type(self).__name__} expects {self.channels}: "
                f"(B, T, {self.channels}, H, W)"
            )
        window = pad_to_multiple(context[:, -self.context_frames :], self.size_multiple)
        if not self.conditions:
            return window, None
        needed = required_conditions(
            self.conditions, condition, context, horizon, needed_by=type(self).__name__
        )
        first = context.shape[1] - self.context_frames
        return window, {name: rows[:, first:] for name, rows in needed.items()}

    def _feed_back(
        self,
        step: Callable[..., Tensor],
        window: Tensor,
        horizon: int,
        condition: Condition | None,
        **given: Any,
    ) -> Tensor:
        """Predict `horizon` frames by a step, `step` or `sample_step`, that sees its predictions.

        Args:
            step: Takes a window, and what else is given.
            window: As for `rollout`.
            horizon: At least 1.
            condition: As for `rollout`.
            given: What each step gets besides.

        Returns:
            Shape (B, horizon, C, H, W).
        """
        predicted: list[Tensor] = []
        for done in range(0, horizon, self.output_frames):
            if self.conditions:
                seen = self.context_frames + self.output_frames
                given["condition"] = condition and condition_of_step(condition, done, seen)
            predicted.append(checked_step(step, window, self.output_frames, **given))
            window = torch.cat([window, predicted[-1]], dim=1)[:, -self.context_frames :]
        return torch.cat(predicted, dim=1)[:, :horizon]


def _repeated(value: Tensor, count: int) -> Tensor:
    """Repeat a batch: (B, ...) gives (count * B, ...), the whole batch again and again."""
    return value.repeat(count, *[1] * (value.ndim - 1))
