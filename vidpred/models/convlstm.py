"""ConvLSTM: the past is encoded into memories, from which the future is unrolled."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jsonargparse.typing import PositiveInt
from torch import Tensor, nn

from vidpred.models.predictor import Condition, Predictor
from vidpred.models.presets import preset_arguments

LSTMMemory = tuple[Tensor, Tensor]
"""Hidden state and cell of one layer, both (B, hidden, h, w)."""

ConvLSTMPreset = Literal["faithful", "cpu"]

CONVLSTM_PRESETS: dict[ConvLSTMPreset, dict[str, Any]] = {
    "faithful": {"hidden": (128, 64, 64), "context_frames": 10},
    "cpu": {
        "hidden": (32, 32),
        "state_kernel": 3,
        "input_kernel": 3,
        "residual": True,
        "context_frames": 4,
    },
}
"""`faithful`: the best of Table 1 of the paper, for Moving MNIST. `cpu` is ours."""


class ConvLSTM(Predictor):
    """Encodes the known frames by one stack of ConvLSTM layers and predicts by another.

    Source: Shi et al. 2015, "Convolutional LSTM Network" (arXiv 1506.04214). The forecasting stack
    starts from the memories of the encoding stack and takes no input; a pointwise convolution of
    all its hidden states gives the pixels of a patch. As no prediction is read again, there is
    nothing to be forced or sampled in training: `vidpred.tasks.ReconstructionTask` with the
    `horizon` of your choice trains it, and any longer horizon is unrolled.

    Deviations: `residual` and the preset `cpu` are ours. The paper draws the layers of both stacks
    at equal heights; here layer k of one starts layer k of the other.

    Args:
        hidden: Channels of each layer's memory, from the input upwards.
        input_kernel: Size of the kernels from a layer's input to its gates, odd.
        state_kernel: Size of those from its hidden state to its gates, odd.
        patch: Height and width of the patches that frames are divided into.
        peepholes: Whether gates see the cell, by one weight a channel.
        residual: Whether the change from the last known frame is predicted, instead of the
            frame itself by a sigmoid.
        context_frames: Frames that are encoded.
        channels: Of a frame.

    Raises:
        ValueError: When there is no layer, or a kernel is even.

    Example:
        >>> import torch
        >>> ConvLSTM.from_preset("cpu").eval()(torch.rand(1, 4, 3, 32, 32), horizon=6).shape
        torch.Size([1, 6, 3, 32, 32])
    """

    channels: int

    def __init__(
        self,
        hidden: Sequence[PositiveInt] = (128, 64, 64),
        *,
        input_kernel: PositiveInt = 5,
        state_kernel: PositiveInt = 5,
        patch: PositiveInt = 4,
        peepholes: bool = True,
        residual: bool = False,
        context_frames: PositiveInt = 10,
        channels: PositiveInt = 3,
    ) -> None:
        super().__init__(context_frames=context_frames, channels=channels, size_multiple=patch)
        if not hidden:
            raise ValueError("hidden is empty; expected the channels of at least one layer")
        self.arguments = {
            "hidden": [int(width) for width in hidden],
            "input_kernel": int(input_kernel),
            "state_kernel": int(state_kernel),
            "patch": int(patch),
            "peepholes": bool(peepholes),
            "residual": bool(residual),
        }
        self.patch, self.residual = int(patch), bool(residual)
        seen = channels * patch**2

        def stack(bottom: int) -> nn.ModuleList:
            inputs = (bottom, *hidden[:-1])
            return nn.ModuleList(
                ConvLSTMCell(
                    width_in,
                    width,
                    input_kernel=input_kernel,
                    state_kernel=state_kernel,
                    peepholes=peepholes,
                )
                for width_in, width in zip(inputs, hidden, strict=True)
            )

        self.encoder, self.forecaster = stack(seen), stack(0)
        self.readout = nn.Conv2d(sum(hidden), seen, 1)

    @classmethod
    def from_preset(
        cls,
        name: ConvLSTMPreset,
        context_frames: PositiveInt | None = None,
        channels: PositiveInt = 3,
    ) -> "ConvLSTM":
        """Build a network of a known size.

        Args:
            name: `faithful` (7,585,296 parameters for gray frames, as published) or `cpu`
                (280,496 in color).
            context_frames: Frames that are encoded; None is the preset's own number, 10 or 4.
            channels: Of a frame.

        Raises:
            ValueError: When no preset has this name.
        """
        given = {"context_frames": context_frames, "channels": channels}
        return cls(**preset_arguments(CONVLSTM_PRESETS, name, **given))

    def rollout_frames(
        self, window: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Iterator[Tensor]:
        """Encode, then unroll frame by frame; see `Predictor.rollout_frames`."""
        memories: list[LSTMMemory | None] = [None] * len(self.encoder)
        patches = F.pixel_unshuffle(window, self.patch)
        for features in patches.unbind(1):
            _follow(self.encoder, memories, features)
        for _ in range(horizon):
            states = _follow(self.forecaster, memories, None)
            pixels = F.pixel_shuffle(self.readout(torch.cat(states, dim=1)), self.patch)
            if not self.residual:
                yield pixels.sigmoid()
            else:
                frame = window[:, -1] + pixels
                # In training gradients have to reach what lies outside.
                yield frame if self.training else frame.clamp(0, 1)

    def rollout(
        self, window: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Tensor:
        """Predict all frames from one encoding; see `Predictor.rollout`."""
        return torch.stack(list(self.rollout_frames(window, horizon)), dim=1)

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Predict one frame; see `Predictor.step`."""
        return self.rollout(context, 1)

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values."""
        return {
            **self.arguments,
            "context_frames": self.context_frames,
            "channels": self.channels,
        }


class ConvLSTMCell(nn.Module):
    """One layer: gates by convolutions of its input and of its hidden state.

    `i = s(x + h + w_i c)`, `f = s(x + h + w_f c)`, `c' = f c + i tanh(x + h)`,
    `o = s(x + h + w_o c')`, `h' = o tanh(c')`, where x and h are what the convolutions give for
    each gate, s is the sigmoid and the w are the peepholes, one weight a channel.

    Args:
        channels: Of the input; 0 is a layer without input.
        hidden: Channels of the hidden state and of the cell.
        input_kernel: Size of the input's kernels, odd.
        state_kernel: Size of the hidden state's kernels, odd.
        peepholes: Whether gates see the cell.

    Raises:
        ValueError: When a kernel is even.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        *,
        input_kernel: int = 5,
        state_kernel: int = 5,
        peepholes: bool = False,
    ) -> None:
        super().__init__()
        for name, kernel in (("input_kernel", input_kernel), ("state_kernel", state_kernel)):
            if kernel % 2 == 0:
                raise ValueError(f"{name} is {kernel}; expected an odd number")
        self.hidden = int(hidden)
        self.from_state = nn.Conv2d(hidden, 4 * hidden, state_kernel, padding=state_kernel // 2)
        self.from_input = None
        if channels:
            self.from_input = nn.Conv2d(
                channels, 4 * hidden, input_kernel, padding=input_kernel // 2, bias=False
            )
        self.peepholes = nn.Parameter(torch.zeros(3, hidden, 1, 1)) if peepholes else None

    def forward(self, features: Tensor | None, memory: LSTMMemory | None) -> LSTMMemory:
        """Take in features (B, channels, h, w), None for a layer without input; None is empty."""
        if memory is None:
            if features is None:
                raise ValueError("neither features nor a memory came; expected one of them")
            empty = features.new_zeros(features.shape[0], self.hidden, *features.shape[2:])
            memory = (empty, empty)
        hidden, cell = memory
        gates = self.from_state(hidden)
        if self.from_input is not None:
            gates = gates + self.from_input(features)
        add, forget, output, candidate = gates.chunk(4, dim=1)
        if self.peepholes is None:
            cell = forget.sigmoid() * cell + add.sigmoid() * candidate.tanh()
            return output.sigmoid() * cell.tanh(), cell
        to_add, to_forget, to_output = self.peepholes
        kept = (forget + to_forget * cell).sigmoid() * cell
        cell = kept + (add + to_add * cell).sigmoid() * candidate.tanh()
        return (output + to_output * cell).sigmoid() * cell.tanh(), cell


def _follow(
    layers: nn.ModuleList, memories: list[LSTMMemory | None], features: Tensor | None
) -> list[Tensor]:
    """Advance all layers by a frame, their memories in place; gives their hidden states."""
    states: list[Tensor] = []
    for k, layer in enumerate(layers):
        memory: LSTMMemory = layer(features, memories[k])
        memories[k] = memory
        features = memory[0]
        states.append(features)
    return states
