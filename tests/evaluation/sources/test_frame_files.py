"""Files of one clip: orders, forms of images, arrays and videos, and every kind of damage."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from clip_reading import COLOR, GREY, ramp, read, refused
from PIL import Image
from torch import Tensor

from vidpred.errors import PredictionError
from vidpred.evaluation.sources.clip_folder import ClipFolder
from vidpred.evaluation.sources.frame_files import write_clip


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
        ("RGB", COLOR),
        ("RGBA", COLOR),
    ],
)
def test_each_mode_gives_its_pixels(clip: Path, mode: str, expected: np.ndarray) -> None:
    source = Image.fromarray(COLOR if mode.startswith("RGB") else GREY)
    image = source.convert(mode, dither=Image.Dither.NONE)
    if mode.endswith("A"):
        image.putalpha(Image.fromarray(255 - GREY))  # dropped, never blended
    image.save(clip / "1.png")
    assert np.array_equal(read(clip)[0].permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("transparent", [None, 3, bytes(range(80))])
def test_palettes_are_resolved(clip: Path, transparent: int | bytes | None) -> None:
    image = Image.fromarray(GREY).convert("P")
    colors = np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint8)
    image.putpalette(colors.tobytes())
    if transparent is None:
        image.save(clip / "1.png")
    else:
        image.save(clip / "1.png", transparency=transparent)
    expected = colors[np.asarray(image)]
    assert np.array_equal(read(clip)[0].permute(1, 2, 0).numpy(), expected)


def test_jpeg_is_near(clip: Path) -> None:
    y, x = np.mgrid[0:64, 0:80]
    picture = np.stack([x * 3, y * 4, 255 - x * 3], axis=-1).astype(np.uint8)
    Image.fromarray(picture).save(clip / "1.jpg", quality=95)
    back = read(clip)[0].permute(1, 2, 0).numpy()
    assert abs(back.astype(int) - picture).mean() < 2


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def deep_png(color_type: int, channels: int) -> bytes:
    """A PNG of 16 bits a channel, by hand: Pillow writes no such RGB, and reads it as 8 bits."""
    header = struct.pack(">IIBBBBB", 10, 8, 16, color_type, 0, 0, 0)
    rows = (b"\0" + bytes(10 * channels * 2)) * 8
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


@pytest.mark.parametrize(("color_type", "channels"), [(0, 1), (2, 3), (6, 4)])
def test_sixteen_bits_are_refused(clip: Path, color_type: int, channels: int) -> None:
    (clip / "1.png").write_bytes(deep_png(color_type, channels))
    Image.open(clip / "1.png").load()  # a whole image
    refused(clip, r"1\.png: 16 bits a channel; expected 8-bit .*\.npy")


def test_other_modes_and_formats_are_refused(clip: Path) -> None:
    Image.fromarray(COLOR).convert("CMYK").save(clip / "1.jpg")
    refused(clip, r"1\.jpg: mode CMYK; expected 8-bit gray or RGB")
    (clip / "1.jpg").unlink()
    Image.fromarray(COLOR).save(clip / "1.png", "TIFF")
    refused(clip, r"1\.png: cannot be read \(neither PNG nor JPEG inside\)")
    pictures = [Image.fromarray(COLOR), Image.fromarray(255 - COLOR)]
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
        Image.fromarray(COLOR if index == colored else GREY).save(clip / f"{index}.png")
    expected = [COLOR if index == colored else GREY[..., None].repeat(3, 2) for index in range(3)]
    assert np.array_equal(read(clip).permute(0, 2, 3, 1).numpy(), np.stack(expected))


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
