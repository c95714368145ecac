"""Folders of frames are videos."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vidpred.errors import VideoError
from vidpred.video import (
    VideoInfo,
    check_clip,
    count_frames,
    decode_clip,
    probe,
    read_clip,
    read_clip_array,
)

FRAMES = np.random.default_rng(0).integers(0, 256, (12, 20, 30, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve frames, named so that the order of letters is not their order."""
    path = tmp_path / "a video"
    path.mkdir()
    for index, frame in enumerate(FRAMES):
        Image.fromarray(frame).save(path / f"frame{index}.png")
    (path / "notes.txt").write_text("no frame")
    (path / ".hidden.png").write_text("no frame")
    return path


def test_a_folder_is_read_in_the_order_of_its_numbers(folder: Path) -> None:
    info = probe(folder)
    assert (info.num_frames, info.height, info.width, info.fps) == (12, 20, 30, None)
    assert (info.codec, info.pixel_format) == ("images", "rgb24")
    assert VideoInfo.from_plain(folder, info.to_plain()) == info
    assert count_frames(folder) == 12
    for given in (info, None):
        assert np.array_equal(read_clip_array(folder, 1, 4, 3, info=given), FRAMES[1:11:3])
    assert np.array_equal(read_clip(folder, 9, 3).permute(0, 2, 3, 1).numpy(), FRAMES[9:])
    assert check_clip(folder, 0, 12) == (20, 30)
    patches = decode_clip(folder, 2, 3).patches([(1, 5), (4, 0)], 16)
    assert np.array_equal(patches[0], FRAMES[2:5, 1:17, 5:21])
    assert np.array_equal(patches[1], FRAMES[2:5, 4:20, 0:16])


def test_only_the_frames_asked_for_are_opened(folder: Path) -> None:
    for index in (0, 1, 3, 5, 7, 11):
        (folder / f"frame{index}.png").write_bytes(b"damaged")
    assert np.array_equal(read_clip_array(folder, 2, 3, 2), FRAMES[2:7:2])
    with pytest.raises(VideoError, match=r"frame3\.png: cannot be read"):
        read_clip_array(folder, 2, 2)


def test_grey_frames_become_three_equal_channels(tmp_path: Path) -> None:
    for index in range(3):
        Image.fromarray(FRAMES[index, :, :, 0]).save(tmp_path / f"{index}.png")
    assert probe(tmp_path).pixel_format == "gray"
    assert np.array_equal(read_clip_array(tmp_path, 0, 3), FRAMES[:3, :, :, :1].repeat(3, axis=3))


def test_folders_that_are_no_video_say_why(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="it has 12 frames, and frames 10 to 12"):
        read_clip(folder, 10, 3)
    Image.fromarray(FRAMES[0]).save(folder / "frame05.png")
    with pytest.raises(VideoError, match="two files for one frame"):
        read_clip(folder, 0, 1)
    empty = tmp_path / "empty"
    empty.mkdir()
    for read in (probe, count_frames, lambda path: read_clip(path, 0, 1)):
        with pytest.raises(VideoError, match="is a folder without PNG or JPEG frames"):
            read(empty)
    Image.fromarray(FRAMES[0, :, :, 0].astype(np.uint16)).save(empty / "1.png")
    with pytest.raises(VideoError, match=r"16 bits a channel; .* convert the frames to 8 bits"):
        read_clip(empty, 0, 1)
    Image.fromarray(FRAMES[0]).save(empty / "1.png")
    Image.fromarray(FRAMES[0][:10]).save(empty / "2.png")
    with pytest.raises(VideoError, match=r"2\.png: 30 x 10 pixels, RGB, and 1\.png is 30 x 20"):
        read_clip(empty, 0, 2)
