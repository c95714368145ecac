"""ConvLSTM: a recurrent predictor, trained with teacher forcing over whole clips.

Source: Shi et al. 2015, "Convolutional LSTM Network" (arXiv 1506.04214), without peepholes.
The network is a `vidpred.models.Predictor` with its own rollout, which keeps its memory; the way
of training is a `vidpred.tasks.PredictionTask`. Next to this file, in the folder that holds it:

    vidpred data toy toy
    vidpred fit -c convlstm.yaml --data.root toy --run-dir runs/convlstm
    vidpred test runs/convlstm/checkpoints/best.ckpt --module convlstm --root toy
    vidpred predict toy/UCF-101/Zoom/v_Zoom_g02_c01.avi \
        --model runs/convlstm/checkpoints/best.ckpt --module convlstm --horizon 8 \
        --output convlstm.mp4
"""

from typing import Any

import torch
from jsonargparse.typing import PositiveInt
from torch import Tensor, nn

from vidpred.batch import ClipBatch
from vidpred.losses import PredictionObjective, lp_loss
from vidpred.models import Condition, Predictor
from vidpred.tasks import PredictionTask

Memory = tuple[Tensor, Tensor]
"""Hidden state and cell of one layer, both (B, hidden, h, w)."""


class ConvLSTMCell(nn.Module):
    """One layer: all four gates come from one convolution of input and hidden state.

    Args:
        channels: Of the input.
        hidden: Of the hidden state and the cell.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(channels + hidden, 4 * hidden, kernel_size=5, padding=2)
        self.hidden = hidden

    def forward(self, features: Tensor, memory: Memory | None) -> Memory:
        """Take in features (B, channels, h, w); None is an empty memory."""
        if memory is None:
            empty = features.new_zeros(len(features), self.hidden, *features.shape[2:])
            memory = (empty, empty)
        hidden, cell = memory
        gates = self.gates(torch.cat([features, hidden], dim=1))
        forget, add, output, candidate = gates.chunk(4, dim=1)
        cell = (forget + 1).sigmoid() * cell + add.sigmoid() * candidate.tanh()
        return output.sigmoid() * cell.tanh(), cell


class ConvLSTM(Predictor):
    """Reads frame after frame into its memory, and gives the next one after each.

    Args:
        hidden: Channels of the memory.
        layers: Of the memory, one upon the other.
        context_frames: Frames that are read before the first prediction.
        channels: Of a frame.
    """

    def __init__(
        self,
        hidden: PositiveInt = 32,
        layers: PositiveInt = 2,
        *,
        context_frames: PositiveInt = 4,
        channels: PositiveInt = 3,
    ) -> None:
        super().__init__(context_frames=context_frames, channels=channels, size_multiple=2)
        self.encode = nn.Conv2d(channels, hidden, kernel_size=4, stride=2, padding=1)
        self.cells = nn.ModuleList(ConvLSTMCell(hidden, hidden) for _ in range(layers))
        self.decode = nn.ConvTranspose2d(hidden, channels, kernel_size=4, stride=2, padding=1)
        self.hidden, self.layers = int(hidden), int(layers)

    def next_frame(self, frame: Tensor, memory: list[Any]) -> Tensor:
        """Read a frame (B, C, H, W) into the memory, one entry a layer, and predict the next."""
        features = self.encode(frame).relu()
        for k, cell in enumerate(self.cells):
            memory[k] = cell(features, memory[k])
            features = features + memory[k][0]
        # The change is learned, so that an untrained network copies.
        return (frame + self.decode(features)).clamp(0, 1)

    def follow(self, frames: Tensor) -> Tensor:
        """Predict frames 1 to T from the true frames 0 to T - 1, shape (B, T, C, H, W)."""
        memory: list[Any] = [None] * self.layers
        return torch.stack([self.next_frame(frame, memory) for frame in frames.unbind(1)], dim=1)

    def rollout(
        self, window: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Tensor:
        """Read the window, then the own predictions; see `Predictor.rollout`."""
        memory: list[Any] = [None] * self.layers
        for frame in window.unbind(1):
            pred = self.next_frame(frame, memory)
        preds = [pred]
        while len(preds) < horizon:
            preds.append(self.next_frame(preds[-1], memory))
        return torch.stack(preds, dim=1)

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Predict one frame; see `Predictor.step`."""
        return self.rollout(context, 1)

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {
            "hidden": self.hidden,
            "layers": self.layers,
            "context_frames": self.context_frames,
            "channels": self.channels,
        }


class TeacherForcing(PredictionTask):
    """Predicts every frame of a clip from the true frames before it, by its mean squared error."""

    @property
    def training_horizon(self) -> int:
        """Frames after the context in a training clip."""
        return 6

    def objective(self, batch: ClipBatch) -> PredictionObjective:
        """Follow the clip; the first frames, of which little is known, count as well."""
        context, target, _ = self.training_clips(batch)
        frames = torch.cat([context, target], dim=1)
        pred = self.predictor.follow(frames[:, :-1])
        return PredictionObjective(
            terms={"l2_loss": lp_loss(pred, frames[:, 1:])},
            context=context,
            target=target,
            pred=pred[:, -self.training_horizon :],
        )
