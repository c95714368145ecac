"""Videos as the frames of a clip: containers, hidden pictures, and damage."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from clip_reading import ramp, read, refused

from vidpred.errors import PredictionError
from vidpred.evaluation.sources.clip_folder import ClipFolder
from vidpred.video import probe, write_video


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.m4v", "mpeg4", "yuv420p"),
        ("a.mov", "libx264", "yuv420p"),
        ("a.MKV", "ffv1", "yuv444p"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.gif", "gif", "rgb8"),
    ],
)
def test_every_container_is_read(clip: Path, name: str, codec: str, pixels: str) -> None:
    frames = ramp(5)
    with av.open(str(clip / name), "w") as container:
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)  # for mypy
        stream.height, stream.width, stream.pix_fmt = 32, 48, pixels
        for picture in frames.permute(0, 2, 3, 1).numpy():
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            container.mux(stream.encode(frame.reformat(format=pixels)))
        container.mux(stream.encode(None))
    back = ClipFolder(clip.parent).read_pred("the clip", 5)
    assert back.shape == (5, 3, 32, 48)
    # gif has 256 colors; other orders of rows, columns or channels are 60 off.
    assert (back * 255 - frames).abs().mean() < 25


def write_cut(path: Path, first: int) -> None:
    """Write ten frames and an edit list that hides the first ones, as cutting without encoding."""
    whole = path.parent.parent / ".whole.mp4"
    write_video(whole, ramp(10), fps=25)
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.pts is None or packet.dts is None or packet.time_base is None:
                continue  # the empty packet at the end
            packet.stream = stream
            shift = round(Fraction(first, 25) / packet.time_base)
            packet.pts -= shift
            packet.dts -= shift
            target.mux(packet)


def test_pictures_that_a_file_hides_do_not_count(clip: Path) -> None:
    write_cut(clip / "x.mp4", 3)
    shown = read(clip)
    assert probe(clip / "x.mp4").num_frames == 7
    assert len(shown) == 7
    folder = ClipFolder(clip.parent)
    assert torch.equal(folder.read_pred("the clip", 7), shown.float() / 255)
    for wrong in (10, 6, 20):
        with pytest.raises(PredictionError, match=rf"7 frame\(s\); expected {wrong}"):
            folder.read_pred("the clip", wrong)


def test_a_video_that_hides_everything_is_refused(clip: Path) -> None:
    write_cut(clip / "x.mp4", 40)
    refused(clip, r"x\.mp4: it has 0 frames")


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_damaged_videos_are_refused_by_name(clip: Path, suffix: str) -> None:
    file = clip / f"x{suffix}"
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (8, 3, 64, 64), generator=generator, dtype=torch.uint8)
    write_video(file, noise)
    whole = file.read_bytes()
    folder = ClipFolder(clip.parent)
    assert len(folder.read_pred("the clip", 8)) == 8
    damage = [b"", b"a text", whole[:60], whole[: len(whole) // 2], whole[: len(whole) - 900]]
    for content in damage:
        file.write_bytes(content)
        with pytest.raises(PredictionError, match=rf"clip 'the clip': .*x\{suffix}: "):
            folder.read_pred("the clip", 8)


def test_a_video_without_pictures_is_refused(clip: Path) -> None:
    with av.open(str(clip / "x.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        container.start_encoding()
    refused(clip, r"x\.avi: .*it is damaged")
