"""LPIPS with backbones of random weights, against its own words written here once more."""

import importlib.resources
import pickle
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

from vidpred.errors import CheckpointError
from vidpred.metrics import LPIPS, LPIPSNetwork, lpips
from vidpred.metrics.lpips import LPIPSBackbone

# Layers of torchvision's `features` after which LPIPS looks, and the heads' file of torchmetrics.
TAPS: dict[LPIPSBackbone, tuple[tuple[int, ...], str]] = {
    "alexnet": ((1, 4, 7, 9, 11), "alex"),
    "vgg16": ((3, 8, 15, 22, 29), "vgg"),
    "squeezenet1_1": ((1, 4, 7, 9, 10, 11, 12), "squeeze"),
}
MINIMUM: dict[LPIPSBackbone, int] = {"alexnet": 31, "vgg16": 16, "squeezenet1_1": 17}
BACKBONES = pytest.mark.parametrize("backbone", list(TAPS))


def features_of(backbone: LPIPSBackbone) -> nn.Sequential:
    torch.manual_seed(5)
    features: nn.Sequential = getattr(torchvision.models, backbone)(weights=None).features
    return features.eval()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[LPIPSBackbone, Path]:
    folder = tmp_path_factory.mktemp("weights")
    files: dict[LPIPSBackbone, Path] = {}
    for backbone in TAPS:
        state = {f"features.{name}": v for name, v in features_of(backbone).state_dict().items()}
        state["classifier.1.weight"] = torch.zeros(1)  # torchvision's file has it, LPIPS does not
        files[backbone] = folder / f"{backbone}.pth"
        torch.save(state, files[backbone])
    return files


def noisy(*shape: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    target = torch.rand(shape, generator=generator)
    return (target + 0.2 * torch.randn(shape, generator=generator)).clamp(0, 1), target


def reference(backbone: LPIPSBackbone, pred: Tensor, target: Tensor) -> float:
    """Zhang et al. 2018 on a (3, H, W) pair in [0, 1], in float64."""
    taps, name = TAPS[backbone]
    heads_file = importlib.resources.files("torchmetrics.functional.image") / "lpips_models"
    with importlib.resources.as_file(heads_file / f"{name}.pth") as path:
        heads = torch.load(path, map_location="cpu", weights_only=True)
    shift = torch.tensor([-0.030, -0.088, -0.188], dtype=torch.float64)[:, None, None]
    scale = torch.tensor([0.458, 0.448, 0.450], dtype=torch.float64)[:, None, None]
    x, y = (((2 * image.double() - 1) - shift) / scale for image in (pred, target))
    distance, head = 0.0, 0
    for i, layer in enumerate(features_of(backbone).double()[: taps[-1] + 1]):
        x, y = layer(x.clone()[None])[0], layer(y.clone()[None])[0]
        if i in taps:
            u = x / (x.square().sum(dim=0, keepdim=True) + 1e-8).sqrt()
            v = y / (y.square().sum(dim=0, keepdim=True) + 1e-8).sqrt()
            weight = heads[f"lin{head}.model.1.weight"].double().flatten()[:, None, None]
            distance += ((u - v).square() * weight).sum(dim=0).mean().item()
            head += 1
    assert head == len(taps)
    return distance


@pytest.mark.slow
@BACKBONES
def test_equals_its_own_words_for_each_clip_and_frame(
    backbone: LPIPSBackbone, weights: dict[LPIPSBackbone, Path]
) -> None:
    network = LPIPSNetwork(weights[backbone], backbone=backbone)
    pred, target = noisy(2, 2, 3, 40, 49)
    scores = lpips(pred, target, data_range=1.0, network=network)
    assert scores.shape == (2, 2)
    for b, t in ((0, 0), (0, 1), (1, 0), (1, 1)):
        expected = reference(backbone, pred[b, t], target[b, t])
        assert scores[b, t].item() == pytest.approx(expected, rel=1e-4)
    scaled = lpips(pred * 255, target * 255, data_range=255.0, network=network)
    torch.testing.assert_close(scaled, scores)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(lpips(pred, target, data_range=1.0, network=network), scores)


@BACKBONES
def test_identical_frames_have_0_down_to_the_smallest_size(
    backbone: LPIPSBackbone, weights: dict[LPIPSBackbone, Path]
) -> None:
    network = LPIPSNetwork(weights[backbone], backbone=backbone)
    size = MINIMUM[backbone]
    frames = torch.rand(1, 2, 3, size, size)
    assert lpips(frames, frames, data_range=1.0, network=network).tolist() == [[0, 0]]
    assert (lpips(1 - frames, frames, data_range=1.0, network=network) > 0).all()
    with pytest.raises(ValueError, match=f"H and W at least {size}"):
        lpips(frames[..., 1:], frames[..., 1:], data_range=1.0, network=network)


def test_an_average_over_clips_where_lower_is_better(weights: dict[LPIPSBackbone, Path]) -> None:
    metric = LPIPS(weights["alexnet"], data_range=1.0)
    assert not metric.higher_is_better
    pred, target = noisy(3, 2, 3, 32, 32)
    metric.update(pred[:1], target[:1])
    metric.update(pred[1:], target[1:])
    scores = lpips(pred, target, data_range=1.0, network=metric.network)
    torch.testing.assert_close(metric.per_frame(), scores.double().mean(dim=0))


def test_the_network_is_frozen_but_gradients_reach_the_prediction(
    weights: dict[LPIPSBackbone, Path],
) -> None:
    network = LPIPSNetwork(weights["alexnet"]).train()
    assert not any(parameter.requires_grad for parameter in network.parameters())
    pred, target = noisy(1, 1, 3, 32, 32)
    first = lpips(pred, target, data_range=1.0, network=network)
    assert torch.equal(lpips(pred, target, data_range=1.0, network=network), first)  # no dropout
    pred.requires_grad_()
    lpips(pred, target, data_range=1.0, network=network).sum().backward()
    assert pred.grad is not None
    assert pred.grad.abs().sum() > 0


def test_says_which_file_measured(weights: dict[LPIPSBackbone, Path]) -> None:
    protocol = LPIPS(weights["vgg16"], data_range=1.0, backbone="vgg16").protocol()
    assert protocol["backbone"] == "vgg16"
    assert protocol["weights"] == "vgg16.pth"
    assert len(protocol["weights_sha256"]) == 64


@pytest.mark.parametrize(
    ("backbone", "file"),
    [
        ("alexnet", "alexnet-owt-7be5be79.pth"),
        ("vgg16", "vgg16-397923af.pth"),
        ("squeezenet1_1", "squeezenet1_1-b8a52dc0.pth"),
    ],
)
def test_without_a_file_it_names_the_one_that_is_wanted(
    backbone: LPIPSBackbone, file: str, tmp_path: Path
) -> None:
    address = f"fetch it once from https://download.pytorch.org/models/{file}"
    with pytest.raises(CheckpointError, match=f"no weights file given; .*{file}.*{address}"):
        LPIPS(None, data_range=1.0, backbone=backbone)
    with pytest.raises(CheckpointError, match=f"absent.pth: no such file; .*{address}"):
        LPIPSNetwork(tmp_path / "absent.pth", backbone=backbone)
    with pytest.raises(CheckpointError, match="no such file"):
        LPIPSNetwork(tmp_path, backbone=backbone)


def test_downloads_nothing(
    weights: dict[LPIPSBackbone, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []

    def refuse(*args: object, **kwargs: object) -> None:
        calls.append(args)
        raise AssertionError("a download")

    for name in ("load_state_dict_from_url", "download_url_to_file", "urlopen"):
        monkeypatch.setattr(torch.hub, name, refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for backbone, file in weights.items():
        LPIPSNetwork(file, backbone=backbone)
    assert not calls
    assert not list(tmp_path.iterdir())


def test_refuses_files_that_are_something_else(
    weights: dict[LPIPSBackbone, Path], tmp_path: Path
) -> None:
    file = tmp_path / "some.pth"
    file.write_bytes(b"not torch at all")
    with pytest.raises(CheckpointError, match="refused, because it is no state dict"):
        LPIPSNetwork(file)
    file.write_bytes(pickle.dumps(Path("code"), protocol=2))
    with pytest.raises(CheckpointError, match="refused, because"):
        LPIPSNetwork(file)
    file.write_bytes(weights["alexnet"].read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="damaged or not a state dict"):
        LPIPSNetwork(file)
    changed = bytearray(weights["alexnet"].read_bytes())
    changed[len(changed) // 2] ^= 1
    file.write_bytes(changed)
    with pytest.raises(CheckpointError, match="damaged or not a state dict"):
        LPIPSNetwork(file)
    torch.save([1, 2], file)
    with pytest.raises(CheckpointError, match="holds no state dict"):
        LPIPSNetwork(file)
    torch.save({"features.0.weight": torch.zeros(1)}, file)
    with pytest.raises(CheckpointError, match=r"not torchvision's weights of alexnet \(features\."):
        LPIPSNetwork(file)
    state = torch.load(weights["alexnet"], weights_only=True)
    torch.save({name: 1.0 for name in state}, file)
    with pytest.raises(CheckpointError, match="not torchvision's weights of alexnet"):
        LPIPSNetwork(file)
    for other in ("vgg16", "squeezenet1_1"):
        with pytest.raises(CheckpointError, match="name the other backbone"):
            LPIPSNetwork(weights["alexnet"], backbone=other)
        with pytest.raises(CheckpointError, match="name the other backbone"):
            LPIPSNetwork(weights[other])


def test_refuses_what_it_cannot_score(weights: dict[LPIPSBackbone, Path]) -> None:
    network = LPIPSNetwork(weights["alexnet"])
    grey = torch.rand(1, 1, 1, 32, 32)
    with pytest.raises(ValueError, match=r"1 channels; expected 3 \(RGB\)"):
        lpips(grey, grey, data_range=1.0, network=network)
    frames = torch.rand(1, 1, 3, 32, 32)
    with pytest.raises(ValueError, match="LPIPS was given a mask"):
        lpips(frames, frames, data_range=1.0, network=network, mask=grey > 0.5)
    with pytest.raises(ValueError, match="target has values"):
        lpips(frames, frames * 255, data_range=1.0, network=network)
    with pytest.raises(ValueError, match="backbone is 'resnet'"):
        LPIPSNetwork(None, backbone="resnet")  # type: ignore[arg-type]
