"""Public predictors from checkouts, to time ours against; nothing of them is kept here.

    SimVP    https://github.com/A4Bio/SimVP
    PredRNN  https://github.com/thuml/predrnn-pytorch
    DMVFN    https://github.com/megvii-research/CVPR2023-DMVFN
    PhyDNet  https://github.com/vincent-leguen/PhyDNet
    SimVP-v2, TAU, ConvLSTM    https://github.com/chengtan9907/OpenSTL, which needs timm

Each in the size that its own training script has, with fresh weights: these cost as much as trained
ones, but for DMVFN, which chooses its blocks by the frame; its router is fixed to `ROUTE` in both.
`OURS` builds the same network of this package; tests hold it against the authors' module, output by
output. ConvLSTM is not the same but the nearest: OpenSTL reads its predictions again by one stack
of layers, where Shi et al. 2015 and we encode by one and predict by another.
"""

import importlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidpred.models import DMVFN, TAU, ConvLSTM, PhyDNet, PredRNN, SimVP, SimVPv2
from vidpred.models.predictor import Predictor

Rollout = Callable[[Tensor, int], Tensor]
"""Of past frames (B, 4, 3, H, W) in [0, 1] and a number of frames to predict."""

ROUTE = (0, 2, 4, 7)
"""Blocks of DMVFN that run, of nine: at most four can be certain of the 4.5 that a route has on
average. Two at a fourth of the size, one at half, one at full size."""


def simvp(checkout: Path, height: int, width: int, horizon: int, device: torch.device) -> Rollout:
    """As many frames as it sees, at once: the past is repeated up to the horizon."""
    sys.path.insert(0, str(checkout))
    from model import SimVP  # type: ignore[import-not-found]

    rows, columns = _up(height, 4), _up(width, 4)
    network = SimVP((horizon, 3, rows, columns), hid_S=64, hid_T=256, N_S=4, N_T=8, groups=4)
    return _all_at_once(network.eval().to(device), rows, columns)


def _all_at_once(network: nn.Module, rows: int, columns: int) -> Rollout:
    def predict(context: Tensor, horizon: int) -> Tensor:
        height, width = context.shape[-2:]
        seen = torch.cat([context] * -(-horizon // context.shape[1]), dim=1)[:, -horizon:]
        pred: Tensor = network(_padded(seen, rows, columns))
        return pred[..., :height, :width]

    return predict


def of_openstl(
    checkout: Path, height: int, width: int, horizon: int, device: torch.device, *, kind: str
) -> Rollout:
    """SimVP-v2 (`gSTA`) and TAU (`tau`), as `simvp`; configs/mmnist has the sizes."""
    module = _openstl(checkout, "simvp_modules", "simvp_model")
    rows, columns = _up(height, 4), _up(width, 4)
    network = module.SimVP_Model(
        (horizon, 3, rows, columns), hid_S=64, hid_T=512, N_S=4, N_T=8, model_type=kind
    )
    return _all_at_once(network.eval().to(device), rows, columns)


def convlstm(
    checkout: Path, height: int, width: int, horizon: int, device: torch.device
) -> Rollout:
    """Recurrent, on patches of 4 x 4 pixels; what it predicts is read again."""
    module = _openstl(checkout, "convlstm_modules", "convlstm_model")
    side = 4
    rows, columns = _up(height, side), _up(width, side)
    options = SimpleNamespace(
        in_shape=(4, 3, rows, columns),
        patch_size=side,
        filter_size=5,
        stride=1,
        layer_norm=0,
        pre_seq_length=4,
        aft_seq_length=horizon,
        reverse_scheduled_sampling=0,
    )
    network = module.ConvLSTM_Model(4, [128] * 4, options).eval().to(device)

    def predict(context: Tensor, horizon: int) -> Tensor:
        patches = _in_patches(context, rows, columns, horizon, side)
        unseen = torch.zeros_like(patches[:, : horizon - 1])
        pred, _ = network(patches, unseen, return_loss=False)
        return _of_patches(pred[:, -horizon:], side)[..., :height, :width]

    return predict


def _openstl(checkout: Path, parts: str, model: str) -> ModuleType:
    """Import a model of OpenSTL without the modules of other papers that come with it."""
    for name in ("openstl", "openstl.models", "openstl.modules"):
        package = ModuleType(name)
        package.__path__ = [str(checkout.joinpath(*name.split(".")))]
        sys.modules[name] = package
    found = vars(importlib.import_module(f"openstl.modules.{parts}"))
    vars(sys.modules["openstl.modules"]).update(
        {name: part for name, part in found.items() if not name.startswith("__")}
    )
    return importlib.import_module(f"openstl.models.{model}")


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
        patches = _in_patches(context, rows, columns, horizon, side)
        unseen = torch.zeros_like(patches[:, : horizon - 1])
        pred, _ = network(patches, unseen)
        return _of_patches(pred[:, -horizon:], side)[..., :height, :width]

    return predict


def _in_patches(context: Tensor, rows: int, columns: int, horizon: int, side: int) -> Tensor:
    """Give the known frames and zeros for the unknown ones, (B, T, h, w, side * side * C)."""
    padded = _padded(context, rows, columns)
    future = padded.new_zeros(len(padded), horizon, *padded.shape[2:])
    clip = torch.cat([padded, future], dim=1)
    patches = clip.unflatten(4, (-1, side)).unflatten(3, (-1, side))
    return patches.permute(0, 1, 3, 5, 4, 6, 2).flatten(4)


def _of_patches(patches: Tensor, side: int) -> Tensor:
    frames = patches.unflatten(4, (side, side, 3)).permute(0, 1, 6, 2, 4, 3, 5)
    return frames.flatten(5).flatten(3, 4)


def dmvfn(checkout: Path, height: int, width: int, horizon: int, device: torch.device) -> Rollout:
    """Flow from the last two frames, fed back."""
    sys.path.insert(0, str(checkout))
    from model import arch  # type: ignore[import-not-found]

    if device.type == "cpu":  # it sends tensors to a GPU by name
        torch.Tensor.cuda = lambda self, *_, **__: self  # type: ignore[method-assign]
    rows, columns = _up(height, 16), _up(width, 16)
    network = arch.DMVFN().eval().to(device)
    _fix_route(network.l1)

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


def _fix_route(router: nn.Linear) -> None:
    """Make the probabilities of the blocks in `ROUTE` 1 and those of the others 0, to 1e-8."""
    nn.init.zeros_(router.weight)
    with torch.no_grad():
        router.bias.copy_(torch.tensor([20.0 if k in ROUTE else -20.0 for k in range(9)]))


def _our_dmvfn(_: int) -> DMVFN:
    network = DMVFN.from_preset("faithful")
    _fix_route(network.router[-1])
    return network


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def _padded(frames: Tensor, rows: int, columns: int) -> Tensor:
    border = (0, columns - frames.shape[-1], 0, rows - frames.shape[-2])
    padded = F.pad(frames.flatten(0, 1), border, mode="replicate")
    return padded.view(*frames.shape[:2], *padded.shape[1:])


PUBLIC: dict[str, Any] = {
    "simvp": simvp,
    "simvp_v2": partial(of_openstl, kind="gSTA"),
    "tau": partial(of_openstl, kind="tau"),
    "convlstm": convlstm,
    "predrnn": predrnn,
    "dmvfn": dmvfn,
    "phydnet": phydnet,
}

OURS: dict[str, Callable[[int], Predictor]] = {
    "simvp": lambda horizon: SimVP.from_preset("faithful", context_frames=horizon),
    "simvp_v2": lambda horizon: SimVPv2.from_preset("faithful", context_frames=horizon),
    "tau": lambda horizon: TAU.from_preset("faithful", context_frames=horizon),
    "convlstm": lambda _: ConvLSTM((128,) * 4, peepholes=False, context_frames=4),
    "predrnn": lambda _: PredRNN.from_preset("faithful", context_frames=4),
    "dmvfn": _our_dmvfn,
    "phydnet": lambda _: PhyDNet.from_preset("faithful", context_frames=4, channels=1),
}
"""By the name of the public one, the same network of this package for a horizon."""
