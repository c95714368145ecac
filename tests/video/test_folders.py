"""What below a folder is a video, the same for every command."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vidpred.data.doctor.diagnosing import diagnose
from vidpred.data.index.video_index import VideoIndex
from vidpred.data.video_folder import VideoFolderDataModule
from vidpred.data.video_folder import find_videos as names_below
from vidpred.errors import DataError, PredictionError, VideoError
from vidpred.evaluation.selection import FolderVideos
from vidpred.evaluation.sources.clip_folder import ClipFolder
from vidpred.video import probe, read_clip_array
from vidpred.video.folders import (
    FolderContent,
    find_images,
    find_videos,
    gaps,
    in_order,
    no_videos,
)
from vidpred.video.playing import play


def frames(folder: Path, count: int = 8, value: int = 40, name: str = "{:03}.png") -> Path:
    """Frames of one color, with a bar that moves."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        picture = np.full((64, 96, 3), value, np.uint8)
        picture[8:24, 6 * index : 6 * index + 20] = (220, 120, value)
        Image.fromarray(picture).save(folder / name.format(index))
    return folder


def movie(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"a video, as far as its name goes")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Six clips of 8 frames, as `frame_folders.py` of the issue writes them."""
    for clip in range(6):
        frames(tmp_path / "set" / f"clip{clip}", value=30 * clip)
    return tmp_path / "set"


def masks_below(clip: Path) -> None:
    frames(clip / "masks", value=0)


def thumbnails_below(clip: Path) -> None:
    frames(clip / ".thumbs", count=2)
    frames(clip / "thumbs", count=2)


def preview_below(clip: Path) -> None:
    movie(clip / "preview" / "all.mp4")


def preview_beside(clip: Path) -> None:
    movie(clip / "preview.mp4")


def litter_beside(clip: Path) -> None:
    (clip / "Thumbs.db").write_bytes(b"")
    (clip / "notes.txt").write_text("mine")
    (clip / "@eaDir").mkdir()
    frames(clip / "__MACOSX", count=3)


BESIDE: list[Callable[[Path], None]] = [
    masks_below,
    thumbnails_below,
    preview_below,
    preview_beside,
    litter_beside,
]


@pytest.mark.parametrize("put", [None, *BESIDE], ids=lambda put: getattr(put, "__name__", "alone"))
def test_every_command_takes_the_frames(
    root: Path, put: Callable[[Path], None] | None, caplog: pytest.LogCaptureFixture
) -> None:
    for clip in root.iterdir():
        if put is not None:
            put(clip)
    names = [f"clip{number}" for number in range(6)]
    if put in (None, litter_beside):
        assert names_below(root) == names
    else:
        with pytest.warns(UserWarning, match="clip0: its 8 images are taken as the frames"):
            assert names_below(root) == names
    assert [video.video_id for video in FolderVideos().select(root).videos] == names
    with VideoIndex(root) as index:
        assert index.refresh().total == 6
        diagnosis = diagnose(index, full=True)
    assert diagnosis.healthy
    assert diagnosis.quarantine == {}
    assert (diagnosis.counts["videos"], diagnosis.counts["frames"]) == (6, 48)
    kinds = {finding.kind for finding in diagnosis.findings}
    assert kinds == (set() if put in (None, litter_beside) else {"frames"})
    data = VideoFolderDataModule(root, num_workers=0, samples_per_epoch=16)
    data.setup("fit")
    assert data._left_out == {}
    (batch, _) = data.train_dataloader()
    assert batch["frames"].shape == (8, 5, 3, 32, 32)
    expected = np.stack(
        [np.asarray(Image.open(file)) for file in sorted((root / names[0]).glob("*.png"))]
    )
    assert np.array_equal(read_clip_array(root / "clip0", 0, 8), expected)
    assert np.array_equal(np.stack([frame.pixels for frame in play(root / "clip0")]), expected)
    clips = ClipFolder(root)
    assert clips.clips == names
    assert np.array_equal(clips.read("clip0").permute(0, 2, 3, 1).numpy(), expected)


# fmt: off
DECISIONS = [
    # images, videos, folders, frames
    (["0.png", "1.png", "2.png"], [], [], 3),
    (["0.png"], [], [], 1),
    (["v1.jpg", "v2.jpg", "v3.jpg"], ["v1.mp4", "v2.mp4", "v3.mp4"], [], 0),  # thumbnails
    (["v1_thumb.jpg", "v2_thumb.jpg", "v3-poster.png"], ["v1.mp4", "v2.mp4", "v3.mp4"], [], 0),
    (["a.mp4.jpg", "b.mp4.jpg", "c.mp4.jpg"], ["a.mp4", "b.mp4", "c.mp4"], [], 0),
    (["a.jpg", "b.jpg", "c.jpg"], [], ["a", "b", "c"], 0),  # covers of folders
    (["IMG_0001.jpg", "IMG_0002.jpg", "IMG_0004.jpg"], ["IMG_0003.MOV"], [], 0),  # a camera
    (["cover.png"], [], ["clip0", "clip1"], 0),
    (["frame_000.png", "frame_001.png", "frame_002.png"], ["frame.mp4"], [], 3),
    (["0.png", "1.png", "2.png"], ["preview.mp4"], ["masks"], 3),
]
# fmt: on


@pytest.mark.parametrize(("images", "videos", "folders", "count"), DECISIONS)
def test_thumbnails_are_told_from_frames(
    images: list[str], videos: list[str], folders: list[str], count: int
) -> None:
    assert len(FolderContent(images, videos, folders).frames) == count


def test_two_series_in_one_folder_are_refused_by_name(root: Path) -> None:
    frames(root / "clip2", name="{:03}_mask.png")
    with VideoIndex(root) as index:
        diagnosis = diagnose(index, full=True)
    assert list(diagnosis.quarantine) == ["clip2"]
    assert "differ in more than numbers" in diagnosis.quarantine["clip2"].reason
    with pytest.raises(VideoError, match=r"clip2: '000\.png' and '000_mask\.png' differ in more"):
        list(play(root / "clip2"))
    with pytest.raises(PredictionError, match="differ in more than numbers"):
        ClipFolder(root).read("clip2")


def test_a_folder_of_videos_is_no_clip(tmp_path: Path) -> None:
    for name in ("v1", "v2", "v3"):
        movie(tmp_path / f"{name}.mp4")
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.jpg")
    assert list(find_videos(tmp_path).videos) == ["v1.mp4", "v2.mp4", "v3.mp4"]
    with pytest.raises(VideoError, match=r"it holds 3 video\(s\) \('v1\.mp4', 'v2\.mp4'"):
        find_images(tmp_path)


def test_frames_in_the_root_are_one_video(tmp_path: Path) -> None:
    folder = frames(tmp_path / "one")
    masks_below(folder)
    said = r"one: the frames of one video lie in it \(8 images, '000\.png'"
    for look in (
        lambda: VideoFolderDataModule(folder).setup("fit"),
        lambda: FolderVideos().select(folder),
    ):
        with pytest.raises(DataError, match=said):
            look()
    with VideoIndex(folder) as index:
        (finding,) = diagnose(index).findings
    assert "the frames of one video lie in it" in finding.items[0]
    with pytest.raises(PredictionError, match="holds frames itself"):
        ClipFolder(folder)
    assert probe(folder).num_frames == len(list(play(folder))) == 8  # what `predict` is given


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_videos_make_no_three_splits(tmp_path: Path, count: int) -> None:
    for clip in range(count):
        frames(tmp_path / f"clip{clip}")
    with pytest.raises(DataError, match=rf"is on the disk, as it holds {count} video\(s\) in all"):
        VideoFolderDataModule(tmp_path, num_workers=0).setup("fit")
    assert len(FolderVideos().select(tmp_path).videos) == count


def test_a_gap_is_named_everywhere(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "clip1" / "003.png").unlink()
    said = r"1 frame\(s\) of its series are missing, the first after number 2"
    with pytest.warns(UserWarning, match=rf"clip1: {said}"):
        names_below(root)
    with VideoIndex(root) as index:
        diagnosis = diagnose(index, full=True)
    assert diagnosis.healthy
    (finding,) = diagnosis.findings
    assert finding.items[0].startswith("clip1: 1 frame(s)")
    assert probe(root / "clip1").num_frames == len(list(play(root / "clip1"))) == 7
    assert len(ClipFolder(root).read("clip1")) == 7
    assert caplog.text.count("clip1: 1 frame(s) of its series are missing") == 2


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["0.png", "1.png", "2.png", "3.png"], None),
        (["0.png", "5.png", "10.png", "15.png"], None),  # every fifth
        (["0.png", "5.png", "10.png", "20.png"], "after number 10"),
        (["a_1.png", "a_2.png", "a_5.png", "a_6.png"], "2 frame"),
        (["1403636579763555584.png", "1403636579813555456.png", "1403636579863555584.png"], None),
        (["1.png", "100.png", "250.png"], None),  # no counter
        (["a1_b9.png", "a1_b10.png", "a2_b1.png"], None),
    ],
)
def test_gaps(names: list[str], missing: str | None) -> None:
    found = gaps(names)
    assert (found is None) if missing is None else (missing in (found or ""))


@pytest.mark.parametrize("gray", [0, 3])
def test_gray_frames_among_colored_ones_are_read(root: Path, gray: int) -> None:
    path = root / "clip0" / f"{gray:03}.png"
    picture = Image.open(path).convert("L")
    picture.save(path)
    expected = np.asarray(picture)[..., None].repeat(3, axis=2)
    assert np.array_equal(read_clip_array(root / "clip0", 0, 8)[gray], expected)
    assert np.array_equal(list(play(root / "clip0"))[gray].pixels, expected)
    scored = ClipFolder(root).read("clip0")
    assert scored.shape == (8, 3, 64, 96)
    assert np.array_equal(scored[gray].permute(1, 2, 0).numpy(), expected)
    with VideoIndex(root) as index:
        assert diagnose(index, full=True).healthy


def test_links_count_each_real_file_once(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for name in ("walk/a.mp4", "run/b.mp4", "z/c.mp4"):
        movie(root / name)
    (root / "run" / "up").symlink_to("..")  # a loop
    (root / "a_link").symlink_to(root / "z")  # its name comes first
    (root / "walk" / "again.mp4").symlink_to(root / "run" / "b.mp4")
    os.link(root / "walk" / "a.mp4", root / "walk" / "hard.mp4")
    (root / "walk" / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    (tmp_path / "elsewhere").mkdir()
    movie(tmp_path / "elsewhere" / "d.mp4")
    (root / "more").symlink_to(tmp_path / "elsewhere")
    found = find_videos(root)
    assert list(found.videos) == [
        "more/d.mp4",
        "run/b.mp4",
        "walk/a.mp4",
        "walk/gone.mp4",
        "z/c.mp4",
    ]
    assert found.videos["walk/gone.mp4"] is None
    with VideoIndex(root) as index:
        assert index.refresh().total == 5
    assert names_below(root) == list(found.videos)


def test_what_lies_there_is_said_where_no_video_is(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for number in range(3):
        (tmp_path / "deep" / f"{number}.webp").write_bytes(b"")
    assert no_videos(tmp_path).endswith("and found 3 files with .webp")
    with pytest.raises(DataError, match=r"found 3 files with \.webp"):
        VideoFolderDataModule(tmp_path).setup("fit")


def test_times_are_no_counters() -> None:
    def ordered(*stems: str) -> list[str]:
        return [file.stem for file in in_order(Path(f"{stem}.png") for stem in stems)]

    with pytest.raises(VideoError, match=r"'0\.04\.png' and '0\.1\.png' hold times with different"):
        ordered("0.04", "0.08", "0.1")
    with pytest.raises(VideoError, match="hold times with different numbers of decimals"):
        ordered("9.0333", "9.0667", "9.1", "9.2")
    assert ordered("1.10", "1.00", "0.96", "0.04") == ["0.04", "0.96", "1.00", "1.10"]
    assert ordered("3.10", "3.9", "3.0") == ["3.0", "3.9", "3.10"]  # frames of take 3
    assert ordered("3.100", "3.08", "3.99") == ["3.08", "3.99", "3.100"]
