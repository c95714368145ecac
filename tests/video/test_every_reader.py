"""Every path to a pixel gives the same pixel: all readers, on all kinds of stored frames."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from encoded_videos import KINDS, Kind, moving_texture, write
from PIL import Image

from vidpred.data.catalog import Video
from vidpred.data.evaluation_clips import EvaluationClips
from vidpred.errors import VideoError
from vidpred.evaluation.sources.frame_files import read_video
from vidpred.prediction.windows import Input, Last, Window, windows
from vidpred.video import clip as clip_module
from vidpred.video import decode_clip, probe, read_clip, read_clip_array
from vidpred.video.playing import play

X264 = {"preset": "veryfast", "threads": "1", "g": "4"}
COUNT = 8


def x264(params: str = "", pixels: str = "yuv420p") -> Kind:
    options = X264 | ({"x264-params": params} if params else {})
    return Kind("stored.mp4", "libx264", pixels, options)


def ffv1(pixels: str) -> Kind:
    return Kind("stored.mkv", "ffv1", pixels, {"g": "4"})


FIELDS = {"flags": "+ildct+ilme", "g": "4"}
BT709 = "colormatrix=bt709:colorprim=bt709:transfer=bt709"
BT2020 = "colormatrix=bt2020nc:colorprim=bt2020:transfer=bt2020-10"
STORED: dict[str, tuple[Kind, int, int]] = {
    **{kind.name: (kind, 64, 96) for kind in KINDS},
    "interlaced_h264": (x264("tff=1"), 64, 96),
    "interlaced_bottom_first": (x264("bff=1"), 64, 96),
    "interlaced_mpeg4": (Kind("stored.avi", "mpeg4", options=FIELDS), 64, 96),
    "interlaced_mpeg2": (Kind("stored.mpg", "mpeg2video", options=FIELDS), 64, 96),
    "full_range": (x264("fullrange=on"), 66, 90),
    "full_range_mjpeg": (Kind("stored.avi", "mjpeg", "yuvj420p"), 66, 90),
    "bt709": (x264(BT709), 66, 90),
    "bt2020": (x264(BT2020), 66, 90),
    "smpte240m": (x264("colormatrix=smpte240m"), 66, 90),
    "fcc": (x264("colormatrix=fcc"), 66, 90),
    "chroma_top_left": (x264("chromaloc=2"), 66, 90),
    "chroma_bottom": (x264("chromaloc=5"), 66, 90),
    "422": (x264(pixels="yuv422p"), 66, 90),
    "nv12": (x264(pixels="nv12"), 66, 90),
    "rgb": (Kind("stored.mp4", "libx264rgb", "rgb24", X264), 65, 97),
    "422_full_odd": (Kind("stored.mov", "mjpeg", "yuvj422p"), 65, 97),
    "440": (ffv1("yuv440p"), 64, 96),
    "410": (ffv1("yuv410p"), 64, 96),
    "411": (ffv1("yuv411p"), 64, 96),
    "420_odd": (ffv1("yuv420p"), 65, 97),
    "alpha": (ffv1("yuva420p"), 64, 96),
    "gray_16": (ffv1("gray16le"), 64, 96),
    "gray_10": (ffv1("gray10le"), 65, 97),
}


def frames_of_phone(folder: Path) -> Path:
    target = folder / "phone"
    target.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    for index, picture in enumerate(moving_texture(COUNT)):
        Image.fromarray(picture).save(target / f"{index}.jpg", exif=exif)
    return target


def patches_at(path: Path, size: int, corners: list[tuple[int, int]]) -> npt.NDArray[np.uint8]:
    return decode_clip(path, 1, 3).patches(corners, size)


def require_one_pixel(path: Path, monkeypatch: pytest.MonkeyPatch) -> npt.NDArray[np.uint8]:
    """Compare all readers with each other."""
    whole = read_clip_array(path, 0, COUNT)
    height, width = whole.shape[1:3]
    info = probe(path)
    assert (info.num_frames, info.height, info.width) == (COUNT, height, width)
    channels_first = whole.transpose(0, 3, 1, 2)
    assert np.array_equal(read_clip(path, 0, COUNT).numpy(), channels_first)
    assert np.array_equal(read_clip(path, 2, 3, 2, info=info).numpy(), channels_first[2:7:2])
    assert np.array_equal(np.stack([frame.pixels for frame in play(path)]), whole)
    (last,) = windows(Input(path), Last(2), 4)
    assert isinstance(last, Window)
    assert np.array_equal(np.stack([*last.known, *last.truth]), whole[-6:])
    clips = EvaluationClips([Video(path, "v")], length=5, frame_step=1)
    assert np.array_equal(clips[0]["frames"][0].numpy(), channels_first[:5])
    if path.is_file():
        assert np.array_equal(read_video(path).numpy(), channels_first)
    clip = decode_clip(path, 1, 3)
    assert (clip.height, clip.width) == (height, width)
    rng = np.random.default_rng(0)
    for pixels_a_patch in (0, 10**6):  # patches alone, and whole frames
        monkeypatch.setattr(clip_module, "_PIXELS_A_PATCH", pixels_a_patch)
        for size in (1, 16, 33):
            corners = [
                (int(rng.integers(height - size + 1)), int(rng.integers(width - size + 1)))
                for _ in range(12)
            ]
            corners += [(0, 0), (1, 1), (height - size, width - size)]
            expected = np.stack([whole[1:4, y : y + size, x : x + size] for y, x in corners])
            assert np.array_equal(patches_at(path, size, corners), expected), size
    return whole


@pytest.mark.filterwarnings("ignore:deprecated pixel format")
@pytest.mark.parametrize("name", STORED)
def test_every_reader_gives_the_same_pixels(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, height, width = STORED[name]
    try:
        path = write(tmp_path, kind, COUNT, height=height, width=width)
    except (av.error.FFmpegError, ValueError) as error:
        pytest.skip(f"not encoded here: {error}")
    require_one_pixel(path, monkeypatch)
    if name.startswith("interlaced"):
        with av.open(str(path)) as container:
            assert next(container.decode(video=0)).interlaced_frame


def test_colors_that_cannot_be_converted_are_no_damage(tmp_path: Path) -> None:
    path = write(tmp_path, x264("colormatrix=YCgCo", "yuv444p"), COUNT)
    with pytest.raises(VideoError, match="this FFmpeg cannot convert how its colors") as told:
        read_clip(path, 0, 1)
    assert "damaged" not in str(told.value)


def test_frames_of_a_phone_come_upright_from_every_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = require_one_pixel(frames_of_phone(tmp_path), monkeypatch)
    assert whole.shape == (COUNT, 96, 64, 3)


def corner_of(position: int) -> npt.NDArray[np.uint8]:
    """A picture whose four quarters differ."""
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:16, :24] = (200, 30, 30)
    picture[:16, 24:] = (30, 200, 30)
    picture[16:, :24] = (30, 30, 200 - position)
    return picture


TURNS: dict[int, Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]]] = {
    # EXIF 2.3, table of Orientation: where row 0 and column 0 of what is stored are shown.
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],  # top, right
    3: lambda stored: stored[::-1, ::-1],  # bottom, right
    4: lambda stored: stored[::-1],  # bottom, left
    5: lambda stored: stored.transpose(1, 0, 2),  # left, top
    6: lambda stored: np.rot90(stored, -1),  # right, top
    7: lambda stored: stored.transpose(1, 0, 2)[::-1, ::-1],  # right, bottom
    8: lambda stored: np.rot90(stored, 1),  # left, bottom
}


@pytest.mark.parametrize("ending", ["png", "jpg"])
@pytest.mark.parametrize("orientation", TURNS)
def test_every_exif_orientation(tmp_path: Path, orientation: int, ending: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    for index in range(3):
        picture = Image.fromarray(corner_of(index))
        options = {"quality": 100, "subsampling": 0} if ending == "jpg" else {}
        picture.save(tmp_path / f"{index}.{ending}", exif=exif, **options)
    shown = read_clip_array(tmp_path, 0, 3)
    expected = np.stack([TURNS[orientation](corner_of(index)) for index in range(3)])
    assert shown.shape == expected.shape
    assert np.abs(shown.astype(int) - expected).max() <= (0 if ending == "png" else 12)


def test_a_damaged_orientation_leaves_the_frame_as_it_is(tmp_path: Path) -> None:
    Image.fromarray(corner_of(0)).save(tmp_path / "0.jpg", exif=b"Exif\0\0nonsense")
    exif = Image.Exif()
    exif[0x0112] = 99
    Image.fromarray(corner_of(0)).save(tmp_path / "1.jpg", exif=exif)
    assert read_clip_array(tmp_path, 0, 2).shape == (2, 32, 48, 3)
