"""What a video is told to be, and the plain data that an index keeps."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidpred.video import VideoInfo, probe, read_clip_array
from vidpred.video.info import pack, unpack


@pytest.mark.parametrize(
    "values", [[], [5], [0, 1, 2, 3], [-7, 10**15, 3], list(range(0, 90_000, 3003))]
)
def test_what_is_packed_comes_back(values: list[int]) -> None:
    assert unpack(pack(values)).tolist() == values


def test_ten_minutes_take_little_room() -> None:
    frames = 18_000
    regular = np.arange(frames) * 512
    # As Matroska rounds 29.97 frames per second to thousandths of a second.
    rounded = np.round(np.arange(frames) * 1001 / 30).astype(np.int64)
    jitter = np.cumsum(np.random.default_rng(0).integers(2900, 3100, frames))
    for pts, room in ((regular, 1000), (rounded, 3000), (jitter, 45_000)):
        info = VideoInfo(
            Path("v.mp4"),
            frames,
            480,
            640,
            Fraction(30000, 1001),
            packed_keys=pack(np.arange(0, frames, 250)),
            packed_pts=pack(pts),
        )
        text = json.dumps(info.to_plain())
        assert len(text) < room
        again = VideoInfo.from_plain("v.mp4", json.loads(text))
        assert again == info
        assert np.array_equal(again.pts, pts)
        assert again.key_frames.tolist() == list(range(0, frames, 250))


@pytest.mark.parametrize(
    "change",
    [{"num_frames": "many"}, {"fps": "1/0"}, {"rotation": 45}, {"pts": "no base64!"}, None],
)
def test_other_data_is_refused(change: dict[str, object] | None) -> None:
    plain = VideoInfo(Path("v.mp4"), 3, 4, 5, None, packed_pts=pack([1, 2, 3])).to_plain()
    assert VideoInfo.from_plain("v.mp4", plain).num_frames == 3
    broken = {} if change is None else plain | change
    with pytest.raises(ValueError, match=r"v\.mp4: what is kept of this video is not"):
        VideoInfo.from_plain("v.mp4", broken)


def test_facts_of_real_clips(real_data: Path) -> None:
    root = real_data / "ucf101" / "UCF-101"
    plain = probe(next(root.glob("YoYo/*_g01_*.avi")))
    assert (plain.codec, plain.pixel_format, plain.rotation) == ("mpeg4", "yuv420p", 0)
    assert plain.header_frames == plain.num_frames
    assert (plain.clock, plain.pts is not None) == ("pts", True)
    # Packed B-frames are known by the time of decoding.
    packed = probe(root / "Archery/v_Archery_g22_c05.avi")
    assert packed.pts is not None
    assert (packed.clock, packed.pts.tolist()) == ("dts", list(range(1, packed.num_frames + 1)))
    # A picture that is not coded: time stamps tell no place.
    assert probe(root / "Kayaking/v_Kayaking_g12_c03.avi").pts is None


def test_an_index_that_is_wrong_leads_back_to_the_beginning(
    real_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = next((real_data / "ucf101" / "UCF-101").glob("YoYo/*_g01_*.avi"))
    info = probe(path)
    assert info.pts is not None
    expected = read_clip_array(path, 60, 3)
    caplog.set_level("DEBUG", logger="vidpred.video.frames")
    true_keys = info.key_frames[:2].tolist()
    # A key frame that is none; times that do not fit from the first frame on, and from the third.
    others = [([0, 37], 50), (true_keys, 50), (true_keys, 61)]
    for keys, sound in others:
        wrong = VideoInfo(
            path,
            info.num_frames,
            info.height,
            info.width,
            info.fps,
            packed_keys=pack(keys),
            packed_pts=pack(np.where(np.arange(info.num_frames) > sound, info.pts + 1, info.pts)),
        )
        assert np.array_equal(read_clip_array(path, 60, 3, info=wrong), expected)
    assert len(caplog.records) == len(others)
    assert all("decoding from the beginning" in record.message for record in caplog.records)
