"""Public predictors from checkouts, to time ours against; nothing of them is kept here.

    SimVP    https://github.com/A4Bio/SimVP
    PredRNN  https://github.com/thuml/predrnn-pytorch
    DMVFN    https://github.com/megvii-research/CVPR2023-DMVFN
    PhyDNet  https://github.com/vincent-leguen/PhyDNet

Each in the size that its own training script has, with fresh weights: these cost as much as trained
ones, but for DMVFN, which chooses about half of its blocks by the frame. `OURS` builds the same
network of this package; tests hold it against the authors' module, output by output.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor

from vidpred.models import DMVFN, PhyDNet, PredRNN, SimVP
from vidpred.models.predictor import Predictor

Rollout = Callable[[Tensor, int], Tensor]
"""Of past frames (B, 4, 3, H, W) in [0, 1] and a number of frames to predict."""


def simvp(checkout: Path, height: int, width: int, horizon: int, device: torch.device) -> Rollout:
    """As many frames as it sees, at once: the past is repeated up to the horizon."""
    sys.path.insert(0, str(checkout))
    from model import SimVP  # type: ignore[import-not-found]

    rows, columns = _up(height, 4), _up(width, 4)
    network = SimVP((horizon, 3, rows, columns), hid_S=64, hid_T=256, N_S=4, N_T=8, groups=4)
    network = network.eval().to(device)

    def predict(context: Tensor, horizon: int) -> Tensor:
        seen = torch.cat([context] * -(-horizon // context.shape[1]), dim=1)[:, -horizon:]
        padded = _padded(seen, rows, columns)
        pred: Tensor = network(padded)
        return pred[..., :height, :width]

    return predict


def predrnn(checkout: Path, height: int, width: int, horizon: int, device: torch.device) -> Rollout:
    """Recurrent, on patches of 4 x 4 pixels."""
    sys.path.insert(0, str(checkout))
    from core.models.predrnn import RNN  # type: ignore[import-not-found]

    side = 4
    rows, columns = _up(height, side), _up(width, side)
    options = SimpleNamespace(
        patch_size=side,
        img_channel=3,
        img_width=columns,
        filter_size=5,
        stride=1,
        layer_norm=0,
        device=device,
        input_length=4,
        total_length=4 + horizon,
        reverse_scheduled_sampling=0,
    )
    network = RNN(4, [128] * 4, options).eval().to(device)

    def predict(context: Tensor, horizon: int) -> Tensor:
        padded = _padded(context, rows, columns)
        future = padded.new_zeros(len(padded), horizon, *padded.shape[2:])
        clip = torch.cat([padded, future], dim=1)
        patches = clip.unflatten(4, (-1, side)).unflatten(3, (-1, side))
        patches = patches.permute(0, 1, 3, 5, 4, 6, 2).flatten(4)
        unseen = torch.zeros_like(patches[:, : horizon - 1])
        pred, _ = network(patches, unseen)
        pred = pred[:, -horizon:].unflatten(4, (side, side, 3)).permute(0, 1, 6, 2, 4, 3, 5)
        return pred.flatten(5).flatten(3, 4)[..., :height, :width]

    return predict


def dmvfn(checkout: Path, height: int, width: int, horizon: int, device: torch.device) -> Rollout:
    """Flow from the last two frames, fed back."""
    sys.path.insert(0, str(checkout))
    from model.arch import DMVFN  # type: ignore[import-not-found]

    if device.type == "cpu":  # it sends tensors to a GPU by name
        torch.Tensor.cuda = lambda self, *_, **__: self  # type: ignore[method-assign]
    rows, columns = _up(height, 16), _up(width, 16)
    network = DMVFN().eval().to(device)

    def predict(context: Tensor, horizon: int) -> Tensor:
        frames = list(_padded(context, rows, columns)[:, -2:].unbind(1))
        for _ in range(horizon):
            made = network(torch.cat(frames[-2:], dim=1), [4, 4, 4, 2, 2, 2, 1, 1, 1], False)
            frames.append(made[-1] if made else frames[-1])
        return torch.stack(frames[2:], dim=1)[..., :height, :width]

    return predict


def phydnet(checkout: Path, height: int, width: int, horizon: int, device: torch.device) -> Rollout:
    """Recurrent, on gray frames: the mean of the colors, and the prediction in each of them."""
    sys.path.insert(0, str(checkout))
    from models import models  # type: ignore[import-not-found]

    rows, columns = _up(height, 4), _up(width, 4)
    size = (rows // 4, columns // 4)
    physical = models.PhyCell(size, 64, [49], n_layers=1, kernel_size=(7, 7), device=device)
    lstm = models.ConvLSTM(size, 64, [128, 128, 64], 3, kernel_size=(3, 3), device=device)
    network = models.EncoderRNN(physical, lstm, device).eval().to(device)

    def predict(context: Tensor, horizon: int) -> Tensor:
        frames = _padded(context.mean(2, keepdim=True), rows, columns)
        for t, frame in enumerate(frames[:, :-1].unbind(1)):
            network(frame, t == 0)
        frame, made = frames[:, -1], []
        for _ in range(horizon):
            frame = network(frame, False, False)[2]
            made.append(frame[..., :height, :width])
        return torch.stack(made, 1).expand(-1, -1, 3, -1, -1)

    return predict


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def _padded(frames: Tensor, rows: int, columns: int) -> Tensor:
    border = (0, columns - frames.shape[-1], 0, rows - frames.shape[-2])
    padded = F.pad(frames.flatten(0, 1), border, mode="replicate")
    return padded.view(*frames.shape[:2], *padded.shape[1:])


PUBLIC = {"simvp": simvp, "predrnn": predrnn, "dmvfn": dmvfn, "phydnet": phydnet}

OURS: dict[str, Callable[[int], Predictor]] = {
    "simvp": lambda horizon: SimVP.from_preset("faithful", context_frames=horizon),
    "predrnn": lambda _: PredRNN.from_preset("faithful", context_frames=4),
    "dmvfn": lambda _: DMVFN.from_preset("faithful"),
    "phydnet": lambda _: PhyDNet.from_preset("faithful", context_frames=4, channels=1),
}
"""By the name of the public one, the same network of this package for a horizon."""
