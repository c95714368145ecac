"""PhyDNet: a cell that computes a partial differential equation, next to a ConvLSTM."""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from jsonargparse.typing import PositiveInt
from torch import Tensor, nn

from vidpred.models.convlstm import ConvLSTMCell, LSTMMemory
from vidpred.models.normalized_convolutions import normalized, shrinking
from vidpred.models.presets import preset_arguments
from vidpred.models.recurrent import RecurrentPredictor

PhyDNetPreset = Literal["faithful", "cpu"]

PHYDNET_PRESETS: dict[PhyDNetPreset, dict[str, Any]] = {
    "faithful": {"context_frames": 10},
    "cpu": {
        "width": 32,
        "lstm_hidden": (32,),
        "kernel": 5,
        "residual": True,
        "context_frames": 4,
    },
}
"""`faithful`: the authors' script for Moving MNIST. `cpu` is ours."""

NORM_GROUPS = 16
"""Groups of the normalization in encoders and decoders."""

MOMENT_WEIGHT = 1 / 19
"""Of the penalty: the authors add it to the sum over the 19 predicted frames of a clip of 20, where
we average."""


class PhyDNetMemory(NamedTuple):
    """What is known after a frame.

    Attributes:
        physical: State of the physical cell, shape (B, width, h, w).
        residual: Hidden state and cell of each ConvLSTM layer.
    """

    physical: Tensor
    residual: list[LSTMMemory]


class PhyDNet(RecurrentPredictor):
    """Two branches from one encoder: physical dynamics, and a ConvLSTM for what they leave over.

    Source: Le Guen and Thome 2020, "Disentangling Physical Dynamics from Unknown Factors for
    Unsupervised Video Prediction" (arXiv 2003.01460); equal to the authors' module for equal
    weights. The penalty `moment` keeps the filters of the physical cell close to finite
    differences. Trained by `vidpred.tasks.RecurrentTask` with `ScheduledSampling(draws="batch")`.
    As in the authors' script, predictions are encoded and correct the physical state like frames.

    Deviations: `residual` and the preset `cpu` are ours.

    Args:
        width: Channels of encoded frames and of the physical state, a multiple of 32.
        lstm_hidden: Channels of the ConvLSTM layers below the last, which has `width`.
        kernel: Size of the physical cell's filters, odd; their number is its square.
        residual: Whether the change from the frame that was read is predicted, instead of the
            frame itself by a sigmoid.
        context_frames: Frames that are read before the first prediction.
        channels: Of a frame.

    Raises:
        ValueError: When the width is no multiple or the kernel is even.

    Example:
        >>> import torch
        >>> PhyDNet.from_preset("cpu").eval()(torch.rand(1, 4, 3, 32, 32), horizon=6).shape
        torch.Size([1, 6, 3, 32, 32])
    """

    channels: int

    def __init__(
        self,
        width: PositiveInt = 64,
        *,
        lstm_hidden: Sequence[PositiveInt] = (128, 128),
        kernel: PositiveInt = 7,
        residual: bool = False,
        context_frames: PositiveInt = 10,
        channels: PositiveInt = 3,
    ) -> None:
        super().__init__(context_frames=context_frames, channels=channels, size_multiple=4)
        if width % (2 * NORM_GROUPS):
            raise ValueError(f"width is {width}; expected a multiple of {2 * NORM_GROUPS}")
        if kernel % 2 == 0:
            raise ValueError(f"kernel is {kernel}; expected an odd number")
        self.arguments = {
            "width": int(width),
            "lstm_hidden": [int(hidden) for hidden in lstm_hidden],
            "kernel": int(kernel),
            "residual": bool(residual),
        }
        self.residual = bool(residual)
        self.penalty_weights = {"moment": MOMENT_WEIGHT}
        half = width // 2
        self.encoder = nn.Sequential(
            _shrink(channels, half, 2), _shrink(half, half, 1), _shrink(half, width, 2)
        )
        self.encode_physical = nn.Sequential(_shrink(width, width, 1), _shrink(width, width, 1))
        self.encode_residual = nn.Sequential(_shrink(width, width, 1), _shrink(width, width, 1))
        self.physical = PhysicalCell(width, kernel=kernel)
        widths = (width, *lstm_hidden, width)
        self.lstm = nn.ModuleList(
            ConvLSTMCell(widths[k], widths[k + 1], input_kernel=3, state_kernel=3)
            for k in range(len(lstm_hidden) + 1)
        )
        self.decode_physical = nn.Sequential(_enlarge(width, width, 1), _enlarge(width, width, 1))
        self.decode_residual = nn.Sequential(_enlarge(width, width, 1), _enlarge(width, width, 1))
        self.decoder = nn.Sequential(
            _enlarge(width, half, 2),
            _enlarge(half, half, 1),
            nn.ConvTranspose2d(half, channels, 3, stride=2, padding=1, output_padding=1),
        )

    @classmethod
    def from_preset(
        cls,
        name: PhyDNetPreset,
        context_frames: PositiveInt | None = None,
        channels: PositiveInt = 3,
    ) -> "PhyDNet":
        """Build a network of a known size.

        Args:
            name: `faithful` (3,091,732 parameters for gray frames) or `cpu` (276,558 in color).
            context_frames: Frames that are read; None is the preset's own number, 10 or 4.
            channels: Of a frame.

        Raises:
            ValueError: When no preset has this name.
        """
        given = {"context_frames": context_frames, "channels": channels}
        return cls(**preset_arguments(PHYDNET_PRESETS, name, **given))

    def read(self, frame: Tensor, memory: PhyDNetMemory | None) -> tuple[Tensor, PhyDNetMemory]:
        """Read a frame and predict the next; see `RecurrentPredictor.read`."""
        encoded = self.encoder(frame)
        observed = self.encode_physical(encoded)
        physical = self.physical(observed, None if memory is None else memory.physical)
        features = self.encode_residual(encoded)
        residual: list[LSTMMemory] = []
        for k, layer in enumerate(self.lstm):
            residual.append(layer(features, None if memory is None else memory.residual[k]))
            features = residual[-1][0]
        pred = self.decoder(self.decode_physical(physical) + self.decode_residual(features))
        pred = frame + pred if self.residual else pred.sigmoid()
        return pred, PhyDNetMemory(physical, residual)

    def penalties(self, memories: Sequence[PhyDNetMemory]) -> dict[str, Tensor]:
        """Give how far the physical filters are from finite differences."""
        return {"moment": moment_penalty(self.physical.filters.weight)}

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values."""
        return {
            **self.arguments,
            "context_frames": self.context_frames,
            "channels": self.channels,
        }


class PhysicalCell(nn.Module):
    """A state that derivatives move, and that what is observed corrects.

    `predicted = state + mix(norm(filters(state)))`, `state' = predicted + K (observed -
    predicted)`, with the gain K, in (0, 1), a convolution of what is observed and the state.

    Args:
        width: Channels of the state.
        kernel: Size of the filters, odd; there are `kernel ** 2` of them.
    """

    def __init__(self, width: int, *, kernel: int = 7) -> None:
        super().__init__()
        self.width = int(width)
        self.filters = nn.Conv2d(width, kernel**2, kernel, padding=kernel // 2)
        self.norm = nn.GroupNorm(kernel, kernel**2)
        self.mix = nn.Conv2d(kernel**2, width, 1)
        self.gain = nn.Conv2d(2 * width, width, 3, padding=1)

    def forward(self, observed: Tensor, state: Tensor | None) -> Tensor:
        """Advance by a frame, (B, width, h, w) to the same; None is a state of zeros."""
        if state is None:
            state = torch.zeros_like(observed)
        gain = self.gain(torch.cat([observed, state], dim=1)).sigmoid()
        predicted = state + self.mix(self.norm(self.filters(state)))
        corrected: Tensor = predicted + gain * (observed - predicted)
        return corrected


def moment_penalty(filters: Tensor) -> Tensor:
    """Compare the moments of filters with those of finite differences.

    The moment (i, j) of a k x k filter is `sum_uv w[u, v] u^i v^j / (i! j!)`, u and v from its
    middle: its response to that monomial. Filter number `k i + j` is to have moment (i, j) of 1 and
    no other, so that it computes the derivative of order i in y and j in x.

    Source: Le Guen and Thome 2020, after Long et al. 2018 (PDE-Net, arXiv 1710.09668). Mean over
    filters and moments, summed over input channels, as in the authors' code.

    Args:
        filters: Shape (k * k, C, k, k).

    Returns:
        Scalar, 0 for finite differences.

    Raises:
        ValueError: When there are not as many filters as moments.
    """
    count, _, height, width = filters.shape
    if height != width or count != height**2:
        raise ValueError(
            f"filters have shape {tuple(filters.shape)}; expected (k * k, C, k, k): one filter for "
            "each moment"
        )
    places = torch.arange(height, device=filters.device) - (height - 1) // 2
    powers = torch.stack(
        [places.to(filters.dtype) ** order / math.factorial(order) for order in range(height)]
    )
    # Half precision has no digits for the small differences that are minimized.
    with torch.autocast(filters.device.type, enabled=False):
        moments = powers @ filters @ powers.T
    wanted = torch.eye(count, dtype=filters.dtype, device=filters.device).view(
        count, 1, height, width
    )
    return (moments - wanted).square().mean((0, 2, 3)).sum()


def _shrink(width_in: int, width_out: int, stride: int) -> nn.Sequential:
    return shrinking(width_in, width_out, stride, groups=NORM_GROUPS)


def _enlarge(width_in: int, width_out: int, stride: int) -> nn.Sequential:
    convolution = nn.ConvTranspose2d(
        width_in, width_out, 3, stride=stride, padding=1, output_padding=stride - 1
    )
    return normalized(convolution, width_out, groups=NORM_GROUPS)
