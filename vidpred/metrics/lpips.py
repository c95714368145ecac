"""Learned perceptual similarity."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast, get_args

import torch
import torchvision
from torch import Tensor, nn

# Private, but the only LPIPS of torchmetrics that takes its backbone without downloading it.
from torchmetrics.functional.image.lpips import _NoTrainLpips

from vidpred.errors import DAMAGED, CheckpointError
from vidpred.files import file_sha256, require_whole_zip
from vidpred.metrics.frame_average import FrameAverage
from vidpred.metrics.inputs import checked_frames, refuse_mask

LPIPSBackbone = Literal["alexnet", "vgg16", "squeezenet1_1"]

_NET: dict[str, Literal["alex", "vgg", "squeeze"]] = {
    "alexnet": "alex",
    "vgg16": "vgg",
    "squeezenet1_1": "squeeze",
}
_WEIGHTS: dict[str, Any] = {
    "alexnet": torchvision.models.AlexNet_Weights.IMAGENET1K_V1,
    "vgg16": torchvision.models.VGG16_Weights.IMAGENET1K_V1,
    "squeezenet1_1": torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1,
}
# Below these the last pooling has nothing left.
_MINIMUM_SIZE = {"alexnet": 31, "vgg16": 16, "squeezenet1_1": 17}


class LPIPSNetwork(nn.Module):
    """The frozen network of LPIPS: ImageNet features from a local file, heads from torchmetrics.

    Nothing is downloaded. The file is torchvision's own, which for AlexNet is
    `alexnet-owt-7be5be79.pth`; without one the error says where it is to be had.

    Args:
        weights: State dict of torchvision's network, its classifier included or not. None raises
            the error that names the file.
        backbone: Which network; LPIPS of two backbones do not compare.

    Raises:
        CheckpointError: When there is no file, or it is not a state dict of that network.
        ValueError: For an unknown backbone.
    """

    def __init__(self, weights: str | Path | None, *, backbone: LPIPSBackbone = "alexnet") -> None:
        if backbone not in get_args(LPIPSBackbone):
            known = ", ".join(get_args(LPIPSBackbone))
            raise ValueError(f"backbone is {backbone!r}; expected one of {known}")
        super().__init__()
        self.backbone = backbone
        self.weights = _existing_file(weights, backbone)
        self.net = _NoTrainLpips(net=_NET[backbone], pnet_rand=True)
        _load_features(self.net.net, _read_features(self.weights, backbone), self.weights, backbone)
        self.requires_grad_(False)

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Compare images.

        Args:
            pred: Shape (N, 3, H, W) in [0, 1].
            target: Same shape and range.

        Returns:
            Distance per image, shape (N,).
        """
        distance: Tensor = self.net(pred, target, normalize=True)
        return distance.flatten()

    def protocol(self) -> dict[str, str]:
        """Say what measured: the backbone, the name of its file and the file's SHA-256."""
        return {
            "backbone": self.backbone,
            "weights": self.weights.name,
            "weights_sha256": file_sha256(self.weights),
        }


def lpips(
    pred: Tensor,
    target: Tensor,
    *,
    data_range: float,
    network: LPIPSNetwork,
    mask: Tensor | None = None,
) -> Tensor:
    """Compare frames in the features of an image classifier; 0 is best, lower is better.

    Source: Zhang et al. 2018, version 0.1, as torchmetrics has it. Computed in float32 on the
    network's device.

    Args:
        pred: Predicted frames, shape (B, T, 3, H, W), values in [0, data_range]; H and W at least
            31 for AlexNet, 16 for VGG16, 17 for SqueezeNet.
        target: Ground truth, same shape and range.
        data_range: Full scale of the frames.
        network: The features; see `LPIPSNetwork`.
        mask: None; there is no masked form.

    Returns:
        Distance per clip and frame, shape (B, T), on the frames' device.

    Raises:
        ValueError: For frames that are too small or not RGB, for a mask, and for input that cannot
            be scored; see `vidpred.metrics.inputs.checked_frames`.
    """
    refuse_mask("LPIPS", mask)
    minimum = _MINIMUM_SIZE[network.backbone]
    pred, target = checked_frames(pred, target, data_range=data_range, mask=None, minimum=minimum)
    if pred.shape[2] != 3:
        raise ValueError(
            f"frames have {pred.shape[2]} channels; expected 3 (RGB): repeat a single one, "
            "frames.expand(-1, -1, 3, -1, -1), and say so with the score"
        )
    device = next(network.parameters()).device
    images = ((frames.flatten(0, 1) / data_range).to(device).float() for frames in (pred, target))
    with torch.autocast(device.type, enabled=False):
        distance: Tensor = network(*images)
    return distance.to(pred.device).reshape(pred.shape[:2])


def _existing_file(weights: str | Path | None, backbone: LPIPSBackbone) -> Path:
    url: str = _WEIGHTS[backbone].url
    wanted = (
        f"LPIPS needs torchvision's ImageNet weights of {backbone} as a local file, "
        f"{url.rpartition('/')[2]}: fetch it once from {url} and give its path "
        "(`weights`, on the command line --lpips FILE); "
        "nothing is downloaded by itself"
    )
    if weights is None:
        raise CheckpointError(f"no weights file given; {wanted}")
    path = Path(weights)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; {wanted}")
    return path


def _read_features(path: Path, backbone: LPIPSBackbone) -> dict[str, Tensor]:
    expected = f"expected torchvision's state dict of {backbone}, {_WEIGHTS[backbone].url}"
    try:
        require_whole_zip(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # Not torch's own text, which advises to load it anyway.
        raise CheckpointError(
            f"{path}: refused, because it is no state dict or holds objects that would run code "
            f"when loaded; {expected}"
        ) from error
    except DAMAGED as error:
        raise CheckpointError(f"{path}: damaged or not a state dict; {expected}") from error
    if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
        raise CheckpointError(f"{path}: holds no state dict; {expected}")
    prefix = "features."
    return {
        key.removeprefix(prefix): value
        for key, value in cast("Mapping[str, Tensor]", state).items()
        if key.startswith(prefix)
    }


def _load_features(
    net: nn.Module, features: Mapping[str, Tensor], path: Path, backbone: LPIPSBackbone
) -> None:
    # torchmetrics cuts the layers into slices and keeps their numbers: "slice2.3.weight" is
    # "3.weight" of torchvision, as "slices.1.3.squeeze.weight" is "3.squeeze.weight".
    levels = 2 if backbone == "squeezenet1_1" else 1
    names = {name: name.split(".", levels)[-1] for name in net.state_dict()}
    missing = set(names.values()) - features.keys()
    try:
        if missing:
            raise RuntimeError(f"features.{min(missing)} is missing")
        net.load_state_dict({name: features[layer] for name, layer in names.items()})
    except (RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{path}: these are not torchvision's weights of {backbone} ({reason}); "
            "give the file of this backbone, or name the other backbone"
        ) from error


class LPIPS(FrameAverage):
    """Mean over clips of `lpips`, per frame; lower is better.

    Args:
        weights: Local file of torchvision's weights; see `LPIPSNetwork`.
        data_range: Full scale of the frames.
        backbone: Which network.
        horizon: See `FrameAverage`.

    Attributes:
        network: The frozen network.
    """

    higher_is_better = False
    variants = ("standard",)

    def __init__(
        self,
        weights: str | Path | None,
        *,
        data_range: float,
        backbone: LPIPSBackbone = "alexnet",
        horizon: int | None = None,
    ) -> None:
        super().__init__(data_range=data_range, horizon=horizon)
        self.network = LPIPSNetwork(weights, backbone=backbone)

    def scores(self, pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Give `lpips` per clip and frame, shape (B, T); see `FrameAverage.scores`."""
        return lpips(pred, target, data_range=self.data_range, network=self.network, mask=mask)

    def protocol(self) -> dict[str, str]:
        """Say what measured; see `LPIPSNetwork.protocol`."""
        return self.network.protocol()
