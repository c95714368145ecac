import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from vidpred.data import (
    BlockSampler,
    ClipDataModule,
    ClipSample,
    Listing,
    Split,
    TrainingBlocks,
    UCF101DataModule,
    Video,
    VideoFolderDataModule,
    collate_clips,
)
from vidpred.data.catalog import SPLITS, evenly_spaced
from vidpred.data.index.video_index import VideoIndex
from vidpred.data.video_folder import find_videos
from vidpred.errors import DataError, VideoError
from vidpred.evaluation.sources.frame_files import write_clip
from vidpred.models import CopyLastFrame
from vidpred.tasks import ReconstructionTask
from vidpred.video import VideoInfo, probe, read_clip

MakeVideo = Callable[..., Path]


class Given(ClipDataModule):
    """Videos handed over; the smallest subclass there can be."""

    def __init__(self, videos: dict[Split, list[Video]], **options: Any) -> None:
        super().__init__(**({"patch_size": 16, "num_workers": 0} | options))
        self.videos = videos

    def list_split(self, split: Split) -> Listing:
        return Listing(tuple(self.videos.get(split, [])))


@pytest.fixture
def videos(tmp_path: Path, make_video: MakeVideo) -> dict[Split, list[Video]]:
    return {
        split: [
            Video(make_video(tmp_path / f"{split}{number}.avi"), f"{split}{number}")
            for number in range(3)
        ]
        for split in SPLITS
    }


def test_a_batch_is_what_the_contract_says(videos: dict[Split, list[Video]]) -> None:
    data = Given(videos, batch_size=8, patches_per_clip=2, context_frames=3, horizon=2)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert batch.keys() == {"frames", "video_id", "start", "accepted"}
    assert batch["frames"].shape == (8, 5, 3, 16, 16)
    assert batch["frames"].dtype == torch.uint8
    assert batch["start"].shape == (8,)
    assert batch["start"].dtype == torch.int64
    assert batch["accepted"].shape == (8,)
    assert batch["accepted"].dtype == torch.bool


def test_evaluation_reads_the_first_frames_whole_and_in_order(
    videos: dict[Split, list[Video]],
) -> None:
    data = Given(videos, eval_horizon=3)
    data.setup("validate")
    data.setup("test")
    for loader, split in ((data.val_dataloader(), "val"), (data.test_dataloader(), "test")):
        batches = list(loader)
        assert [batch["video_id"] for batch in batches] == [[f"{split}{n}"] for n in range(3)]
        for batch, video in zip(batches, videos[split], strict=True):
            assert torch.equal(batch["frames"][0], read_clip(video.path, 0, 7))
            assert batch["start"].tolist() == [0]


def test_a_trainer_predicts_the_test_clips(videos: dict[Split, list[Video]]) -> None:
    data = Given(videos, eval_horizon=3)
    trainer = pl.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False
    )
    predictions = trainer.predict(ReconstructionTask(CopyLastFrame()), datamodule=data)
    assert predictions is not None
    for video, pred in zip(videos["test"], predictions, strict=True):
        last = read_clip(video.path, 0, 1) / 255
        torch.testing.assert_close(pred, last.expand(3, -1, -1, -1)[None])


def test_evaluation_leaves_out_bad_videos_with_one_warning(
    videos: dict[Split, list[Video]], tmp_path: Path, make_video: MakeVideo
) -> None:
    short = [Video(make_video(tmp_path / f"s{n}.avi", frames=5), f"s{n}") for n in range(4)]
    cut = Video(make_video(tmp_path / "cut.avi"), "cut")
    cut.path.write_bytes(cut.path.read_bytes()[:9000])
    listed = {**videos, "test": [cut, *videos["test"], *short]}
    data = Given(listed)
    with pytest.warns(UserWarning, match="5 of 8 test videos cannot be used") as warned:
        data.setup("test")
    assert len(warned) == 1
    text = str(warned[0].message)
    assert "cut.avi" in text
    assert "s1.avi: it has 5 frames, and frames 0 to 5 were asked for" in text
    assert "s2.avi" not in text  # it counts the rest
    assert [b["video_id"][0] for b in data.test_dataloader()] == ["test0", "test1", "test2"]
    with pytest.raises(DataError, match="5 of 5 val videos cannot be used; none is left"):
        Given({**videos, "val": [cut, *short]}).setup("fit")


def test_chosen_videos_are_spread_evenly(videos: dict[Split, list[Video]]) -> None:
    many = [Video(Path(str(n)), str(n)) for n in range(100)]
    assert [int(v.video_id) for v in evenly_spaced(many, 4)] == [0, 25, 50, 75]
    assert evenly_spaced(many, None) == evenly_spaced(many, 200) == many
    data = Given(videos, max_val_videos=2)
    data.setup("fit")
    assert [b["video_id"] for b in data.val_dataloader()] == [["val0"], ["val1"]]


@pytest.mark.parametrize("workers", [0, 2])
def test_sizes_that_differ_need_batches_of_one(
    tmp_path: Path, videos: dict[Split, list[Video]], make_video: MakeVideo, workers: int
) -> None:
    wide = Video(make_video(tmp_path / "wide.avi", width=51, height=41), "wide")
    listed = {**videos, "test": [wide, *videos["test"]]}
    single = Given(listed, num_workers=workers)
    single.setup("test")
    sizes = [tuple(batch["frames"].shape[-2:]) for batch in single.test_dataloader()]
    assert sizes == [(41, 51), (40, 48), (40, 48), (40, 48)]
    pair = Given(listed, eval_batch_size=2, num_workers=workers)
    with pytest.raises(DataError, match=r"2 sizes \(40 x 48, 41 x 51.*set eval_batch_size to 1"):
        pair.setup("test")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_a_worker_arrives_as_it_was_raised(
    videos: dict[Split, list[Video]], workers: int
) -> None:
    data = Given(videos, num_workers=workers)
    data.setup("fit")
    data.setup("test")
    for split in ("train", "test"):
        for video in videos[split]:
            video.path.unlink()
    with pytest.raises(DataError, match=r"^none of the 3 training videos can be used"):
        next(iter(data.train_dataloader()))
    with pytest.raises(VideoError, match=r"test0\.avi: there is no such file$") as caught:
        next(iter(data.test_dataloader()))
    assert caught.value.path == videos["test"][0].path


@pytest.mark.slow
def test_no_epoch_and_no_process_repeats_a_draw(videos: dict[Split, list[Video]]) -> None:
    """Two processes and three epochs of five batches, of blocks of four."""
    data = Given(videos, batch_size=2, mixed_videos=4, clips_per_video=1, patches_per_clip=2)
    data.setup("fit")
    blocks = data.train_dataloader().dataset
    assert isinstance(blocks, TrainingBlocks)
    assert blocks.batches == 4
    drawn: list[tuple[int, int]] = []
    for rank in range(2):
        sampler = BlockSampler(blocks, num_batches=5, num_replicas=2, rank=rank)
        for epoch in range(3):
            sampler.set_epoch(epoch)
            parts = list(sampler)
            assert len(parts) <= len(sampler)
            batches = [(part.block, k) for part in parts for k in range(part.first, part.end)]
            assert len(batches) == 5
            drawn += batches
        assert drawn[-15:] == [(2 * (k // 4) + rank, k % 4) for k in range(15)]
    assert len(set(drawn)) == 30


class Recorder(pl.LightningModule):
    """Keeps what each training batch holds."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[torch.Tensor] = []

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> torch.Tensor:
        self.seen.append(batch["frames"].flatten(1).float().mean(dim=1))
        return self.weight.sum()

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        assert batch["frames"].shape[:2] == (1, 6)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings(
    # Lightning recommends more workers; two are enough to see that they are used.
    "ignore:.*does not have many workers"
)
@pytest.mark.parametrize("workers", [0, 2])
def test_lightning_trains_on_new_draws_each_epoch(toy_root: Path, workers: int) -> None:
    data = UCF101DataModule(
        toy_root, batch_size=4, samples_per_epoch=16, num_workers=workers, max_val_videos=2
    )
    model = Recorder()
    trainer = pl.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    trainer.fit(model, datamodule=data)
    assert len(model.seen) == 12
    assert len(torch.cat(model.seen).unique()) > 40
    # The first epoch is the stream's beginning, whatever Lightning does to the loader.
    alone = UCF101DataModule(toy_root, batch_size=4, samples_per_epoch=16, num_workers=0)
    alone.setup("fit")
    expected = [b["frames"].flatten(1).float().mean(dim=1) for b in alone.train_dataloader()]
    assert torch.equal(torch.cat(model.seen[:4]), torch.cat(expected))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("context_frames", 0),
        ("horizon", 0),
        ("eval_horizon", 0),
        ("patch_size", 0),
        ("patches_per_clip", 0),
        ("clips_per_video", 0),
        ("mixed_videos", 0),
        ("batch_size", 0),
        ("eval_batch_size", -1),
        ("samples_per_epoch", 0),
        ("max_val_videos", 0),
        ("max_test_videos", 0),
        ("frame_step", 0),
        ("motion_threshold", 1.5),
        ("motion_threshold", float("nan")),
        ("max_damaged", -0.1),
        ("seed", -1),
        ("num_workers", -1),
    ],
)
def test_options_out_of_range_are_refused(option: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{option} .*expected"):
        VideoFolderDataModule("x", **{option: value})  # type: ignore[arg-type]


def test_an_epoch_holds_at_least_one_batch(videos: dict[Split, list[Video]]) -> None:
    data = Given(videos, batch_size=8, samples_per_epoch=7)
    with pytest.raises(ValueError, match="at least one batch"):
        data.setup("fit")
    default = Given(videos, batch_size=8)
    default.setup("fit")
    assert len(default.train_dataloader()) == 1000


def test_loaders_say_when_setup_was_not_called() -> None:
    data = Given({})
    for loader in (data.train_dataloader, data.val_dataloader, data.test_dataloader):
        with pytest.raises(RuntimeError, match="not set up"):
            loader()


def test_collate_joins_patches_in_order() -> None:
    samples = [
        ClipSample(
            frames=torch.full((2, 3, 3, 4, 4), n, dtype=torch.uint8),
            video_id=str(n),
            start=torch.tensor([n, 10 + n]),
            accepted=torch.tensor([True, n == 1]),
        )
        for n in range(3)
    ]
    batch = collate_clips(samples)
    assert batch["frames"][:, 0, 0, 0, 0].tolist() == [0, 0, 1, 1, 2, 2]
    assert batch["video_id"] == ["0", "0", "1", "1", "2", "2"]
    assert batch["start"].tolist() == [0, 10, 1, 11, 2, 12]
    assert batch["accepted"].tolist() == [True, False, True, True, True, False]


def damaged_inside(path: Path) -> None:
    """Keep the packets of a video and spoil the pictures in them."""
    content = bytearray(path.read_bytes())
    begin = content.find(b"movi") + 4
    for place in range(begin + 60, len(content) - 60, 7):
        content[place] ^= 0x5A
    path.write_bytes(content)


def folder_of_videos(tmp_path: Path, make_video: MakeVideo, count: int = 12) -> Path:
    root = tmp_path / "videos"
    root.mkdir()
    for number in range(count):
        make_video(root / f"{number:02d}.avi", frames=12)
    return root


def test_what_breaks_in_training_goes_into_quarantine(
    tmp_path: Path, make_video: MakeVideo
) -> None:
    root = folder_of_videos(tmp_path, make_video)
    options: dict[str, Any] = {"batch_size": 8, "patch_size": 16, "num_workers": 0}
    data = VideoFolderDataModule(root, samples_per_epoch=64, **options)
    data.setup("fit")
    index = VideoIndex(root)
    victim = data.listings["train"].videos[0]
    index.refresh()
    state = victim.path.stat()
    # As a disk goes bad: the file looks as it did when it was indexed.
    damaged_inside(victim.path)
    os.utime(victim.path, ns=(state.st_atime_ns, state.st_mtime_ns))
    names = [name for batch in data.train_dataloader() for name in batch["video_id"]]
    assert len(names) == 64
    assert victim.video_id not in names
    said = index.quarantined()[victim.video_id]
    assert said.source == "training"
    # A later run leaves it out from the start, and says the same samples.
    later = VideoFolderDataModule(root, samples_per_epoch=64, **options)
    later.setup("fit")
    assert [n for batch in later.train_dataloader() for n in batch["video_id"]] == names
    strict = VideoFolderDataModule(root, samples_per_epoch=64, max_damaged=0.0, **options)
    index.release()
    strict.setup("fit")
    with pytest.raises(DataError, match="more than the 0% that max_damaged allows"):
        list(strict.train_dataloader())


def test_a_resumed_run_leaves_out_what_it_left_out_before(
    tmp_path: Path, make_video: MakeVideo
) -> None:
    root = folder_of_videos(tmp_path, make_video)

    def draws(quarantined: bool, state: dict[str, Any] | None = None) -> list[str]:
        with VideoIndex(root) as index:
            index.refresh()
            index.release()
            if quarantined:
                name = sorted(index.known())[3]
                index.quarantine(name, "it is broken")
        data = VideoFolderDataModule(
            root, batch_size=8, patch_size=16, num_workers=0, samples_per_epoch=64
        )
        data.setup("fit")
        if state is not None:
            data.load_state_dict(state)
        return [name for batch in data.train_dataloader() for name in batch["video_id"]]

    before = draws(quarantined=False)
    assert draws(quarantined=True) != before
    assert draws(quarantined=True, state={"batches_done": 0, "left_out": {}}) == before


def test_without_a_cache_videos_are_read_once(
    tmp_path: Path, make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder_of_videos(tmp_path, make_video)
    (tmp_path / "file").touch()
    monkeypatch.setenv("VIDPRED_CACHE", str(tmp_path / "file"))
    read: list[Path] = []

    def counted(path: Path) -> VideoInfo:
        read.append(path)
        return probe(path)

    monkeypatch.setattr("vidpred.data.index.video_index.probe", counted)
    said: list[str] = []
    monkeypatch.setattr("vidpred.data.base.rank_zero_info", said.append)
    data = VideoFolderDataModule(root, batch_size=8, patch_size=None, num_workers=0)
    with pytest.warns(UserWarning, match="the index cannot be kept there") as warned:
        data.setup("fit")
    assert len(warned) == 1
    next(iter(data.train_dataloader()))  # without another warning, which would be an error
    assert sorted(read) == [video.path for video in data.listings["train"].videos]
    assert said[-1] == f"index: {len(read)} videos were read (in memory)"


def test_a_folder_of_frames_is_a_video(tmp_path: Path, make_video: MakeVideo) -> None:
    root = folder_of_videos(tmp_path, make_video, count=3)
    clip = read_clip(root / "00.avi", 0, 12)
    write_clip(root / "deep" / "frames", clip)
    assert "deep/frames" in find_videos(root)
    (root / "deep" / "cover.png").write_bytes(b"")  # beside folders: no frame of a video
    assert find_videos(root) == ["00.avi", "01.avi", "02.avi", "deep/frames"]
    lists = {}
    for split, name in {"train": "deep/frames", "val": "00.avi", "test": "01.avi"}.items():
        lists[f"{split}_list"] = tmp_path / f"{split}.txt"
        lists[f"{split}_list"].write_text(f"{name}\n")
    data = VideoFolderDataModule(root, batch_size=4, patch_size=16, num_workers=0, **lists)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert set(batch["video_id"]) == {"deep/frames"}
