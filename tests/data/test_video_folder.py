from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from vidpred.data import VideoFolderDataModule
from vidpred.data.catalog import SPLITS
from vidpred.data.video_folder import find_videos, split_by_hash
from vidpred.errors import DataError

MakeVideo = Callable[..., Path]

CODECS = {
    "a.mp4": ("libx264", "yuv420p"),
    "b.webm": ("libvpx-vp9", "yuv420p"),
    "sub/c.avi": ("mjpeg", "yuvj420p"),
    "sub/d.gif": ("gif", "rgb8"),
    "sub/deep/e.mkv": ("ffv1", "yuv444p"),
    "f.MPG": ("mpeg1video", "yuv420p"),
}


def encode(path: Path, codec: str, pixel_format: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[0:48, 0:64]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, pixel_format
        for shift in range(8):
            picture = np.stack([x * 3 + shift * 5, y * 4, np.full_like(x, 90)], axis=-1)
            frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), "rgb24")
            container.mux(stream.encode(frame.reformat(format=pixel_format)))
        container.mux(stream.encode(None))


@pytest.mark.filterwarnings(
    # swscale's old name for full-range YUV, which the MJPEG encoder still asks for.
    "ignore:deprecated pixel format"
)
def test_any_codec_trains_and_evaluates(tmp_path: Path) -> None:
    for name, (codec, pixel_format) in CODECS.items():
        encode(tmp_path / name, codec, pixel_format)
    (tmp_path / "notes.txt").write_text("no video")
    (tmp_path / ".hidden.mp4").write_text("no video either")
    data = VideoFolderDataModule(tmp_path, num_workers=0, samples_per_epoch=16)
    data.setup("fit")
    data.setup("test")
    names = [video.video_id for split in SPLITS for video in data.listings[split].videos]
    assert sorted(names) == sorted(CODECS)
    labels = {v.video_id: v.label for split in SPLITS for v in data.listings[split].videos}
    assert (labels["sub/c.avi"], labels["sub/deep/e.mkv"]) == ("sub", "deep")
    assert next(iter(data.train_dataloader()))["frames"].shape == (8, 5, 3, 32, 32)
    y, x = torch.meshgrid(torch.arange(48), torch.arange(64), indexing="ij")
    for batch in [*data.val_dataloader(), *data.test_dataloader()]:
        frame = batch["frames"][0, 2].float()
        expected = torch.stack([x * 3 + 10, y * 4, torch.full_like(x, 90)]).clamp(0, 255)
        # gif has 256 colors; the others are within coding noise. Other channel orders are 50 off.
        assert (frame - expected).abs().mean() < 25


def test_split_of_a_file_does_not_depend_on_the_others() -> None:
    names = [f"folder{index % 7}/video{index}.mp4" for index in range(1000)]
    everything = split_by_hash(names, val_fraction=0.1, test_fraction=0.2)
    # Binomial: 1000 x 0.1 and x 0.2, within 4 sigma.
    assert len(everything["val"]) == pytest.approx(100, abs=38)
    assert len(everything["test"]) == pytest.approx(200, abs=51)
    half = split_by_hash(names[::2], val_fraction=0.1, test_fraction=0.2)
    for split in SPLITS:
        assert set(half[split]) == set(everything[split]) & set(names[::2])


@pytest.mark.parametrize("count", range(1, 12))
def test_three_files_are_enough_for_three_splits(count: int) -> None:
    for start in range(0, 300, 10):
        names = [f"{index}.mp4" for index in range(start, start + count)]
        splits = split_by_hash(names, val_fraction=0.1, test_fraction=0.1)
        assert sorted(name for part in splits.values() for name in part) == sorted(names)
        if count >= 3:
            assert all(splits.values())
            assert splits == split_by_hash(names[::-1], val_fraction=0.1, test_fraction=0.1)


def test_lists_decide_when_given(tmp_path: Path, make_video: MakeVideo) -> None:
    for name in ("a.mp4", "b.mp4", "sub/c.mp4", "d.mp4"):
        make_video(tmp_path / name)
    lists = {
        "train_list": "# mine\na.mp4\nabsent.mp4\n\n",
        "val_list": "b.mp4\r\n",
        "test_list": "sub/c.mp4\n",
    }
    paths = {name: tmp_path / f"{name}.txt" for name in lists}
    for name, text in lists.items():
        paths[name].write_text(text)
    data = VideoFolderDataModule(
        tmp_path,
        train_list=paths["train_list"],
        val_list=paths["val_list"],
        test_list=paths["test_list"],
        num_workers=0,
    )
    with pytest.warns(UserWarning, match=r"1 of its 2 videos are not there; looked for .*absent"):
        data.setup("fit")
    found = {split: [v.video_id for v in data.listings[split].videos] for split in SPLITS}
    assert found == {"train": ["a.mp4"], "val": ["b.mp4"], "test": ["sub/c.mp4"]}
    assert data.listings["train"].missing == ("absent.mp4",)

    paths["test_list"].write_text("./a.mp4\n")  # the same file by another name
    leaky = VideoFolderDataModule(
        tmp_path,
        train_list=paths["train_list"],
        val_list=paths["val_list"],
        test_list=paths["test_list"],
    )
    with pytest.raises(DataError, match="is in train and in test"):
        leaky.setup("fit")
    with pytest.raises(ValueError, match="all three or none"):
        VideoFolderDataModule(tmp_path, train_list=paths["train_list"])


@pytest.mark.parametrize("row", ["../outside.mp4", "sub/../a.mp4", "/outside.mp4"])
def test_lists_stay_below_the_root(row: str, tmp_path: Path, make_video: MakeVideo) -> None:
    for name in ("root/a.mp4", "root/b.mp4", "root/sub/c.mp4", "outside.mp4"):
        make_video(tmp_path / name)
    row = row if row.startswith((".", "s")) else f"{tmp_path}{row}"
    lists = {"train_list": row, "val_list": "b.mp4", "test_list": "sub/c.mp4"}
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
    data = VideoFolderDataModule(
        tmp_path / "root", **{name: tmp_path / name for name in lists}, num_workers=0
    )
    with pytest.raises(DataError, match=f"row '{row}' does not name a place below"):
        data.setup("fit")


def test_missing_and_empty_folders_are_refused(tmp_path: Path, make_video: MakeVideo) -> None:
    with pytest.raises(DataError, match="absent: there is no such folder"):
        VideoFolderDataModule(tmp_path / "absent").setup("fit")
    with pytest.raises(DataError, match=r"no video in it or below; looked for .*\.mp4"):
        VideoFolderDataModule(tmp_path).setup("fit")
    make_video(tmp_path / "one.mp4")
    with pytest.raises(DataError, match="is on the disk"):
        VideoFolderDataModule(tmp_path).setup("fit")


def test_fractions_must_leave_something_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sum below 1"):
        VideoFolderDataModule(tmp_path, val_fraction=0.5, test_fraction=0.5)


def test_real_folders_are_found(real_data: Path) -> None:
    assert len(find_videos(real_data / "other")) == 49
