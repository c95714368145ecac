import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torchvision.models.optical_flow import RAFT, raft_large, raft_small

from vidpred.errors import CheckpointError
from vidpred.flow import RAFTFlow
from vidpred.flow.raft import RAFTSize


@pytest.fixture(scope="module")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights as they are drawn: nothing here depends on what the network has learned."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("raft") / "small.pth"
    torch.save(raft_small().state_dict(), path)
    return path


@pytest.mark.parametrize(("size", "build"), [("small", raft_small), ("large", raft_large)])
def test_it_is_torchvisions_network_on_padded_frames(
    size: RAFTSize, build: Callable[[], RAFT], tmp_path: Path
) -> None:
    network = build().eval()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    first, second = torch.rand(2, 2, 3, 130, 133)
    flow = RAFTFlow(tmp_path / "weights.pth", size=size, num_flow_updates=2)(first, second)
    pair = [F.pad(x * 2 - 1, (0, 3, 0, 6), mode="replicate") for x in (first, second)]
    with torch.no_grad():
        expected = network(*pair, num_flow_updates=2)[-1][..., :130, :133]
    assert flow.abs().max() > 0.01
    torch.testing.assert_close(flow, expected)


def test_grey_is_three_equal_channels(small_weights: Path) -> None:
    estimator = RAFTFlow(small_weights, size="small", num_flow_updates=1)
    first, second = torch.rand(2, 1, 1, 128, 128)
    expected = estimator(first.expand(-1, 3, -1, -1), second.expand(-1, 3, -1, -1))
    torch.testing.assert_close(estimator(first, second), expected)


def test_frames_below_128_pixels_are_refused(small_weights: Path) -> None:
    estimator = RAFTFlow(small_weights, size="small", num_flow_updates=1)
    frames = torch.rand(1, 3, 121, 128)
    assert estimator(frames, frames).shape == (1, 2, 121, 128)
    with pytest.raises(ValueError, match="120 x 200 pixels; RAFT needs at least 128"):
        estimator(torch.rand(1, 3, 120, 200), torch.rand(1, 3, 120, 200))


def test_files_that_are_no_weights_are_refused(small_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no such file.*Nothing is downloaded"):
        RAFTFlow(tmp_path / "none.pth")
    with pytest.raises(CheckpointError, match="no such file"):
        RAFTFlow(tmp_path)
    path = tmp_path / "file.pth"
    changed = bytearray(small_weights.read_bytes())
    changed[len(changed) // 2] ^= 1
    for content in (
        bytes(changed),
        b"",
        b"no weights",
        small_weights.read_bytes()[:1000],
        pickle.dumps(Path(), protocol=2),
    ):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"file\.pth: damaged, or no file of weights"):
            RAFTFlow(path)
    torch.save(torch.rand(3), path)
    with pytest.raises(CheckpointError, match="no state dict"):
        RAFTFlow(path)


def test_weights_of_the_other_size_are_refused(small_weights: Path) -> None:
    entries = len(raft_large().state_dict())
    with pytest.raises(CheckpointError, match=f"raft_large .* {entries}"):
        RAFTFlow(small_weights, size="large")
    with pytest.raises(ValueError, match="size is 'tiny'; expected one of small, large"):
        RAFTFlow(small_weights, size="tiny")  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(ValueError, match="num_flow_updates is 0"):
        RAFTFlow(small_weights, size="small", num_flow_updates=0)


def test_it_is_described_by_its_weights_not_their_place(small_weights: Path) -> None:
    described = RAFTFlow(small_weights, size="small").describe()
    assert described["weights_sha256"] == hashlib.sha256(small_weights.read_bytes()).hexdigest()
    assert str(small_weights) not in str(described)
    assert (described["name"], described["size"], described["num_flow_updates"]) == (
        "RAFTFlow",
        "small",
        12,
    )


def test_building_it_draws_no_random_numbers(small_weights: Path) -> None:
    before = torch.get_rng_state()
    RAFTFlow(small_weights, size="small")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_it_follows_the_frames_to_their_device(small_weights: Path) -> None:
    estimator = RAFTFlow(small_weights, size="small", num_flow_updates=2)
    first, second = torch.rand(2, 1, 3, 128, 128)
    on_cpu = estimator(first, second)
    on_gpu = estimator(first.cuda(), second.cuda())
    assert on_gpu.is_cuda
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, atol=1e-2, rtol=1e-2)
