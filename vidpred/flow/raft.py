"""RAFT, a network for optical flow, from a local file of weights."""

import pickle
import threading
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from jsonargparse.typing import PositiveInt
from torch import Tensor

from vidpred.errors import DAMAGED, CheckpointError
from vidpred.files import expand_home, file_sha256, require_whole_zip
from vidpred.flow.estimator import FlowEstimator, pad_to_size
from vidpred.ops.checks import require_positive
from vidpred.ops.range import unit_to_signed

RAFTSize = Literal["small", "large"]

SIZE_MULTIPLE = 8
MIN_SIDE = 128
"""Fewest rows and columns in pixels, after padding to multiples of 8: RAFT halves an eighth of the
frame three times and needs two values to be left."""

# torchvision's network keeps its correlations in itself while it runs.
_ONE_AT_A_TIME = threading.Lock()


class RAFTFlow(FlowEstimator):
    """Optical flow of torchvision's RAFT, on the frames' device.

    Source: Teed and Deng, "RAFT: recurrent all-pairs field transforms for optical flow", ECCV 2020.
    Nothing is downloaded: get the weights once, for example
    `torch.save(raft_large(weights="DEFAULT").state_dict(), "raft_large.pth")` with
    `torchvision.models.optical_flow.raft_large`. Frames are padded to multiples of 8 by repeating
    their last row and column.

    Args:
        weights: File of the network's state dict.
        size: Which of the two networks.
        num_flow_updates: Refinements; 12 in torchvision's own evaluation.

    Raises:
        CheckpointError: When the file is missing, damaged, or of another network.
        ValueError: For an unknown size or no refinement; when called, for frames below 128 pixels.
    """

    def __init__(
        self,
        weights: str | Path,
        *,
        size: RAFTSize = "large",
        num_flow_updates: PositiveInt = 12,
    ) -> None:
        if size not in get_args(RAFTSize):
            raise ValueError(f"size is {size!r}; expected one of {', '.join(get_args(RAFTSize))}")
        require_positive("num_flow_updates", num_flow_updates)
        self.size: RAFTSize = size
        self.num_flow_updates = int(num_flow_updates)
        path = expand_home(weights)
        state = _read_weights(path)
        # Here, because it takes a second, which users of DIS need not wait for.
        from torchvision.models.optical_flow import raft_large, raft_small

        # Its first weights are random and thrown away; no other draws may depend on that.
        with torch.random.fork_rng(devices=[]):
            network = raft_large() if size == "large" else raft_small()
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise CheckpointError(
                f"{path}: these are not the weights of torchvision's raft_{size} "
                f"({len(state)} entries where it has {len(network.state_dict())}); give the file "
                "or the size that belongs to it"
            ) from error
        self._network = network.eval().requires_grad_(False)
        self._digest = file_sha256(path)

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        """Estimate the flow; see `FlowEstimator.__call__`."""
        height, width = first.shape[-2:]
        padded = [-(-side // SIZE_MULTIPLE) * SIZE_MULTIPLE for side in (height, width)]
        if min(padded) < MIN_SIDE:
            raise ValueError(
                f"frames of {height} x {width} pixels; RAFT needs at least {MIN_SIDE} rows and "
                "columns: take larger frames, or DISFlow"
            )
        pair = [unit_to_signed(pad_to_size(frames, *padded)) for frames in (first, second)]
        images = [frames.expand(-1, 3, -1, -1) for frames in pair]
        # Half precision, where a trainer asks for it, would lose the fractions of large flows.
        with _ONE_AT_A_TIME, torch.autocast(first.device.type, enabled=False):
            flows = self._network.to(first.device)(*images, num_flow_updates=self.num_flow_updates)
        flow: Tensor = flows[-1]
        return flow[..., :height, :width].contiguous()

    def describe(self) -> dict[str, Any]:
        """Say in plain values what decides the flow; the weights by their digest."""
        import torchvision

        return {
            "name": type(self).__name__,
            "size": self.size,
            "num_flow_updates": self.num_flow_updates,
            "weights_sha256": self._digest,
            "torchvision": str(torchvision.__version__),
        }


def _read_weights(path: Path) -> dict[str, Tensor]:
    state: Any
    try:
        require_whole_zip(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (FileNotFoundError, IsADirectoryError):
        raise CheckpointError(
            f"{path}: no such file; expected the state dict of torchvision's RAFT. "
            "Nothing is downloaded: see vidpred.flow.RAFTFlow for how to get it"
        ) from None
    except (pickle.UnpicklingError, *DAMAGED) as error:
        # Not torch's own text, which advises to load it without weights_only.
        raise CheckpointError(
            f"{path}: damaged, or no file of weights alone; expected the state dict of "
            "torchvision's RAFT"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(
            f"{path}: holds no state dict of tensors; expected that of torchvision's RAFT"
        )
    return dict(state)
