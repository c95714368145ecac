"""Length, shape, size and color of clips, what follows the task, and conditions."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from vidpred.batch import ClipBatch
from vidpred.data import ClipDataModule, Listing, Split, Video, VideoFolderDataModule
from vidpred.data.catalog import SPLITS
from vidpred.errors import DataError
from vidpred.evaluation.protocol import FrameFormat
from vidpred.evaluation.sources.video_clips import bring_to_format
from vidpred.ops import to_unit, unit_to_uint8
from vidpred.video import read_clip
from vidpred.video.conditions import conditions_path, write_conditions

MakeVideo = Callable[..., Path]


class Given(ClipDataModule):
    """Videos that are handed over."""

    def __init__(self, videos: dict[Split, list[Video]], **options: Any) -> None:
        super().__init__(**({"patch_size": 16, "num_workers": 0, "batch_size": 4} | options))
        self.videos = videos

    def list_split(self, split: Split) -> Listing:
        return Listing(tuple(self.videos[split]))


@pytest.fixture
def videos(tmp_path: Path, make_video: MakeVideo) -> dict[Split, list[Video]]:
    """Two videos a split, 12 frames of 40 x 48."""
    return {
        split: [
            Video(make_video(tmp_path / f"{split}{number}.avi", frames=12), f"{split}{number}")
            for number in range(2)
        ]
        for split in SPLITS
    }


def first_batch(data: ClipDataModule) -> ClipBatch:
    data.setup("fit")
    return next(iter(data.train_dataloader()))


def path_of(videos: dict[Split, list[Video]], batch: ClipBatch, index: int) -> Path:
    name = batch["video_id"][index]
    return next(v.path for each in videos.values() for v in each if v.video_id == name)


def task(
    horizon: int = 3, context: int = 2, channels: int | None = None, names: tuple[str, ...] = ()
) -> Any:
    predictor = SimpleNamespace(context_frames=context, channels=channels, conditions=names)
    return SimpleNamespace(predictor=predictor, training_horizon=horizon)


def test_the_length_follows_the_task(videos: dict[Split, list[Video]]) -> None:
    data = Given(videos)
    assert (data.lengths.context_frames, data.lengths.horizon) == (4, 1)  # as in 0.1
    data.follow(task(horizon=3, context=2))
    assert first_batch(data)["frames"].shape[1] == 5
    assert next(iter(data.val_dataloader()))["frames"].shape[1] == 2 + 2  # eval_horizon
    assert data.describe_stream()["horizon"] == 3
    data.follow(object())  # a module that says nothing
    assert (data.lengths.context_frames, data.lengths.horizon) == (4, 1)
    same = Given(videos, context_frames=2, horizon=3)
    same.follow(task(horizon=3, context=2))
    assert same.lengths.training == 5


def test_what_contradicts_the_task_is_refused_in_a_sentence() -> None:
    with pytest.raises(DataError, match=r"data.context_frames is 4, and SimpleNamespace sees 2;"):
        VideoFolderDataModule("x", context_frames=4).follow(task(context=2))
    with pytest.raises(DataError, match=r"data.horizon is 1, and SimpleNamespace trains on 3;"):
        VideoFolderDataModule("x", horizon=1).follow(task(horizon=3))
    with pytest.raises(DataError, match=r"takes 1; expected the same: set data.color to gray"):
        VideoFolderDataModule("x").follow(task(channels=1))
    with pytest.raises(DataError, match=r"takes 3; expected the same: set data.color to rgb"):
        VideoFolderDataModule("x", color="gray").follow(task(channels=3))
    VideoFolderDataModule("x", color="gray").follow(task(channels=1))


class Follower(pl.LightningModule):
    """A task of somebody's own that trains on five frames after two."""

    def __init__(self) -> None:
        super().__init__()
        self.predictor = torch.nn.Linear(1, 1)
        self.predictor.context_frames = 2  # type: ignore[assignment]  # a plain number
        self.training_horizon = 5
        self.shapes: list[tuple[int, ...]] = []

    def training_step(self, batch: ClipBatch, batch_idx: int) -> torch.Tensor:
        self.shapes.append(tuple(batch["frames"].shape))
        loss: torch.Tensor = self.predictor(torch.ones(1)).sum()
        return loss

    def validation_step(self, batch: ClipBatch, batch_idx: int) -> None:
        raise AssertionError("no validation was asked for")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_the_trainer_tells_the_data_what_to_follow(videos: dict[Split, list[Video]]) -> None:
    model = Follower()
    trainer = pl.Trainer(
        max_epochs=1,
        limit_train_batches=1,
        limit_val_batches=0,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, datamodule=Given(videos))
    assert model.shapes == [(4, 7, 3, 16, 16)]


def test_rectangles_are_crops_of_the_frames(videos: dict[Split, list[Video]]) -> None:
    batch = first_batch(Given(videos, patch_size=(12, 20)))
    assert batch["frames"].shape == (4, 5, 3, 12, 20)
    for index, patch in enumerate(batch["frames"]):
        clip = read_clip(path_of(videos, batch, index), int(batch["start"][index]), 5)
        windows = clip.unfold(-2, 12, 1).unfold(-2, 20, 1).permute(2, 3, 0, 1, 4, 5)
        assert (windows == patch).flatten(2).all(dim=2).sum() == 1


def test_null_gives_whole_frames_one_of_each_clip(videos: dict[Split, list[Video]]) -> None:
    data = Given(videos, patch_size=None, clips_per_video=2)
    batch = first_batch(data)
    assert batch["frames"].shape == (4, 5, 3, 40, 48)
    for index, frames in enumerate(batch["frames"]):
        clip = read_clip(path_of(videos, batch, index), int(batch["start"][index]), 5)
        assert torch.equal(frames, clip)
    blocks: Any = data.train_dataloader().dataset
    assert blocks.stream.patches == 2  # clips_per_video, whatever patches_per_clip is


@pytest.mark.parametrize("color", ["rgb", "gray"])
def test_resized_frames_are_those_of_protocols(
    videos: dict[Split, list[Video]], color: Any
) -> None:
    data = Given(videos, patch_size=None, resize=(24, 28), color=color)
    batch = first_batch(data)
    wanted = FrameFormat(height=24, width=28, fit="resize", color=color)

    def as_in_a_protocol(path: Path, start: int, length: int) -> torch.Tensor:
        return unit_to_uint8(bring_to_format(to_unit(read_clip(path, start, length)), wanted))

    for index, frames in enumerate(batch["frames"]):
        path = path_of(videos, batch, index)
        assert torch.equal(frames, as_in_a_protocol(path, int(batch["start"][index]), 5))
    clip = next(iter(data.val_dataloader()))
    assert torch.equal(clip["frames"][0], as_in_a_protocol(videos["val"][0].path, 0, 6))
    # Patches of resized frames are crops of these.
    patch = first_batch(Given(videos, patch_size=(8, 8), resize=(24, 28), color=color))
    whole = as_in_a_protocol(path_of(videos, patch, 0), int(patch["start"][0]), 5)
    windows = whole.unfold(-2, 8, 1).unfold(-2, 8, 1).permute(2, 3, 0, 1, 4, 5)
    assert (windows == patch["frames"][0]).flatten(2).all(dim=2).sum() >= 1


def test_gray_patches_are_those_of_the_color_ones(videos: dict[Split, list[Video]]) -> None:
    gray = first_batch(Given(videos, color="gray", motion_threshold=0.0))
    rgb = first_batch(Given(videos, motion_threshold=0.0))
    assert gray["frames"].shape == (4, 5, 1, 16, 16)
    luma = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    expected = (rgb["frames"] * luma).sum(dim=2, keepdim=True)
    assert (gray["frames"].float() - expected).abs().max() <= 0.5 + 1e-4


def test_frames_of_different_sizes_are_resized_or_refused(
    videos: dict[Split, list[Video]], tmp_path: Path, make_video: MakeVideo
) -> None:
    wide = Video(make_video(tmp_path / "wide.avi", frames=12, height=20, width=64), "wide")
    mixed = {**videos, "train": [*videos["train"], wide]}
    sizes = r"(20 x 64, those of train\d 40 x 48|40 x 48, those of wide 20 x 64)"
    with pytest.raises(DataError, match=rf"whole frames of .* are {sizes}.* set data.resize"):
        first_batch(Given(mixed, patch_size=None))
    batch = first_batch(Given(mixed, patch_size=None, resize=(16, 16)))
    assert batch["frames"].shape[-2:] == (16, 16)
    # With an index, before anything is drawn.
    lists: dict[str, Any] = {}
    for split in SPLITS:
        lists[f"{split}_list"] = tmp_path / f"{split}.txt"
        names = [video.path.name for video in mixed[split]]
        lists[f"{split}_list"].write_text("\n".join(names))
    data = VideoFolderDataModule(tmp_path, patch_size=None, num_workers=0, **lists)
    with pytest.raises(DataError, match=r"2 sizes: 40 x 48 \(train0\.avi\), 20 x 64 \(wide\.avi\)"):
        data.setup("fit")


def test_patches_have_to_fit_into_resized_frames() -> None:
    with pytest.raises(ValueError, match="patch_size is 32 x 32, and resize makes frames of 16 x"):
        VideoFolderDataModule("x", resize=(16, 64))


def actions_of(frames: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.arange(2 * frames, dtype=np.float32).reshape(frames, 2)


@pytest.mark.parametrize("workers", [0, 1])
def test_conditions_travel_by_key_from_the_file_to_the_batch(
    videos: dict[Split, list[Video]], workers: int
) -> None:
    for listed in videos.values():
        for video in listed:
            write_conditions(
                video.path, {"actions": actions_of(12), "gear": np.arange(12), "on": [True] * 12}
            )
    data = Given(videos, frame_step=2, num_workers=workers)
    batch = first_batch(data)
    assert set(batch["condition"]) == {"actions", "gear", "on"}
    assert batch["condition"]["actions"].shape == (4, 5, 2)
    for index, start in enumerate(batch["start"].tolist()):
        rows = list(range(start, start + 10, 2))
        assert batch["condition"]["gear"][index].tolist() == rows
        expected = torch.from_numpy(actions_of(12)[rows])
        assert torch.equal(batch["condition"]["actions"][index], expected)
    clip = next(iter(data.val_dataloader()))
    assert clip["condition"]["gear"].tolist() == [[0, 2, 4, 6, 8, 10]]


def test_a_videos_conditions_belong_to_the_stream(videos: dict[Split, list[Video]]) -> None:
    before = Given(videos).describe_stream()
    for video in videos["train"]:
        write_conditions(video.path, {"actions": actions_of(12)})
    assert Given(videos).describe_stream()["train_videos"] != before["train_videos"]
    assert Given(videos).describe_stream()["val_videos"] == before["val_videos"]


def test_missing_and_unlike_conditions_are_named(videos: dict[Split, list[Video]]) -> None:
    one, other = videos["train"]
    data = Given(videos)
    data.find_data()
    with pytest.raises(DataError, match=r"conditioned on actions, and train0 comes with frames al"):
        data.require_conditions(("actions",))
    write_conditions(one.path, {"actions": actions_of(12)})
    with pytest.raises(DataError, match=r"1 of 2 training videos have no conditions, such as trai"):
        Given(videos).setup("fit")
    write_conditions(other.path, {"actions": np.zeros((12, 3), np.float32)})
    with pytest.raises(DataError, match=r"has conditions actions \(torch.float32, \[.\] a frame\)"):
        first_batch(Given(videos))
    # Fewer rows than frames: the video is left out, and named; here none is left.
    for video in (one, other):
        write_conditions(video.path, {"actions": actions_of(3)})
    with pytest.raises(DataError, match="condition 'actions' has 3 rows, and frame"):
        first_batch(Given(videos))
    for video in (one, other):
        conditions_path(video.path).write_bytes(b"broken")
    with pytest.raises(DataError, match="cannot be read as arrays by name"):
        first_batch(Given(videos))


class Steering(Given):
    """Knows what a mirror does to its actions: the first one, to the side, changes sign."""

    def mirrored_condition(self, name: str, values: torch.Tensor) -> torch.Tensor:
        return values * torch.tensor([-1.0, 1.0])


def test_mirrored_clips_have_mirrored_conditions() -> None:
    frames = torch.arange(16, dtype=torch.uint8).view(1, 1, 1, 4, 4)
    batch = ClipBatch(
        frames=frames,
        video_id=["a"],
        start=torch.zeros(1),
        accepted=torch.ones(1),
        condition={"actions": torch.tensor([[[2.0, 3.0]]])},
    )
    training: Any = SimpleNamespace(training=True)
    data = Steering({}, flip_probability=1.0)
    data.trainer = training
    found = data.on_after_batch_transfer(batch, 0)
    assert torch.equal(found["frames"], frames.flip(-1))
    assert found["condition"]["actions"].tolist() == [[[-2, 3]]]
    bare = Given({}, flip_probability=1.0)
    bare.trainer = training
    with pytest.raises(DataError, match=r"what becomes of condition 'actions'.*probability: 0"):
        bare.on_after_batch_transfer(batch, 0)


def test_a_stream_of_0_1_is_what_it_was(tmp_path: Path) -> None:
    """To the bit; and checkpoints of 0.1, which name neither color nor size, resume."""
    rng = np.random.default_rng(0)
    for number in range(6):
        folder = tmp_path / f"class{number % 2}" / f"clip{number}"
        folder.mkdir(parents=True)
        for index in range(9):
            picture = rng.integers(0, 256, (40, 56, 3), np.uint8)
            cv2.imwrite(str(folder / f"{index:03d}.png"), picture)
    options: dict[str, Any] = {"patch_size": 16, "num_workers": 0, "batch_size": 4, "seed": 3}
    options |= {"samples_per_epoch": 64, "val_fraction": 0.2, "test_fraction": 0.2}
    data = VideoFolderDataModule(tmp_path, **options)
    data.setup("fit")
    data.setup("test")
    found = hashlib.sha256()
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        for batch in loader:
            found.update(batch["frames"].numpy().tobytes())
            found.update(" ".join(batch["video_id"]).encode())
            found.update(batch["start"].numpy().tobytes())
            found.update(batch["accepted"].numpy().tobytes())
    # What 0.1 (commit 7ddd514) gives, of the same pictures, which no codec changes.
    assert found.hexdigest() == "fc7347a3d4bd747177397ce23f1968317feba584ffb8cde8ef36c6c41ab09ff1"
    stream = data.describe_stream()
    old = {name: value for name, value in stream.items() if name not in ("resize", "color")}
    data.require_same_stream({"stream": old})
    resized = VideoFolderDataModule(tmp_path, resize=(32, 32), **options)
    with pytest.raises(DataError, match=r"resize was None, is \[32, 32\]"):
        resized.require_same_stream({"stream": old})
