"""The Frechet video distance with small TorchScript networks, made here."""

import hashlib
import multiprocessing
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from scipy.linalg import sqrtm
from torch import Tensor, nn

from vidpred import metrics
from vidpred.errors import CheckpointError

FVD = partial(metrics.FVD, network_input="unit")


class Means(nn.Module):
    """Mean of each channel in the first frame and in the whole clip: features (B, 2C)."""

    def forward(self, clips: Tensor) -> Tensor:
        return torch.cat([clips[:, :, 0].mean(dim=(2, 3)), clips.mean(dim=(2, 3, 4))], dim=1)


class Pixels(nn.Module):
    """Every pixel of the first frame: features (B, CHW)."""

    def forward(self, clips: Tensor) -> Tensor:
        return clips[:, :, 0].flatten(1)


class LikeI3D(nn.Module):
    """Takes the keywords of the I3D export and gives the mean of each channel."""

    def forward(self, x: Tensor, rescale: bool, resize: bool, return_features: bool) -> Tensor:
        assert rescale and resize and return_features  # noqa: PT018 (TorchScript)
        return x.mean(dim=(2, 3, 4))


class Wrong(nn.Module):
    """Gives features per frame."""

    def forward(self, clips: Tensor) -> Tensor:
        return clips.mean(dim=(3, 4))


class Infinite(nn.Module):
    """Gives no finite features."""

    def forward(self, clips: Tensor) -> Tensor:
        return clips.mean(dim=(2, 3, 4)) / 0


def saved(network: nn.Module, folder: Path) -> Path:
    file = folder / f"{type(network).__name__}.pt"
    with warnings.catch_warnings():
        # torch 2.15 deprecates it, and the published networks have no other form.
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")
        torch.jit.script(network).save(str(file))  # type: ignore[no-untyped-call]
    return file


@pytest.fixture(scope="module")
def means(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(Means(), tmp_path_factory.mktemp("networks"))


def clips(count: int = 20, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Predictions, targets (B, 4, 3, 6, 8) and context (B, 2, 3, 6, 8), each clip of its own."""
    generator = torch.Generator().manual_seed(seed)
    levels = torch.rand(3, count, 1, 3, 1, 1, generator=generator)
    noise = torch.rand(3, count, 4, 3, 6, 8, generator=generator)
    pred, target, context = 0.5 * levels + 0.5 * noise
    return pred, target, context[:, :2]


def reference(pred: Tensor, target: Tensor) -> float:
    """The distance with all features at once, by NumPy and SciPy."""
    network = Means()
    a, b = (network(frames.double().transpose(1, 2)).numpy() for frames in (pred, target))
    covariances = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.real(sqrtm(covariances[0] @ covariances[1]))
    shift = ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum()
    return float(shift + np.trace(covariances[0] + covariances[1] - 2 * root))


@pytest.mark.parametrize("include_context", [False, True])
def test_batches_give_the_distance_of_all_clips(means: Path, include_context: bool) -> None:
    pred, target, context = clips()
    metric = FVD(means, data_range=1.0, include_context=include_context)
    for part in (slice(0, 3), slice(3, 20)):
        metric.update(pred[part], target[part], context[part])
    if include_context:
        pred, target = (torch.cat((context, frames), dim=1) for frames in (pred, target))
    assert metric.compute().item() == pytest.approx(reference(pred, target), rel=1e-5)
    assert metric.compute().dtype == torch.float64
    assert metric.protocol() == {
        "clips": 20,
        "clip_frames": 6 if include_context else 4,
        "include_context": include_context,
        "context_frames": 2 if include_context else 0,
        "network": "Means.pt",
        "network_sha256": hashlib.sha256(means.read_bytes()).hexdigest(),
        "network_input": "unit",
    }


def test_a_constant_offset_has_a_closed_form(means: Path) -> None:
    # Six features, each shifted by 0.1; the covariances are equal.
    _, target, _ = clips()
    target = target * 0.9
    metric = FVD(means, data_range=1.0, include_context=False)
    metric.update(target + 0.1, target)
    assert metric.compute().item() == pytest.approx(6 * 0.1**2, abs=1e-6)


def test_true_clips_against_themselves_have_0(means: Path) -> None:
    _, target, _ = clips()
    metric = FVD(means, data_range=1.0, include_context=False)
    metric.update(target, target)
    assert metric.compute().item() == pytest.approx(0, abs=1e-12)
    assert not metric.higher_is_better


def test_clips_that_all_look_alike_are_no_special_case(tmp_path: Path) -> None:
    # Only rounding is left of the covariances, and it need not be symmetric.
    still = (0.9 * torch.rand(1, 1, 3, 7, 7)).expand(200, 4, -1, -1, -1)
    metric = FVD(saved(Pixels(), tmp_path), data_range=1.0, include_context=False)
    metric.update(still + 0.1, still)
    assert metric.compute().item() == pytest.approx(3 * 7 * 7 * 0.1**2, abs=1e-5)


def test_small_differences_of_bright_clips_are_not_lost_in_rounding(means: Path) -> None:
    # Spread 1e-4 around 0.9: sums of squares in float32 know no such variance.
    pred, target, _ = (0.9 + 1e-3 * frames for frames in clips(200))
    metric = FVD(means, data_range=1.0, include_context=False)
    metric.update(pred, target)
    assert metric.compute().item() == pytest.approx(reference(pred, target), rel=0.02)


def test_calls_the_i3d_export_by_its_keywords_with_values_up_to_255(tmp_path: Path) -> None:
    _, target, _ = clips()
    target = target * 0.9
    # As the command line does by default.
    metric = metrics.FVD(saved(LikeI3D(), tmp_path), data_range=1.0, include_context=False)
    metric.update(target + 0.1, target)
    assert metric.compute().item() == pytest.approx(3 * 25.5**2, rel=1e-5)
    assert metric.protocol()["network_input"] == "i3d"
    assert metrics.FVDNetwork(saved(LikeI3D(), tmp_path)).network_input == "i3d"


def test_the_unit_of_the_frames_does_not_matter(means: Path) -> None:
    pred, target, _ = clips()
    one, many = (FVD(means, data_range=scale, include_context=False) for scale in (1.0, 255.0))
    one.update(pred, target)
    many.update(pred * 255, target * 255)
    assert many.compute().item() == pytest.approx(one.compute().item(), rel=1e-4)


def test_memory_does_not_grow_and_reset_forgets(means: Path) -> None:
    metric = FVD(means, data_range=1.0, include_context=False)
    for seed in range(3):
        metric.update(*clips(seed=seed))
        sizes = {name: tuple(state.shape) for name, state in metric.metric_state.items()}
        assert sizes == {"count": (), "frames": (2,), "sums": (2, 6), "products": (2, 6, 6)}
    metric.reset()
    metric.update(*clips(seed=5))
    pred, target, _ = clips(seed=5)
    assert metric.compute().item() == pytest.approx(reference(pred, target), rel=1e-5)
    assert metric.protocol()["clips"] == 20


def test_refuses_fewer_than_two_clips(means: Path) -> None:
    metric = FVD(means, data_range=1.0, include_context=False)
    metric.update(*clips(1))
    with pytest.raises(ValueError, match=r"1 clip\(s\); expected at least 2"):
        metric.compute()


def test_refuses_clips_that_do_not_compare(means: Path) -> None:
    pred, target, context = clips()
    metric = FVD(means, data_range=1.0, include_context=True)
    with pytest.raises(ValueError, match="context is None; expected the known frames"):
        metric.update(pred, target)
    for wrong in (context[:-1], context[:, :0], context[..., 1:], context[:, :, :1]):
        with pytest.raises(ValueError, match="context has shape"):
            metric.update(pred, target, wrong)
    with pytest.raises(ValueError, match="context has values"):
        metric.update(pred, target, context * 255)
    metric.update(pred, target, context)
    with pytest.raises(ValueError, match="5 frames, 1 of them context; expected 6 and 2"):
        metric.update(pred, target, context[:, :1])
    with pytest.raises(ValueError, match="6 frames, 3 of them context; expected 6 and 2"):
        metric.update(pred[:, :3], target[:, :3], torch.cat((context, context[:, :1]), dim=1))
    with pytest.raises(ValueError, match="gives 6 features; expected 5"):
        FVD(means, data_range=1.0, include_context=False, features=5).update(pred, target)
    assert metric.protocol()["clips"] == 20


def test_refuses_networks_that_do_not_fit(means: Path, tmp_path: Path) -> None:
    pred, target, _ = clips(3)

    def update(network: nn.Module | Path, **arguments: object) -> None:
        file = network if isinstance(network, Path) else saved(network, tmp_path)
        FVD(file, data_range=1.0, include_context=False, **arguments).update(pred, target)  # type: ignore[arg-type]

    with pytest.raises(ValueError, match=r"gave shape \(3, 3, 4\); expected features \(B, F\)"):
        update(Wrong())
    with pytest.raises(ValueError, match="NaN or infinite features"):
        update(Infinite())
    with pytest.raises(ValueError, match=r"cannot take clips .*\(3, 3, 4, 6, 8\).*'i3d'.*argument"):
        update(means, network_input="i3d")
    with pytest.raises(ValueError, match=r"cannot take clips .*'unit'.*rescale"):
        update(LikeI3D())
    with pytest.raises(ValueError, match="network_input is 'clip'; expected one of unit, i3d"):
        update(means, network_input="clip")
    with pytest.raises(ValueError, match="features is 0"):
        update(means, features=0)
    with pytest.raises(ValueError, match="data_range is 0"):
        FVD(means, data_range=0, include_context=False)


def test_refuses_files_that_are_no_torchscript(tmp_path: Path) -> None:
    file = tmp_path / "network.pt"
    with pytest.raises(CheckpointError, match=r"network\.pt: no such file; expected a TorchScript"):
        FVD(file, data_range=1.0, include_context=False)
    file.write_bytes(b"not torch at all")
    with pytest.raises(CheckpointError, match="damaged or no TorchScript"):
        FVD(file, data_range=1.0, include_context=False)
    torch.save({"weight": torch.zeros(1)}, file)
    with pytest.raises(CheckpointError, match="damaged or no TorchScript"):
        FVD(file, data_range=1.0, include_context=False)


def _measure_in_one_process(rank: int, network: str, store: str, results: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    pred, target, context = clips()
    mine = slice(0, 3) if rank == 0 else slice(3, 20)  # unequal shares
    metric = FVD(network, data_range=1.0, include_context=True, features=6)
    metric.update(pred[mine], target[mine], context[mine])
    torch.save((metric.compute(), dict(metric.protocol()), metric.count), f"{results}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_agree_with_one(means: Path, tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    arguments = (str(means), str(tmp_path / "store"), str(tmp_path))
    workers = [
        spawn.Process(target=_measure_in_one_process, args=(rank, *arguments)) for rank in (0, 1)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=120)
        assert worker.exitcode == 0
    pred, target, context = clips()
    expected = reference(*(torch.cat((context, frames), dim=1) for frames in (pred, target)))
    for rank, own in ((0, 3), (1, 17)):
        distance, protocol, count = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert distance.item() == pytest.approx(expected, rel=1e-5)
        assert (protocol["clips"], protocol["clip_frames"], protocol["context_frames"]) == (
            20,
            6,
            2,
        )
        assert count.item() == own  # asking leaves each process its own clips
