"""The network whose features a Frechet video distance compares."""

import warnings
from pathlib import Path
from typing import Literal, TypedDict, get_args

import torch
from torch import Tensor, nn

from vidpred.errors import CheckpointError
from vidpred.files import file_sha256

NetworkInput = Literal["unit", "i3d"]


class FVDNetworkProtocol(TypedDict):
    """Which network looked at the clips, and how it was called.

    Attributes:
        network: Name of its file.
        network_sha256: SHA-256 of that file.
        network_input: See `FVDNetwork`.
    """

    network: str
    network_sha256: str
    network_input: NetworkInput


class FVDNetwork(nn.Module):
    """A video network from a local TorchScript file; nothing is downloaded.

    `torch.jit.load` runs the file's operators, no Python code; still, take it from somebody whom
    you trust. The network gets float32 clips (B, C, T, H, W), in evaluation mode, and returns
    features (B, F). `network_input` says in which form:

    - "unit": `network(clips)`, values in [0, 1]; resizing is the network's affair.
    - "i3d": `network(clips, rescale=True, resize=True, return_features=True)`, values in [0, 255],
      not rounded. This is the call of StyleGAN-V's I3D export `i3d_torchscript.pt`, which is in
      wide use: it scales to [-1, 1], resizes to 224 x 224 and gives 400 logits of Kinetics. It
      wants three channels, and clips that are long enough for its pooling in time.

    Args:
        file: The TorchScript file.
        network_input: How to call the network.

    Raises:
        CheckpointError: When the file is missing or no TorchScript.
        ValueError: For an unknown `network_input`.
    """

    def __init__(self, file: str | Path, *, network_input: NetworkInput = "i3d") -> None:
        if network_input not in get_args(NetworkInput):
            known = ", ".join(get_args(NetworkInput))
            raise ValueError(f"network_input is {network_input!r}; expected one of {known}")
        super().__init__()
        self.file = Path(file)
        self.network_input: NetworkInput = network_input
        self.script = _load(self.file)
        self.sha256 = file_sha256(self.file)

    def forward(self, frames: Tensor) -> Tensor:
        """Describe clips.

        Args:
            frames: Shape (B, T, C, H, W) in [0, 1].

        Returns:
            Features, shape (B, F), without gradient.

        Raises:
            ValueError: When the network cannot take such clips, or gives no finite features (B, F).
        """
        full_scale = 255.0 if self.network_input == "i3d" else 1.0
        clips = (frames * full_scale).float().transpose(1, 2).contiguous()
        try:
            with torch.no_grad(), torch.autocast(clips.device.type, enabled=False):
                features = self._call(clips)
        except RuntimeError as error:
            # The last line is the cause; before it comes TorchScript's own stack.
            reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
            raise ValueError(
                f"{self.file.name} cannot take clips (B, C, T, H, W) = {tuple(clips.shape)} "
                f"as network_input {self.network_input!r}: {reason}"
            ) from error
        if not isinstance(features, Tensor) or features.ndim != 2 or len(features) != len(clips):
            came = f"shape {tuple(features.shape)}" if isinstance(features, Tensor) else "no tensor"
            raise ValueError(
                f"{self.file.name} gave {came}; expected features (B, F) with B = {len(clips)}"
            )
        if not features.isfinite().all():
            raise ValueError(
                f"{self.file.name} gave NaN or infinite features; expected finite ones"
            )
        return features

    def protocol(self) -> FVDNetworkProtocol:
        """Say which network this is."""
        return {
            "network": self.file.name,
            "network_sha256": self.sha256,
            "network_input": self.network_input,
        }

    def _call(self, clips: Tensor) -> object:
        if self.network_input == "i3d":
            return self.script(clips, rescale=True, resize=True, return_features=True)
        return self.script(clips)


def _load(file: Path) -> nn.Module:
    expected = "expected a TorchScript file of a video network, such as i3d_torchscript.pt"
    if not file.is_file():
        raise CheckpointError(f"{file}: no such file; {expected}; nothing is downloaded by itself")
    try:
        with warnings.catch_warnings():
            # torch 2.15 deprecates TorchScript; the published networks have no other form.
            warnings.filterwarnings("ignore", "`torch.jit.load` is deprecated")
            script: nn.Module = torch.jit.load(file, map_location="cpu")  # type: ignore[no-untyped-call]  # torch has no annotation there
    except RuntimeError as error:
        raise CheckpointError(f"{file}: damaged or no TorchScript; {expected}") from error
    return script.eval()
