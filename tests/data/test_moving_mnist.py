"""Moving MNIST as a data module and as the clips of a protocol."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vidpred.data import ClipAugmentation, MovingMNISTDataModule
from vidpred.data.mnist_sequences import split_sequences
from vidpred.errors import DataError, SettingError
from vidpred.evaluation.clips import EvaluationClip
from vidpred.evaluation.protocol import Protocol, build_protocol, load_protocol
from vidpred.evaluation.sources.video_clips import VideoClips
from vidpred.ops import to_unit


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """A folder with 60 drawn digits in the place of MNIST's test file."""
    drawn = np.zeros((60, 28, 28), np.uint8)
    drawn[:, 6:22, 8:20] = 100 + np.arange(60)[:, None, None]
    header = np.array([0x803, *drawn.shape], ">u4").tobytes()
    folder = tmp_path / "mnist"
    folder.mkdir()
    (folder / "t10k-images-idx3-ubyte").write_bytes(header + drawn.tobytes())
    return folder


def module(digits: Path, **options: Any) -> MovingMNISTDataModule:
    return MovingMNISTDataModule(
        digits, **({"num_workers": 0, "batch_size": 2, "mixed_videos": 4, "num_val": 3} | options)
    )


def frames_of(loader: Any, count: int = 2) -> torch.Tensor:
    return torch.cat([batch["frames"] for batch, _ in zip(loader, range(count), strict=False)])


def test_clips_are_gray_and_whole_ten_in_and_ten_predicted(digits: Path) -> None:
    data = module(digits)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert batch["frames"].shape == (2, 20, 1, 64, 64)
    assert batch["frames"].dtype == torch.uint8
    assert len({*batch["video_id"]}) == 2
    val = frames_of(data.val_dataloader(), 3)
    assert val.shape == (3, 20, 1, 64, 64)
    # Only digits of their own split: levels of numbers that end in 8, and the background.
    assert set(np.unique(val.numpy()).tolist()) <= {0, *range(108, 160, 10)}
    assert "sha256" in data.summary()


def test_clips_are_loaded_as_long_as_the_augmentation_needs(digits: Path) -> None:
    data = module(digits, augmentation=ClipAugmentation(frame_steps=[2]))
    data.setup("fit")
    loaded = next(iter(data.train_dataloader()))["frames"]
    assert data.augmentation is not None
    assert loaded.shape[1] == 39
    assert torch.equal(data.augmentation(loaded, 20, 10), loaded[:, ::2])


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_no_number_of_workers_changes_a_sequence(digits: Path) -> None:
    found = []
    for workers in (0, 2):
        data = module(digits, num_workers=workers)
        data.setup("fit")
        found.append((frames_of(data.train_dataloader(), 4), frames_of(data.val_dataloader(), 3)))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_the_seed_changes_training_alone(digits: Path) -> None:
    found = []
    for seed in (0, 1):
        data = module(digits, seed=seed)
        data.setup("fit")
        found.append((frames_of(data.train_dataloader()), frames_of(data.val_dataloader())))
    assert not torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_a_resume_with_other_digits_or_motion_is_refused(digits: Path) -> None:
    before = {"stream": module(digits).describe_stream()}
    module(digits).require_same_stream(before)
    with pytest.raises(DataError, match="train_videos was"):
        module(digits, bounce="random").require_same_stream(before)
    with pytest.raises(DataError, match="val_videos was 3 of"):
        module(digits, num_val=2).require_same_stream(before)


def test_the_options_of_other_data_apply(digits: Path) -> None:
    data = module(digits, patch_size=(16, 24), color="rgb", resize=(32, 32), frame_step=2)
    data.setup("fit")
    patches = next(iter(data.train_dataloader()))["frames"]
    assert patches.shape == (2, 20, 3, 16, 24)
    assert torch.equal(patches[:, :, 0], patches[:, :, 2])
    assert next(iter(data.val_dataloader()))["frames"].shape == (1, 20, 3, 32, 32)
    with pytest.raises(SettingError, match="side is 20; expected at least 28"):
        module(digits, side=20)


def protocol(**videos: Any) -> Protocol:
    values = load_protocol("moving-mnist").values
    chosen = {"class_path": "vidpred.evaluation.MovingMNISTVideos", "init_args": videos}
    return build_protocol({**values, "videos": chosen}).protocol


def test_protocols_score_the_sequences_of_the_data_module(digits: Path) -> None:
    data = module(digits, num_test=2)
    data.setup("test")
    source = VideoClips(protocol(count=2), digits)
    assert source.names == ["test-00000+00000", "test-00001+00000"]
    for unit, batch in zip(source.units(), data.test_dataloader(), strict=True):
        (clip,) = unit.load().values()
        assert isinstance(clip, EvaluationClip)
        assert clip.context is not None
        assert clip.context.shape == clip.target.shape == (10, 1, 64, 64)
        assert torch.equal(torch.cat((clip.context, clip.target)), to_unit(batch["frames"][0]))


def test_other_digits_than_the_protocols_are_refused(digits: Path) -> None:
    own = split_sequences(digits, "test").digest()
    assert len(VideoClips(protocol(count=1, sha256=own), digits).names) == 1
    with pytest.raises(DataError, match=r"have sha256 .*the protocol's 7d837e7c"):
        VideoClips(load_protocol("moving-mnist").protocol, digits)


def test_the_packaged_protocol_is_that_of_the_real_digits(real_data: Path) -> None:
    source = VideoClips(load_protocol("moving-mnist").protocol, real_data / "other" / "mnist")
    assert len(source.names) == 1000


def test_the_canonical_file_is_read_as_published(digits: Path, tmp_path: Path) -> None:
    published = np.random.default_rng(0).integers(0, 256, (20, 3, 64, 64), np.uint8)
    path = tmp_path / "mnist_test_seq.npy"
    np.save(path, published)
    data = module(digits, test_file=path, num_test=2)
    data.setup("test")
    found = frames_of(data.test_dataloader())
    assert np.array_equal(found[:, :, 0].numpy(), published[:, :2].swapaxes(0, 1))
    source = VideoClips(load_protocol("moving-mnist-canonical").protocol, tmp_path)
    (clip,) = list(source.units())[2].load().values()
    assert isinstance(clip, EvaluationClip)
    assert np.array_equal((clip.target[:, 0] * 255).round().byte().numpy(), published[10:, 2])
    too_long = module(digits, test_file=path, eval_horizon=11)
    too_long.setup("test")
    with pytest.raises(DataError, match="frames 0 to 20 of a sequence were asked for"):
        next(iter(too_long.test_dataloader()))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (np.zeros((20, 3, 64), np.uint8), "holds no gray sequences"),
        (np.zeros((20, 3, 64, 64), np.float32), "holds no gray sequences"),
        (np.zeros((3, 20, 64, 64), np.uint8), "expected 20 frames first"),
    ],
)
def test_other_files_are_refused(
    digits: Path, tmp_path: Path, content: np.ndarray[Any, Any], problem: str
) -> None:
    path = tmp_path / "other.npy"
    np.save(path, content)
    with pytest.raises(DataError, match=problem):
        module(digits, test_file=path).prepare_data()
    with pytest.raises(DataError, match="cannot be read"):
        module(digits, test_file=tmp_path / "absent.npy").prepare_data()
