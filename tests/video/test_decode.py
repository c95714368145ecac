import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from encoded_videos import flip_bits

from vidpred.errors import VideoError
from vidpred.video import check_clip, count_frames, probe, read_clip, read_clip_array, write_video

REAL_CLIPS = [
    "ucf101/UCF-101/Archery/v_Archery_g22_c05.avi",  # packed B-frames: time stamps out of order
    "ucf101/UCF-101/YoYo/*_g01_*.avi",
    "other/openstl_examples/val_example1.avi",
    "other/ucf11/biking/v_biking_01/v_biking_01_01.mpg",  # no index, MPEG-1
    "other/weizmann/jump/ira_pjump.avi",
]


def decode_all(path: Path) -> torch.Tensor:
    """Plain PyAV from the beginning, default threads: the reference that reading must equal."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)


@pytest.fixture
def noise_avi(tmp_path: Path) -> Path:
    path = tmp_path / "noise.avi"
    write_video(path, torch.randint(0, 256, (20, 3, 32, 48), dtype=torch.uint8))
    return path


@pytest.mark.parametrize("pattern", REAL_CLIPS)
def test_every_start_gives_the_frames_of_decoding_in_order(real_data: Path, pattern: str) -> None:
    path = next(real_data.glob(pattern))
    expected = decode_all(path)
    length, step = 3, 2
    span = (length - 1) * step + 1
    starts = range(len(expected) - span + 1)
    for start in [*starts[:: max(1, len(starts) // 25)], starts[-1]]:
        clip = read_clip(path, start, length, frame_step=step)
        assert clip.shape == (length, 3, *expected.shape[-2:])
        assert torch.equal(clip, expected[start : start + span : step])


def test_array_is_the_clip_with_channels_last(noise_avi: Path) -> None:
    array = torch.from_numpy(read_clip_array(noise_avi, 4, 3))
    assert array.shape == (3, 32, 48, 3)
    assert torch.equal(array.permute(0, 3, 1, 2), read_clip(noise_avi, 4, 3))


def test_probe_counts_frames_and_gives_size_and_rate(noise_avi: Path) -> None:
    info = probe(noise_avi)
    assert (info.num_frames, info.height, info.width) == (20, 32, 48)
    assert info.fps == Fraction(25)
    assert check_clip(noise_avi, 0, 20) == (32, 48)


def test_probe_agrees_with_decoding_on_real_clips(real_data: Path) -> None:
    # v_Kayaking_g12_c03 is the one known clip of 306 with a picture that is not coded.
    paths = sorted((real_data / "ucf101" / "UCF-101").glob("A*/*.avi"))
    assert len(paths) > 10
    for path in paths:
        with av.open(str(path)) as container:
            decoded = sum(1 for _ in container.decode(video=0))
        assert probe(path).num_frames == decoded


def test_a_picture_that_is_not_coded_is_not_made_up(real_data: Path) -> None:
    path = real_data / "ucf101/UCF-101/Kayaking/v_Kayaking_g12_c03.avi"
    assert probe(path).num_frames == count_frames(path) == 371  # of 372 packets
    assert len(read_clip(path, 366, 5)) == 5
    with pytest.raises(VideoError, match="it has 371 frames"):
        read_clip(path, 367, 5)


def test_first_stream_of_a_file_with_several_is_read(real_data: Path) -> None:
    # The README of the data: 320 x 180, 325 frames in the default video stream.
    info = probe(real_data / "other/misc/nasa_13013.mp4")
    assert (info.num_frames, info.height, info.width) == (325, 180, 320)


def test_bad_files_name_themselves_and_the_problem(tmp_path: Path) -> None:
    (tmp_path / "empty.avi").touch()
    (tmp_path / "text.avi").write_text("this is no video\n" * 100)
    (tmp_path / "notes.txt").write_text("this is no video\n" * 100)  # FFmpeg draws these
    (tmp_path / "folder.avi").mkdir()
    for name, problem in (
        ("absent.avi", "no such file"),
        ("empty.avi", r"empty \(0 bytes\)"),
        ("text.avi", "FFmpeg cannot read it"),
        ("notes.txt", "it is a text file; expected a video"),
        ("folder.avi", "is a folder"),
    ):
        for read in (lambda path: read_clip(path, 0, 1), probe):
            with pytest.raises(VideoError, match=f"{name}: .*{problem}"):
                read(tmp_path / name)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(VideoError, match="no video stream"):
        probe(path)


@pytest.mark.parametrize("share", [0.002, 0.3, 0.6, 0.9])
def test_a_cut_file_never_gives_a_short_or_damaged_clip(noise_avi: Path, share: float) -> None:
    whole = read_clip(noise_avi, 0, 20)
    data = noise_avi.read_bytes()
    cut = int(len(data) * share)
    with av.open(str(noise_avi)) as container:
        # An AVI chunk is 8 bytes of header and its data, from the packet's position on.
        packets = [packet for packet in container.demux(video=0) if packet.size]
        sound = sum((packet.pos or 0) + 8 + packet.size <= cut for packet in packets)
    noise_avi.write_bytes(data[:cut])
    with pytest.raises(VideoError):
        read_clip(noise_avi, 0, 20)
    readable = 0
    for start in range(20):
        try:
            clip = read_clip(noise_avi, start, 1)
        except VideoError:
            break
        assert torch.equal(clip[0], whole[start])
        readable += 1
    # The frame that the cut goes through is refused, those before it are sound.
    assert readable == sound < 20


def test_flipped_bits_are_noticed_until_the_next_key_frame(tmp_path: Path) -> None:
    path = tmp_path / "bits.avi"
    # 30 frames: key frames at 0, 12 and 24, by the encoder's default group of 12.
    write_video(path, torch.randint(0, 256, (30, 3, 64, 64), dtype=torch.uint8))
    whole = read_clip(path, 0, 30)
    flip_bits(path, frame=5)
    for start in (5, 6, 11):
        with pytest.raises(VideoError, match=f"frame {start} is damaged"):
            read_clip(path, start, 1)
    for start in (0, 4, 12, 29):
        assert torch.equal(read_clip(path, start, 1)[0], whole[start])


def test_fewer_frames_than_asked_says_how_many(noise_avi: Path) -> None:
    with pytest.raises(VideoError, match="it has 20 frames, and frames 18 to 22 were asked for"):
        read_clip(noise_avi, 18, 5)
    with pytest.raises(VideoError, match="it has 20 frames"):
        read_clip(noise_avi, 500, 1)


@pytest.mark.parametrize(
    ("start", "length", "step", "name"),
    [(-1, 1, 1, "start"), (0, 0, 1, "length"), (0, 1, 0, "frame_step"), (0, -2, 1, "length")],
)
def test_wrong_arguments_are_refused(
    noise_avi: Path, start: int, length: int, step: int, name: str
) -> None:
    with pytest.raises(ValueError, match=name):
        read_clip(noise_avi, start, length, step)


def test_a_frame_size_that_changes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "two_sizes.ts"
    parts = []
    for index, width in enumerate((32, 48)):
        part = tmp_path / f"{index}.ts"
        with av.open(str(part), "w") as container:
            stream = container.add_stream("mpeg2video", rate=25)
            stream.width, stream.height, stream.pix_fmt = width, 32, "yuv420p"
            for _ in range(5):
                picture = np.full((32, width, 3), 100, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
        parts.append(part.read_bytes())
    path.write_bytes(b"".join(parts))
    assert read_clip(path, 0, 4).shape == (4, 3, 32, 32)
    with pytest.raises(VideoError, match="frame size changes"):
        read_clip(path, 0, 10)


def test_ffmpeg_says_nothing_of_its_own(noise_avi: Path) -> None:
    noise_avi.write_bytes(noise_avi.read_bytes()[:5000])
    code = (
        "import sys\nfrom vidpred.errors import VideoError\nfrom vidpred.video import read_clip\n"
        "try: read_clip(sys.argv[1], 0, 20)\nexcept VideoError: print('refused')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(noise_avi)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "refused\n"
    assert done.stderr == ""
