"""The Row LSTM: a recurrence from a frame's top to its bottom, all columns of a row at once."""

import torch
from torch import Tensor, nn

from vidpred.models.causal_layers import CausalConv2d, RowsAboveConv


class RowLSTM(nn.Module):
    """A residual block whose state is carried from row to row, over a triangle of pixels above.

    Source: van den Oord et al. 2016 (PixelRNN, arXiv 1601.06759), section 3.1 and figure 5: a
    convolution of three columns from input to state, masked, one from state to state, then a
    convolution of 1 x 1 back to the width of what came in, which is added.

    Args:
        width: c, channels of the state; 2c come in and go out.
        colors: C of the frames.

    Example:
        >>> RowLSTM(4)(torch.rand(1, 8, 6, 6)).shape
        torch.Size([1, 8, 6, 6])
    """

    def __init__(self, width: int, *, colors: int = 1) -> None:
        super().__init__()
        self.width = width
        self.input_to_state = CausalConv2d(
            2 * width, 4 * width, 3, sees_itself=True, colors=colors, parts=4, rows_above=0
        )
        # What is above has all its colors, so that nothing is masked.
        self.state_to_state = RowsAboveConv(width, 4 * width)
        self.restore = CausalConv2d(width, 2 * width, 1, sees_itself=True, colors=colors)
        with torch.no_grad():
            self.input_to_state.bias[width : 2 * width] = 1  # remember at first

    def forward(self, features: Tensor) -> Tensor:
        """Give features of the same shape, (B, 2 * c, H, W)."""
        inputs = self.input_to_state(features)
        hidden = memory = torch.zeros_like(inputs[:, : self.width, 0])
        rows: list[Tensor] = []
        for row in inputs.unbind(2):
            hidden, memory = lstm_step(row + self.state_to_state(hidden), memory)
            rows.append(hidden)
        restored: Tensor = features + self.restore(torch.stack(rows, dim=2))
        return restored


def lstm_step(gates: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """Update the memory of an LSTM (Hochreiter and Schmidhuber 1997).

    Args:
        gates: Of input, forgetting and output, and the update, before their nonlinearities, shape
            (N, 4 * c, ...).
        memory: Shape (N, c, ...).

    Returns:
        Hidden state and memory, both of the memory's shape.

    Example:
        >>> hidden, memory = lstm_step(torch.zeros(1, 4), torch.ones(1, 1))
        >>> memory
        tensor([[0.5000]])
    """
    entering, kept, shown, update = gates.chunk(4, dim=1)
    memory = kept.sigmoid() * memory + entering.sigmoid() * update.tanh()
    return shown.sigmoid() * memory.tanh(), memory
