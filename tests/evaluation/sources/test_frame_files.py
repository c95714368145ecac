"""Files of one clip: orders, forms of images, arrays and videos, and every kind of damage."""

import io
import pickle
import struct
import warnings
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from vidpred.errors import PredictionError
from vidpred.evaluation.sources.clip_folder import ClipFolder
from vidpred.evaluation.sources.frame_files import write_clip
from vidpred.video import probe, write_video

GREY = np.arange(80, dtype=np.uint8).reshape(8, 10)
COLOUR = np.stack([GREY, GREY + 90, 255 - GREY], axis=-1)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """An empty folder for the clip "the clip"."""
    folder = tmp_path / "the clip"
    folder.mkdir()
    return folder


def read(clip: Path) -> Tensor:
    return ClipFolder(clip.parent).read("the clip")


def refused(clip: Path, said: str) -> None:
    with pytest.raises(PredictionError, match=rf"clip 'the clip': .*the clip.*{said}"):
        read(clip)


def save_level(file: Path, level: int) -> None:
    Image.fromarray(np.full((8, 10), level, np.uint8)).save(file)


@pytest.mark.parametrize(
    "names",
    [
        ["frame1.png", "frame2.png", "frame10.png", "frame100.png"],
        ["0009.png", "0010.png", "0011.png"],
        ["t+9.jpg", "t+10.jpeg", "t+011.JPG"],
        ["a1_b9.PNG", "a1_b10.png", "a2_b1.png"],
        ["7.png", "٨.png"],  # an Arabic-Indic eight
    ],
)
def test_frames_come_in_the_order_of_their_numbers(clip: Path, names: list[str]) -> None:
    # Written backwards, so that neither age nor the order on the disk helps.
    for index, name in reversed(list(enumerate(names))):
        save_level(clip / name, 40 * index)
    levels = [round(float(frame.float().mean())) for frame in read(clip)]
    assert levels == [40 * index for index in range(len(names))]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["1.png", "1.jpg"], r"'1\.jpg' and '1\.png' are two files for one frame"),
        (["frame1.png", "frame01.png"], "are two files for one frame"),
        (["gt_1.png", "gt_2.png", "pred_1.png"], r"'gt_2\.png' and 'pred_1\.png' differ in more"),
        (["first.png", "second.png"], "their order is unknown"),
    ],
)
def test_names_without_one_order_are_refused(clip: Path, names: list[str], said: str) -> None:
    for name in names:
        save_level(clip / name, 1)
    refused(clip, said)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("L", GREY[..., None]),
        ("1", (GREY[..., None] > 127) * np.uint8(255)),
        ("LA", GREY[..., None]),
        ("RGB", COLOUR),
        ("RGBA", COLOUR),
    ],
)
def test_each_mode_gives_its_pixels(clip: Path, mode: str, expected: np.ndarray) -> None:
    source = Image.fromarray(COLOUR if mode.startswith("RGB") else GREY)
    image = source.convert(mode, dither=Image.Dither.NONE)
    if mode.endswith("A"):
        image.putalpha(Image.fromarray(255 - GREY))  # dropped, never blended
    image.save(clip / "1.png")
    assert np.array_equal(read(clip)[0].permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("transparent", [None, 3, bytes(range(80))])
def test_palettes_are_resolved(clip: Path, transparent: int | bytes | None) -> None:
    image = Image.fromarray(GREY).convert("P")
    colours = np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint8)
    image.putpalette(colours.tobytes())
    if transparent is None:
        image.save(clip / "1.png")
    else:
        image.save(clip / "1.png", transparency=transparent)
    expected = colours[np.asarray(image)]
    assert np.array_equal(read(clip)[0].permute(1, 2, 0).numpy(), expected)


def test_jpeg_is_near(clip: Path) -> None:
    y, x = np.mgrid[0:64, 0:80]
    picture = np.stack([x * 3, y * 4, 255 - x * 3], axis=-1).astype(np.uint8)
    Image.fromarray(picture).save(clip / "1.jpg", quality=95)
    back = read(clip)[0].permute(1, 2, 0).numpy()
    assert abs(back.astype(int) - picture).mean() < 2


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def deep_png(colour_type: int, channels: int) -> bytes:
    """A PNG of 16 bits a channel, by hand: Pillow writes no such RGB, and reads it as 8 bits."""
    header = struct.pack(">IIBBBBB", 10, 8, 16, colour_type, 0, 0, 0)
    rows = (b"\0" + bytes(10 * channels * 2)) * 8
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3), (6, 4)])
def test_sixteen_bits_are_refused(clip: Path, colour_type: int, channels: int) -> None:
    (clip / "1.png").write_bytes(deep_png(colour_type, channels))
    Image.open(clip / "1.png").load()  # a whole image
    refused(clip, r"1\.png: 16 bits a channel; expected 8-bit .*\.npy")


def test_other_modes_and_formats_are_refused(clip: Path) -> None:
    Image.fromarray(COLOUR).convert("CMYK").save(clip / "1.jpg")
    refused(clip, r"1\.jpg: mode CMYK; expected 8-bit grey or RGB")
    (clip / "1.jpg").unlink()
    Image.fromarray(COLOUR).save(clip / "1.png", "TIFF")
    refused(clip, r"1\.png: cannot be read \(neither PNG nor JPEG inside\)")
    pictures = [Image.fromarray(COLOUR), Image.fromarray(255 - COLOUR)]
    pictures[0].save(clip / "1.png", save_all=True, append_images=pictures[1:])
    refused(clip, r"1\.png: an animation; expected one frame a file")


def encoded(suffix: str) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, {".png": "PNG", ".jpg": "JPEG"}[suffix])
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_damaged_images_are_refused_by_name(clip: Path, suffix: str) -> None:
    whole = encoded(suffix)
    (clip / f"1{suffix}").write_bytes(whole)
    damaged = clip / f"2{suffix}"
    for content, reason in (
        (b"", "empty"),
        (b"a text", "neither PNG nor JPEG inside"),
        (whole[: len(whole) // 2], "truncated"),
        (whole[:40], r"\w+"),
        (whole[: len(whole) // 2] + bytes(400), r"\w+"),
    ):
        damaged.write_bytes(content)
        refused(clip, rf"2\{suffix}: cannot be read \(.*{reason}.*\); expected a whole PNG")
    damaged.unlink()
    damaged.symlink_to(clip / "nowhere.png")
    refused(clip, rf"2\{suffix}: cannot be read \(No such file")
    damaged.unlink()
    damaged.write_bytes(whole)
    assert read(clip).shape == (2, 3, 40, 50)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".npy"])
def test_whatever_breaks_is_our_error(clip: Path, suffix: str) -> None:
    if suffix == ".npy":
        buffer = io.BytesIO()
        np.save(buffer, GREY[None])
        whole = buffer.getvalue()
    else:
        whole = encoded(suffix)
    generator = np.random.default_rng(0)
    refusals = 0
    for _ in range(200):
        broken = bytearray(whole)
        for place in generator.integers(0, 100, 3):
            broken[place] = generator.integers(0, 256)
        (clip / f"1{suffix}").write_bytes(broken[: generator.integers(10, len(whole))])
        try:
            read(clip)
        except PredictionError:
            refusals += 1
    assert refusals > 150


def test_a_bomb_is_refused_by_pillows_limit(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_level(clip / "1.png", 1)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)  # 80 pixels are more than twice that
    refused(clip, r"1\.png: .*decompression bomb.*; expected a frame of at most 30 pixels")


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((8, 12), r"12 x 8 pixels, gray, and 1\.png is 10 x 8 pixels, gray"),
        ((10, 8), r"8 x 10 pixels, gray, and 1\.png is 10 x 8 pixels, gray"),
        ((8, 12, 3), r"12 x 8 pixels, RGB, and 1\.png is 10 x 8 pixels, gray"),
    ],
)
def test_frames_of_two_forms_are_refused(clip: Path, shape: tuple[int, ...], said: str) -> None:
    Image.fromarray(GREY).save(clip / "1.png")
    Image.fromarray(np.zeros(shape, np.uint8)).save(clip / "2.png")
    refused(clip, rf"2\.png: {said}; expected frames of one size")


@pytest.mark.parametrize("colored", [0, 1, 2])
def test_gray_frames_among_colored_ones_become_rgb(clip: Path, colored: int) -> None:
    for index in range(3):
        Image.fromarray(COLOUR if index == colored else GREY).save(clip / f"{index}.png")
    expected = [COLOUR if index == colored else GREY[..., None].repeat(3, 2) for index in range(3)]
    assert np.array_equal(read(clip).permute(0, 2, 3, 1).numpy(), np.stack(expected))


@pytest.mark.parametrize(
    ("shape", "to_tchw"),
    [
        ((5, 8, 10), lambda a: a[:, None]),
        ((3, 8, 10), lambda a: a[:, None]),
        ((5, 8, 10, 3), lambda a: a.transpose(0, 3, 1, 2)),
        ((5, 8, 10, 1), lambda a: a.transpose(0, 3, 1, 2)),
        ((5, 3, 8, 10), lambda a: a),
        ((5, 1, 8, 10), lambda a: a),
        ((3, 3, 8, 10), lambda a: a),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_layouts_of_arrays(
    clip: Path, shape: tuple[int, ...], to_tchw: Callable[[np.ndarray], np.ndarray], order: str
) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.save(clip / "x.npy", array if order == "C" else np.asfortranarray(array))
    frames = read(clip)
    assert np.array_equal(frames.numpy(), to_tchw(array))
    assert frames.is_contiguous()


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((8, 10, 3), r"one frame \(H, W, C\), or 8 grey frames that are 3 pixels wide"),
        ((5, 3, 8, 3), r"3 x 8 pixels .* as \(T, H, W, C\), and 8 x 3 as \(T, C, H, W\)"),
        ((5, 1, 8, 3), "too small to tell, write them as PNG"),
        ((5, 8, 10, 4), r"shape \(5, 8, 10, 4\); expected \(T, H, W, C\) or"),
        ((1, 5, 8, 10, 3), "one clip a file"),
        ((8, 10), r"shape \(8, 10\); expected"),
        ((), r"shape \(\); expected"),
        ((0, 3, 8, 10), r"shape \(0, 3, 8, 10\) holds no pixel"),
        ((5, 0, 10), "holds no pixel|cannot be read"),
    ],
)
def test_other_shapes_are_refused(clip: Path, shape: tuple[int, ...], said: str) -> None:
    np.save(clip / "x.npy", np.zeros(shape, np.uint8))
    refused(clip, said)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
@pytest.mark.parametrize("value_range", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-0.5, 0.5)])
def test_floats_come_to_zero_one(clip: Path, dtype: str, value_range: tuple[float, float]) -> None:
    low, high = value_range
    unit = np.random.default_rng(0).random((2, 8, 10))
    unit[0, 0, :2] = 0, 1
    np.save(clip / "x.npy", (unit * (high - low) + low).astype(dtype))
    frames = ClipFolder(clip.parent, value_range=value_range).read("the clip")
    assert frames.dtype == torch.float32
    # Half precision has 11 bits, here of values up to 2 (in units of the range).
    tolerance = 1e-3 if dtype == "f2" else 1e-6
    assert np.abs(frames[:, 0].numpy() - unit).max() < tolerance
    assert frames.min() >= 0
    assert frames.max() <= 1


def test_bytes_are_bytes_whatever_the_range(clip: Path) -> None:
    np.save(clip / "x.npy", GREY[None])
    frames = ClipFolder(clip.parent, value_range=(-1, 1)).read("the clip")
    assert np.array_equal(frames[0, 0].numpy(), GREY)


@pytest.mark.parametrize(
    ("value_range", "low", "high"),
    [((0, 1), -1.0, 1.0), ((0, 1), 0.0, 255.0), ((0, 1), 0.0, 1.002), ((-1, 1), -1.01, 1.0)],
)
def test_values_outside_the_range_are_refused(
    clip: Path, value_range: tuple[float, float], low: float, high: float
) -> None:
    array = np.full((2, 8, 10), 0.5, np.float32)
    array[1, 3, 3:5] = low, high
    np.save(clip / "x.npy", array)
    said = rf"values from {low:g} to {high:g}; expected {value_range[0]} to 1: clip them"
    with pytest.raises(PredictionError, match=rf"the clip.*x\.npy: {said}"):
        ClipFolder(clip.parent, value_range=value_range).read("the clip")


def test_rounding_is_no_other_range(clip: Path) -> None:
    # A thousandth of the range is allowed and clipped.
    np.save(clip / "x.npy", np.array([[[-0.0009, 0.5, 0.25, 1.0009]]]))
    assert read(clip).flatten().tolist() == [0, 0.5, 0.25, 1]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused(clip: Path, value: float) -> None:
    array = np.full((3, 8, 10), 0.5, np.float32)
    array[2, 7, 9] = value
    np.save(clip / "x.npy", array)
    refused(clip, "frame 3 of 3 holds NaN or infinity; expected numbers from 0 to 1")


@pytest.mark.parametrize("dtype", ["i8", "u2", "c8", "?", "U1", [("a", "u1")]])
def test_other_types_are_refused(clip: Path, dtype: object) -> None:
    np.save(clip / "x.npy", np.zeros((2, 8, 10), dtype))  # type: ignore[call-overload]  # any
    refused(clip, "values of type .*; expected uint8")


class Trap:
    """Says so when a pickle is opened."""

    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return warnings.warn, ("a pickle was opened",)


def test_damaged_arrays_are_refused_and_run_nothing(clip: Path) -> None:
    file = clip / "x.npy"
    np.save(file, np.array([Trap()], dtype=object))
    refused(clip, r"x\.npy: cannot be read \(.*Python objects.*\); expected one whole array")
    np.save(file, np.zeros((2, 8, 10), np.uint8))
    whole = file.read_bytes()
    zipped = io.BytesIO()
    np.savez(zipped, a=np.zeros(3))
    for content in (b"", b"a text", whole[:-1], whole[:90], whole[:7], pickle.dumps(Trap())):
        file.write_bytes(content)
        refused(clip, r"x\.npy: cannot be read \(.+\); expected one whole array")
    file.write_bytes(zipped.getvalue())
    refused(clip, r"x\.npy: cannot be read")
    file.write_bytes(whole.replace(b"(2, 8, 10)", b"(2, 8, -9)"))
    refused(clip, r"x\.npy: cannot be read")
    file.write_bytes(whole.replace(b"{'descr'", b"{{descr'"))
    refused(clip, r"x\.npy: cannot be read")


def test_no_values_are_read_to_count(clip: Path) -> None:
    # 100 GB on paper: a hole in the file. Only its header can be read in time and memory.
    with (clip / "x.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (100_000, 1000, 1000)}
        )
        file.truncate(file.tell() + 100_000 * 1000 * 1000)
    with pytest.raises(PredictionError, match=r"x\.npy: 100000 frame\(s\); expected 2"):
        ClipFolder(clip.parent).read_pred("the clip", 2)


def ramp(frames: int, height: int = 32, width: int = 48) -> Tensor:
    t, y, x = torch.meshgrid(
        torch.arange(frames), torch.arange(height), torch.arange(width), indexing="ij"
    )
    return torch.stack([x * 5 + t, y * 7, 255 - x * 4 - t], dim=1).clamp(0, 255).to(torch.uint8)


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
    # gif has 256 colours; other orders of rows, columns or channels are 60 off.
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


def test_nothing_half_is_ever_a_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = ramp(6)
    write_clip(tmp_path / "first", frames)
    written = []
    save = Image.Image.save

    def interrupted(image: Image.Image, file: Path, compress_level: int) -> None:
        written.append(file)
        if len(written) == 4:
            assert ClipFolder(tmp_path).clips == ["first"]
            raise KeyboardInterrupt
        save(image, file, compress_level=compress_level)

    monkeypatch.setattr(Image.Image, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_clip(tmp_path / "second", frames)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["first"]
    write_clip(tmp_path / "second", frames)
    assert torch.equal(ClipFolder(tmp_path).read("second"), frames)


def test_a_clip_that_is_there_is_kept(tmp_path: Path) -> None:
    write_clip(tmp_path / "a", ramp(2))
    with pytest.raises(PredictionError, match=r"a: there already; remove it, or choose"):
        write_clip(tmp_path / "a", ramp(3))
    assert len(ClipFolder(tmp_path).read("a")) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("frames", "error"),
    [
        (torch.zeros(3, 3, 8, 8), TypeError),
        (torch.zeros(3, 2, 8, 8, dtype=torch.uint8), ValueError),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), ValueError),
        (torch.zeros(0, 3, 8, 8, dtype=torch.uint8), ValueError),
    ],
)
def test_other_frames_are_not_written(
    tmp_path: Path, frames: Tensor, error: type[Exception]
) -> None:
    with pytest.raises(error, match="expected"):
        write_clip(tmp_path / "a", frames)
    with pytest.raises(ValueError, match="does not begin with a dot"):
        write_clip(tmp_path / ".a", ramp(2))
    assert list(tmp_path.iterdir()) == []
