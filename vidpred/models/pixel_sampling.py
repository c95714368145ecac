"""Drawing a frame pixel by pixel, with what was computed for earlier pixels kept.

A pixel needs the features of its neighbors above and to the left alone, at every layer. So pixels
whose column plus `lag` times their row is the same number, a wave, wait for none of each other:
they are drawn together, and a frame of H x W takes W + lag * (H - 1) steps instead of H * W passes
over the whole frame. Related: van den Oord et al. 2016 (PixelRNN) skew frames so for the diagonal
LSTM; Ramachandran et al. 2017 (Fast PixelCNN++, arXiv 1704.06001) keep what was computed.
"""

from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vidpred.models.causal_layers import CausalConv2d, RowsAboveConv
from vidpred.models.pixel_decoder import PixelDecoder
from vidpred.models.row_lstm import RowLSTM, lstm_step
from vidpred.ops.threads import one_thread

MANY_CLIPS = 128
"""From which on several threads of a processor are worth their meeting; a wave is small."""


def draw_frame(decoder: PixelDecoder, condition: Tensor, uniform: Tensor) -> Tensor:
    """Draw a frame, wave by wave.

    In double precision, so that the order of sums, which depends on how many pixels are computed
    together, changes no drawn value.

    Args:
        decoder: Gives the distributions; see `exact`.
        condition: What the past adds, shape (B, 2 * c, H, W).
        uniform: A number in [0, 1) for each value, shape (B, C, H, W). Equal ones give equal
            frames.

    Returns:
        Shape (B, C, H, W) in [0, 1], of float64 where the device has it.
    """
    alone = condition.device.type == "cpu" and len(condition) < MANY_CLIPS
    with one_thread() if alone else nullcontext(), torch.inference_mode():
        return _draw(*exact(decoder, condition, uniform))


def _draw(decoder: PixelDecoder, condition: Tensor, uniform: Tensor) -> Tensor:
    """Draw wave by wave; the decoder is changed."""
    batch, _, height, width = condition.shape
    wave, decoder = remembering(decoder, batch, height)
    first = decoder.get_submodule("first")
    assert isinstance(first, RememberingConv)
    # (H * W, B, channels): the pixels of a wave are taken from the front.
    condition, uniform = (value.flatten(2).permute(2, 0, 1) for value in (condition, uniform))
    frame = torch.zeros_like(uniform)
    for number in range(width + wave.lag * (height - 1)):
        pixels_of_wave = wave.begin(number, width)
        if not pixels_of_wave:
            continue
        places = torch.tensor(
            [row * width + column for row, column in pixels_of_wave], device=condition.device
        )
        known = condition[places].flatten(0, 1)
        numbers = uniform[places].flatten(0, 1)
        pixels = torch.zeros_like(numbers)
        for color in range(decoder.colors):
            logits = decoder(pixels, known)[:, color]
            pixels[:, color] = decoder.draw(logits, numbers[:, color])
        first.remember(pixels)
        frame[places] = pixels.view(len(places), batch, -1)
    return frame.permute(1, 2, 0).view(batch, -1, height, width)


@torch.inference_mode()
def draw_frame_uncached(decoder: PixelDecoder, condition: Tensor, uniform: Tensor) -> Tensor:
    """Draw as `draw_frame`, with a pass over the frame for each value: what it is tested against.

    Args:
        decoder: As there.
        condition: As there.
        uniform: As there.

    Returns:
        The same values, to the bit.
    """
    decoder, condition, uniform = exact(decoder, condition, uniform)
    frame = torch.zeros_like(uniform)
    for row in range(frame.shape[2]):
        for column in range(frame.shape[3]):
            for color in range(decoder.colors):
                logits = decoder(frame, condition)[:, color, :, row, column]
                frame[:, color, row, column] = decoder.draw(logits, uniform[:, color, row, column])
    return frame


def exact(
    decoder: PixelDecoder, condition: Tensor, uniform: Tensor
) -> tuple[PixelDecoder, Tensor, Tensor]:
    """Give a decoder and what it sees in double precision; in single where a device lacks it."""
    dtype = torch.float32 if condition.device.type == "mps" else torch.float64
    copy = deepcopy(decoder).to(dtype).requires_grad_(False)
    return copy, condition.to(dtype), uniform.to(dtype)


@dataclass(kw_only=True)
class Wave:
    """Pixels that are computed together: one in each of some neighboring rows.

    Attributes:
        lag: Waves by which a row is behind the one above it.
        batch: B.
        height: H.
        number: Which wave; its pixel in row r has the column `number - lag * r`.
        rows: Those that have a pixel in it.
    """

    lag: int
    batch: int
    height: int
    number: int = 0
    rows: range = range(0)

    def begin(self, number: int, width: int) -> list[tuple[int, int]]:
        """Move to a wave, and give the places (row, column) of its pixels in frames of a width."""
        self.number = number
        self.rows = range(
            max(0, -(-(number - width + 1) // self.lag)),
            min(self.height - 1, number // self.lag) + 1,
        )
        return [(row, number - self.lag * row) for row in self.rows]


class History:
    """The latest features of a layer, as far back as its taps reach.

    Args:
        offsets: (row, column) of the taps relative to the pixel.
        rows_above: Most rows that they reach up.
        wave: What is computed now.
    """

    def __init__(self, offsets: list[tuple[int, int]], rows_above: int, wave: Wave) -> None:
        self._wave, self._above = wave, rows_above
        self._taps = [(-(column + wave.lag * row), self._above + row) for row, column in offsets]
        self._length = max(ago for ago, _ in self._taps) + 1
        # A ring of waves, each of shape (rows_above + H, B, channels), and after it one of zeros.
        # Rows above the frame, waves before the first and columns beyond the sides are zeros.
        self._ring: list[Tensor] = []
        self._starts = [0] * self._length
        self._kept = [-1] * self._length

    def keep(self, features: Tensor) -> None:
        """Keep features of this wave, shape (rows * B, channels)."""
        wave = self._wave
        if not self._ring:
            shape = (self._length + 1, self._above + wave.height, wave.batch, features.shape[1])
            self._ring = list(features.new_zeros(shape).unbind(0))
        number, rows = wave.number % self._length, wave.rows
        if self._starts[number] < rows.start:  # rows that have ended since
            self._ring[number][: self._above + rows.start].zero_()
            self._starts[number] = rows.start
        self._kept[number] = wave.number
        slot = self._ring[number].narrow(0, self._above + rows.start, len(rows))
        slot.copy_(features.view(slot.shape))

    def seen(self) -> Tensor:
        """Give what the taps see from this wave, shape (rows * B, taps * channels)."""
        start, count = self._wave.rows.start, len(self._wave.rows)
        found = [self._slot(ago).narrow(0, start + row, count) for ago, row in self._taps]
        joined = found[0] if len(found) == 1 else torch.cat(found, dim=2)
        return joined.flatten(0, 1)

    def _slot(self, ago: int) -> Tensor:
        """Give the wave of some waves ago; one without pixels, in narrow frames, is not kept."""
        number = self._wave.number - ago
        slot = number % self._length
        return self._ring[slot if self._kept[slot] == number else self._length]


class RememberingConv(nn.Module):
    """A `CausalConv2d` for the pixels of a wave, whose neighbors it has seen before.

    Args:
        layer: Whose weights it has.
        wave: What is computed now.
    """

    def __init__(self, layer: CausalConv2d | RowsAboveConv, wave: Wave) -> None:
        super().__init__()
        self.weight = layer.taps().flatten(0, 1)
        bias = getattr(layer, "bias", None)
        self.bias = self.weight.new_zeros(self.weight.shape[1]) if bias is None else bias
        offsets = layer.offsets
        self._alone = offsets == [(0, 0)]
        self._history = History(offsets, layer.rows_above, wave)

    def remember(self, features: Tensor) -> None:
        """Keep what a layer got that is not known before its pixel is drawn."""
        self._history.keep(features)

    def forward(self, features: Tensor) -> Tensor:
        """Convolve pixels, (rows * B, inputs) to (rows * B, outputs)."""
        if self._alone:
            return torch.addmm(self.bias, features, self.weight)
        self._history.keep(features)
        return torch.addmm(self.bias, self._history.seen(), self.weight)


class RememberingRowLSTM(nn.Module):
    """A `RowLSTM` for the pixels of a wave, with the state of those above.

    Args:
        layer: Whose weights it has.
        wave: What is computed now.
    """

    def __init__(self, layer: RowLSTM, wave: Wave) -> None:
        super().__init__()
        self.input_to_state = RememberingConv(layer.input_to_state, wave)
        self.restore = RememberingConv(layer.restore, wave)
        self.state_to_state = layer.state_to_state.taps().flatten(0, 1)
        carried = layer.state_to_state
        self._hidden = History(carried.offsets, carried.rows_above, wave)
        self._memory = History([(-1, 0)], 1, wave)
        self._empty = self.input_to_state.bias.new_zeros((wave.batch * wave.height, layer.width))

    def forward(self, features: Tensor) -> Tensor:
        """Give features of the same shape, (rows * B, 2 * c)."""
        # Makes room for this wave; what its taps see is from waves before.
        nothing = self._empty[: len(features)]
        self._hidden.keep(nothing)
        self._memory.keep(nothing)
        gates = self.input_to_state(features) + self._hidden.seen() @ self.state_to_state
        hidden, memory = lstm_step(gates, self._memory.seen())
        self._hidden.keep(hidden)
        self._memory.keep(memory)
        restored: Tensor = features + self.restore(hidden)
        return restored


def remembering(decoder: PixelDecoder, batch: int, height: int) -> tuple[Wave, PixelDecoder]:
    """Give a decoder for the pixels of waves, and the wave that it computes; nothing is shared.

    Args:
        decoder: Its layers are replaced.
        batch: B.
        height: H.
    """
    layers = (CausalConv2d, RowsAboveConv)
    reach = max(layer.reach for layer in decoder.modules() if isinstance(layer, layers))
    wave = Wave(lag=reach + 1, batch=batch, height=height)
    for parent in list(decoder.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, RowLSTM):
                setattr(parent, name, RememberingRowLSTM(child, wave))
            elif isinstance(child, CausalConv2d):
                setattr(parent, name, RememberingConv(child, wave))
    return wave, decoder
