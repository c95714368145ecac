"""The index counts the pictures that players show, and every reader gives those."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from encoded_videos import Kind, write
from odd_files import (
    begin_in_mid_gop,
    empty_chunks_of_avi,
    empty_samples_of_mov,
    keep_packets,
    theora_with_repeats,
    trim,
)

from vidpred.data.doctor.diagnosing import diagnose
from vidpred.data.index.video_index import VideoIndex
from vidpred.data.video_folder import VideoFolderDataModule
from vidpred.errors import VideoError
from vidpred.evaluation.sources.frame_files import read_video
from vidpred.prediction.windows import Every, Input, Last, Window, windows
from vidpred.video import count_frames, decode_clips, probe, read_clip, read_clip_array
from vidpred.video.playing import play

X264 = {"preset": "veryfast", "threads": "1"}
B_FRAMES = X264 | {"g": "25", "bf": "3"}
X265 = "log-level=none:pools=none:frame-threads=1:keyint=25:min-keyint=25"

Make = Callable[[Path], Path]


def trimmed(name: str, codec: str = "libx264", options: dict[str, str] = B_FRAMES) -> Make:
    """A cut in the middle of a group of pictures: 100 packets, of which 15 are not shown."""

    def make(folder: Path) -> Path:
        whole = write(folder, Kind("whole.mp4", codec, options=options), count=100)
        return trim(whole, folder / name, 15)

    return make


def transport(codec: str, options: dict[str, str]) -> Make:
    def make(folder: Path) -> Path:
        whole = write(folder, Kind("whole.ts", codec, options=options), count=100)
        return begin_in_mid_gop(whole, folder / "recorded.ts", 0.3)

    return make


def from_packet(name: str, codec: str, options: dict[str, str], first: int) -> Make:
    def make(folder: Path) -> Path:
        whole = write(folder, Kind(f"whole{Path(name).suffix}", codec, options=options), count=60)
        return keep_packets(whole, folder / name, first)

    return make


def empty_mov(folder: Path) -> Path:
    return empty_samples_of_mov(
        write(folder, Kind("whole.mov", "mjpeg", "yuvj420p"), count=50), folder / "repeats.mov"
    )


def empty_avi(folder: Path) -> Path:
    kind = Kind("whole.avi", "mpeg4", options={"g": "12"})
    return empty_chunks_of_avi(write(folder, kind, count=50), folder / "repeats.avi")


# What ffmpeg shows of the same file (-fps_mode passthrough), and the arithmetic of its making.
SHOWN: dict[str, tuple[Make, int]] = {
    "trimmed_mp4": (trimmed("trim.mp4"), 85),
    "trimmed_mov": (trimmed("trim.mov"), 85),
    "trimmed_hevc": (trimmed("trim_hevc.mov", "libx265", {"x265-params": X265}), 85),
    "mid_gop_h264": (transport("libx264", B_FRAMES), 50),
    "mid_gop_hevc": (transport("libx265", {"x265-params": X265}), 50),
    "mid_gop_mpeg2": (transport("mpeg2video", {"g": "25"}), 50),
    "mid_gop_matroska": (from_packet("late.mkv", "libx264", X264 | {"g": "20", "bf": "0"}, 7), 40),
    "empty_theora": (theora_with_repeats, 41),
    "empty_mov_samples": (empty_mov, 41),
    "empty_avi_chunks": (empty_avi, 41),
}


def decoded(path: Path) -> npt.NDArray[np.uint8]:
    """What FFmpeg's decoder gives of the packets that hold something."""
    frames = []
    with av.open(str(path)) as container:
        packets = list(container.demux(video=0))
        for packet in [*(p for p in packets if p.size), packets[-1]]:
            frames += [frame.to_ndarray(format="rgb24") for frame in packet.decode()]
    return np.stack(frames)


@pytest.mark.parametrize("name", SHOWN)
def test_everything_agrees_on_what_is_shown(tmp_path: Path, name: str) -> None:
    make, shown = SHOWN[name]
    path = make(tmp_path)
    expected = decoded(path)
    with av.open(str(path)) as container:
        packets = sum(1 for _ in container.demux(video=0)) - 1
    assert len(expected) == shown
    assert packets > shown or name == "empty_avi_chunks"  # FFmpeg passes over those itself
    info = probe(path)
    assert (info.num_frames, count_frames(path)) == (shown, shown)

    # Training, with the index and without; evaluation; scores of a video; prediction.
    starts = [0, 1, shown // 2, shown - 5]
    for given in (info, None):
        for start, clip in zip(starts, decode_clips(path, starts, 5, info=given), strict=True):
            for k in range(5):
                assert np.array_equal(clip.frame(k), expected[start + k])
        assert np.array_equal(read_clip_array(path, shown - 3, 3, info=given), expected[-3:])
        with pytest.raises(VideoError, match=f"it has {shown} frames"):
            read_clip(path, shown - 2, 3, info=given)
    assert np.array_equal(read_video(path).permute(0, 2, 3, 1).numpy(), expected)
    played = list(play(path))
    assert all(frame.sound for frame in played)
    assert np.array_equal(np.stack([frame.pixels for frame in played]), expected)
    (last,) = windows(Input(path), Last(), 4)
    assert isinstance(last, Window)
    assert np.array_equal(np.stack(last.known), expected[-4:])
    assert sum(1 for _ in windows(Input(path), Every(), 4)) == shown - 3


@pytest.mark.parametrize("name", ["trimmed_mp4", "mid_gop_h264", "empty_theora"])
def test_the_doctor_finds_them_healthy_and_training_uses_them(tmp_path: Path, name: str) -> None:
    make, shown = SHOWN[name]
    root = tmp_path / "set"
    source = make(tmp_path)
    for number in range(6):
        target = root / "cls" / f"{number}{source.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    with VideoIndex(root) as index:
        diagnosis = diagnose(index, full=True)
        assert {finding.kind for finding in diagnosis.findings} <= {"header", "duplicate"}
        assert diagnosis.quarantine == {}
        assert diagnosis.counts["frames"] == 6 * shown
    data = VideoFolderDataModule(root, num_workers=0, samples_per_epoch=16)
    data.setup("fit")
    assert data._left_out == {}
    assert sum(len(batch["video_id"]) for batch in data.train_dataloader()) == 16


def test_a_stream_without_any_key_frame_is_refused_by_name(tmp_path: Path) -> None:
    kind = Kind("whole.mkv", "libx264", options=X264 | {"g": "250", "bf": "0"})
    path = keep_packets(write(tmp_path, kind, count=30), tmp_path / "late.mkv", 4)
    with pytest.raises(VideoError, match=r"late\.mkv: none of its 26 packets becomes a picture"):
        probe(path)
