"""PredRNN: a spatiotemporal memory that zigzags through all layers of a recurrent network."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jsonargparse.typing import PositiveInt
from torch import Tensor, nn

from vidpred.models.presets import preset_arguments
from vidpred.models.recurrent import RecurrentPredictor

PredRNNPreset = Literal["faithful", "cpu"]

PREDRNN_PRESETS: dict[PredRNNPreset, dict[str, Any]] = {
    "faithful": {"context_frames": 10},
    "cpu": {"hidden": 32, "layers": 2, "kernel": 3, "residual": True, "context_frames": 4},
}
"""`faithful`: the authors' script for Moving MNIST. `cpu` is ours."""

FORGET_BIAS = 1.0
"""Added to both forget gates, as in the authors' code."""

DECOUPLING_WEIGHT = 0.1
"""Of the penalty, as in the authors' script for Moving MNIST; for KTH it is 0.01."""


class PredRNNMemory(NamedTuple):
    """What is known after a frame, each of shape (B, hidden, h, w).

    Attributes:
        hidden: Hidden state of each layer.
        cells: Temporal memory C of each layer.
        zigzag: Spatiotemporal memory M, from the top layer at this frame to the first at the next.
        changes: What each layer added to its C, and to M.
    """

    hidden: list[Tensor]
    cells: list[Tensor]
    zigzag: Tensor
    changes: list[tuple[Tensor, Tensor]]


class PredRNN(RecurrentPredictor):
    """Layers of ST-LSTM, each with a temporal memory, and one memory through all of them.

    Source: Wang et al. 2017, "PredRNN" (NeurIPS), and Wang et al. 2022 with memory decoupling
    (arXiv 2103.09504, "PredRNN-V2"); equal to the authors' modules for equal weights. Trained by
    `vidpred.tasks.RecurrentTask`: the first with `ScheduledSampling`, the second with
    `ReverseScheduledSampling` and the penalty `decoupling`.

    Deviations: `residual` and the preset `cpu` are ours; layer normalization, which the authors'
    scripts leave off and which would fix the frame size, does not exist here.

    Args:
        hidden: Channels of every memory.
        layers: One upon the other.
        kernel: Size of all kernels of a layer, odd.
        patch: Height and width of the patches that frames are divided into.
        decoupling: Whether there is the penalty that keeps the two memories of a layer apart; it
            has a few weights of its own.
        residual: Whether the change from the frame that was read is predicted.
        context_frames: Frames that are read before the first prediction.
        channels: Of a frame.

    Raises:
        ValueError: When the kernel is even.

    Example:
        >>> import torch
        >>> PredRNN.from_preset("cpu").eval()(torch.rand(1, 4, 3, 32, 32), horizon=6).shape
        torch.Size([1, 6, 3, 32, 32])
    """

    channels: int

    def __init__(
        self,
        hidden: PositiveInt = 128,
        *,
        layers: PositiveInt = 4,
        kernel: PositiveInt = 5,
        patch: PositiveInt = 4,
        decoupling: bool = False,
        residual: bool = False,
        context_frames: PositiveInt = 10,
        channels: PositiveInt = 3,
    ) -> None:
        super().__init__(context_frames=context_frames, channels=channels, size_multiple=patch)
        if kernel % 2 == 0:
            raise ValueError(f"kernel is {kernel}; expected an odd number")
        self.arguments = {
            "hidden": int(hidden),
            "layers": int(layers),
            "kernel": int(kernel),
            "patch": int(patch),
            "decoupling": bool(decoupling),
            "residual": bool(residual),
        }
        self.hidden, self.patch = int(hidden), int(patch)
        self.residual = bool(residual)
        seen = channels * patch**2
        self.layers = nn.ModuleList(
            STLSTMCell(hidden if k else seen, hidden, kernel=kernel) for k in range(layers)
        )
        self.readout = nn.Conv2d(hidden, seen, 1, bias=False)
        self.penalty_weights = {"decoupling": DECOUPLING_WEIGHT} if decoupling else {}
        self.adapter = nn.Conv2d(hidden, hidden, 1, bias=False) if decoupling else None

    @classmethod
    def from_preset(
        cls,
        name: PredRNNPreset,
        context_frames: PositiveInt | None = None,
        channels: PositiveInt = 3,
        decoupling: bool = False,
    ) -> "PredRNN":
        """Build a network of a known size.

        Args:
            name: `faithful` (23,838,720 parameters for gray frames, 23,855,104 with decoupling) or
                `cpu` (332,800 in color).
            context_frames: Frames that are read; None is the preset's own number, 10 or 4.
            channels: Of a frame.
            decoupling: Whether there is the penalty that keeps memories apart.

        Raises:
            ValueError: When no preset has this name.
        """
        given = {"context_frames": context_frames, "channels": channels, "decoupling": decoupling}
        return cls(**preset_arguments(PREDRNN_PRESETS, name, **given))

    def read(self, frame: Tensor, memory: PredRNNMemory | None) -> tuple[Tensor, PredRNNMemory]:
        """Read a frame and predict the next; see `RecurrentPredictor.read`."""
        features = F.pixel_unshuffle(frame, self.patch)
        if memory is None:
            empty = features.new_zeros(features.shape[0], self.hidden, *features.shape[2:])
            memory = PredRNNMemory(
                [empty] * len(self.layers), [empty] * len(self.layers), empty, []
            )
        hidden, cells, zigzag = list(memory.hidden), list(memory.cells), memory.zigzag
        changes: list[tuple[Tensor, Tensor]] = []
        for k, layer in enumerate(self.layers):
            hidden[k], cells[k], zigzag, change = layer(features, hidden[k], cells[k], zigzag)
            changes.append(change)
            features = hidden[k]
        pred = F.pixel_shuffle(self.readout(features), self.patch)
        if self.residual:
            pred = frame + pred
        return pred, PredRNNMemory(hidden, cells, zigzag, changes)

    def penalties(self, memories: Sequence[PredRNNMemory]) -> dict[str, Tensor]:
        """Give how alike the changes of a layer's two memories are; none without decoupling."""
        if self.adapter is None:
            return {}
        alike = [
            decoupling_penalty(*(self.adapter(part) for part in change))
            for memory in memories
            for change in memory.changes
        ]
        return {"decoupling": torch.stack(alike).mean()}

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values."""
        return {
            **self.arguments,
            "context_frames": self.context_frames,
            "channels": self.channels,
        }


class STLSTMCell(nn.Module):
    """One layer: an LSTM's memory, and a second one that comes from the layer below.

    Args:
        channels: Of the input.
        hidden: Channels of the hidden state and of both memories.
        kernel: Size of the kernels, odd.
    """

    def __init__(self, channels: int, hidden: int, *, kernel: int = 5) -> None:
        super().__init__()

        def convolution(width_in: int, width_out: int) -> nn.Conv2d:
            return nn.Conv2d(width_in, width_out, kernel, padding=kernel // 2, bias=False)

        self.from_input = convolution(channels, 7 * hidden)
        self.from_state = convolution(hidden, 4 * hidden)
        self.from_zigzag = convolution(hidden, 3 * hidden)
        self.output_gate = convolution(2 * hidden, hidden)
        self.mix = nn.Conv2d(2 * hidden, hidden, 1, bias=False)

    def forward(
        self, features: Tensor, hidden: Tensor, cell: Tensor, zigzag: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor]]:
        """Advance by a frame.

        Args:
            features: Shape (B, channels, h, w).
            hidden: Of this layer at the frame before, shape (B, hidden, h, w).
            cell: Likewise.
            zigzag: Of the layer below at this frame.

        Returns:
            Hidden state, cell, spatiotemporal memory, and what was added to the last two.
        """
        add_x, keep_x, new_x, *rest_x, out_x = self.from_input(features).chunk(7, dim=1)
        add_h, keep_h, new_h, out_h = self.from_state(hidden).chunk(4, dim=1)
        change = (add_x + add_h).sigmoid() * (new_x + new_h).tanh()
        cell = (keep_x + keep_h + FORGET_BIAS).sigmoid() * cell + change

        add_x, keep_x, new_x = rest_x
        add_m, keep_m, new_m = self.from_zigzag(zigzag).chunk(3, dim=1)
        zigzag_change = (add_x + add_m).sigmoid() * (new_x + new_m).tanh()
        zigzag = (keep_x + keep_m + FORGET_BIAS).sigmoid() * zigzag + zigzag_change

        both = torch.cat([cell, zigzag], dim=1)
        hidden = (out_x + out_h + self.output_gate(both)).sigmoid() * self.mix(both).tanh()
        return hidden, cell, zigzag, (change, zigzag_change)


def decoupling_penalty(change: Tensor, zigzag_change: Tensor) -> Tensor:
    """Average the absolute cosines between two changes, over the pixels of each channel.

    Args:
        change: Shape (B, C, h, w).
        zigzag_change: Same shape.

    Returns:
        Scalar, float32; 0 for orthogonal changes, 1 for parallel ones.
    """
    change, zigzag_change = change.float().flatten(2), zigzag_change.float().flatten(2)
    return F.cosine_similarity(change, zigzag_change, dim=2).abs().mean()
