"""Patches that are converted alone have the bits of whole frames."""

import gc
from pathlib import Path

import av
import numpy as np
import pytest
from encoded_videos import Kind, write

from vidpred.video import clip as clip_module
from vidpred.video import decode_clip, read_clip_array
from vidpred.video.clip import RgbConverter

H264 = {"g": "8", "threads": "1"}
KINDS = [
    Kind("plain.mp4", "libx264", options=H264),
    Kind("full_range.avi", "mjpeg", "yuvj420p"),
    Kind("bt709.mp4", "libx264", options=H264 | {"colorspace": "bt709"}),
    Kind("444.mp4", "libx264", "yuv444p", H264),
    Kind("ten_bit.mp4", "libx265", "yuv420p10le", {"x265-params": "log-level=none:pools=none"}),
    Kind("gif.gif", "gif", "rgb8"),
]


@pytest.mark.parametrize(("height", "width"), [(64, 96), (66, 90), (65, 97)])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_patches_equal_those_of_whole_frames(
    tmp_path: Path, kind: Kind, height: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if (height % 2 or width % 2) and "420" in kind.pixels and kind.codec != "mjpeg":
        pytest.skip("this encoder takes even sizes alone")
    path = write(tmp_path, kind, count=6, height=height, width=width)
    whole = read_clip_array(path, 1, 3)
    rng = np.random.default_rng(0)
    for rows, columns in ((1, 1), (7, 7), (16, 16), (33, 33), (16, 61), (50, 5), (height, width)):
        corners = [
            (int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1)))
            for _ in range(20)
        ]
        corners += [(0, 0), (height - rows, width - columns)]
        expected = np.stack([whole[:, y : y + rows, x : x + columns] for y, x in corners])
        for pixels_a_patch in (0, 40_000):  # patches alone, and whole frames
            monkeypatch.setattr(clip_module, "_PIXELS_A_PATCH", pixels_a_patch)
            size = rows if rows == columns else (rows, columns)
            assert np.array_equal(decode_clip(path, 1, 3).patches(corners, size), expected)


def test_frames_equal_those_of_the_clip(tmp_path: Path) -> None:
    path = write(tmp_path, KINDS[0], count=6)
    whole = read_clip_array(path, 0, 3, 2)
    clip = decode_clip(path, 0, 3, 2)
    assert (len(clip), clip.height, clip.width) == (3, 64, 96)
    assert all(np.array_equal(clip.frame(index), whole[index]) for index in range(3))


@pytest.mark.parametrize("corner", [(-1, 0), (0, -1), (49, 0), (0, 81)])
def test_a_patch_has_to_lie_in_the_frame(tmp_path: Path, corner: tuple[int, int]) -> None:
    clip = decode_clip(write(tmp_path, KINDS[0], count=2), 0, 2)
    with pytest.raises(ValueError, match="leaves the frame of 64 x 96"):
        clip.patches([corner], 16)


@pytest.mark.slow
def test_patches_of_real_clips(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_module, "_PIXELS_A_PATCH", 0)
    rng = np.random.default_rng(1)
    paths = sorted((real_data / "ucf101" / "UCF-101").glob("*/*.avi"))
    assert len(paths) > 200
    for path in paths:
        whole = read_clip_array(path, 0, 5)
        corners = [(int(rng.integers(209)), int(rng.integers(289))) for _ in range(8)]
        expected = np.stack([whole[:, y : y + 32, x : x + 32] for y, x in corners])
        assert np.array_equal(decode_clip(path, 0, 5).patches(corners, 32), expected), path


def test_no_frame_waits_for_the_garbage_collection(tmp_path: Path) -> None:
    path = write(tmp_path, KINDS[0], count=6)

    def frames() -> int:
        return sum(type(held) is av.VideoFrame for held in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        clip = decode_clip(path, 1, 3)
        clip.frame(0)
        assert frames() >= 3
        del clip
        read_clip_array(path, 1, 3)
        assert frames() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize("height", [48, 47])
@pytest.mark.parametrize(
    "pixels", ["yuv420p", "yuv422p", "nv12", "yuv440p", "yuv420p10le", "yuv422p10le", "p010le"]
)
def test_grays_are_as_bright_however_they_are_stored(pixels: str, height: int) -> None:
    kind, shift = (np.uint16, 8 if pixels == "p010le" else 2) if "10" in pixels else (np.uint8, 0)
    for level in range(16, 236):
        frame = av.VideoFrame(64, height, pixels)
        for number, plane in enumerate(frame.planes):
            stored = (128 if number else level) << shift
            plane.update(
                np.full(plane.buffer_size // np.dtype(kind).itemsize, stored, kind).tobytes()
            )
        shown = RgbConverter(Path("a"))(frame)
        # BT.601, limited range: 16 is black, 235 is white.
        assert np.abs(shown - (level - 16) * 255 / 219).max() <= 1, level
