from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vidpred.video.playing import Look, play
from vidpred.video.streaming import streaming


def colors(height: int, width: int, count: int = 6) -> np.ndarray:
    """Frames of a smooth color ramp that moves, (T, H, W, 3)."""
    t, y, x = np.meshgrid(np.arange(count), np.arange(height), np.arange(width), indexing="ij")
    ramp = np.stack([x * 200 // width + 4 * t, y * 240 // height, 255 - x * 200 // width], axis=-1)
    return ramp.clip(0, 255).astype(np.uint8)


def write(path: Path, look: Look, frames: Iterable[np.ndarray]) -> None:
    with streaming(path, look) as sink:
        for frame in frames:
            sink.write(frame)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
@pytest.mark.parametrize("size", [(48, 64), (49, 65), (1, 2)])
def test_what_is_written_plays_back(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    if suffix == ".gif" and size == (1, 2):
        size = (2, 2)
    path = tmp_path / f"ramp{suffix}"
    frames = colors(*size)
    write(path, Look(*size, Fraction(25)), frames)
    back = list(play(path))
    assert [frame.pixels.shape for frame in back] == [frame.shape for frame in frames]
    assert back[0].look.fps == 25
    if min(size) > 2:
        difference = np.abs(np.stack([f.pixels for f in back]).astype(int) - frames)
        assert difference.mean() < 4
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize("colorspace", [1, 2, 5, 6])
@pytest.mark.parametrize("color_range", [0, 1, 2])
def test_colors_and_aspect_are_kept(
    tmp_path: Path, suffix: str, colorspace: int, color_range: int
) -> None:
    look = Look(
        *(48, 64, Fraction(30000, 1001)),
        pixel_aspect=Fraction(16, 15),
        color_range=color_range,
        colorspace=colorspace,
        color_primaries=1,
        color_trc=1,
    )
    path = tmp_path / f"ramp{suffix}"
    write(path, look, colors(48, 64))
    back = list(play(path))
    found = back[0].look
    shown = 64 if suffix == ".mp4" else round(64 * 16 / 15)
    assert (found.height, found.width) == (48, shown)
    assert found.pixel_aspect == (look.pixel_aspect if suffix == ".mp4" else 1)
    # Read as its tags say, it is what was written: a wrong matrix or range is off by ten or more.
    difference = np.abs(np.stack([f.pixels for f in back]).astype(int) - colors(48, shown))
    assert difference.mean() < 3
    assert float(found.fps) == pytest.approx(30000 / 1001, abs=1e-2)
    assert found.color_range == (color_range or 1)  # limited, which players take it for anyway
    assert found.colorspace in ((5, 6) if colorspace in (5, 6) else (colorspace,))


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize("color_range", [0, 1, 2])
def test_uniform_colors_are_kept(tmp_path: Path, suffix: str, color_range: int) -> None:
    path = tmp_path / f"color{suffix}"
    look = Look(48, 64, Fraction(25), color_range=color_range)
    for level in (1, 60, 128, 200):  # gray is 128 in both color planes, whatever the range
        write(path, look, np.full((3, 48, 64, 3), level, np.uint8))
        with av.open(str(path)) as container:
            planes = next(container.decode(video=0)).to_ndarray(format="yuv420p")
        assert (planes[48:] == 128).all()
        assert all(np.ptp(f.pixels) == 0 for f in play(path))
        assert abs(int(next(play(path)).pixels[0, 0, 0]) - level) <= 1
    for color in ((255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 100, 50)):
        write(path, look, np.full((3, 48, 64, 3), color, np.uint8))
        for frame in play(path):
            assert np.abs(frame.pixels.astype(int) - color).max() <= 3


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
@pytest.mark.parametrize("fps", [Fraction(1, 4_000_000_000), Fraction(1_000_000_000)])
def test_absurd_rates_are_written(tmp_path: Path, suffix: str, fps: Fraction) -> None:
    path = tmp_path / f"ramp{suffix}"
    write(path, Look(32, 32, fps), colors(32, 32, 3))
    assert len(list(play(path))) == 3


def test_a_gif_keeps_time_and_shape(tmp_path: Path) -> None:
    path = tmp_path / "ramp.gif"
    look = Look(40, 60, Fraction(30), pixel_aspect=Fraction(4, 3))
    write(path, look, colors(40, 60, 31))
    with av.open(str(path)) as container:
        times = [float(frame.time) for frame in container.decode(video=0)]
        assert (container.streams.video[0].height, container.streams.video[0].width) == (40, 80)
    assert times == pytest.approx([round(k / 30, 2) for k in range(31)])
    write(path, Look(40, 60, Fraction(60)), colors(40, 60, 31))
    with av.open(str(path)) as container:
        times = [float(frame.time) for frame in container.decode(video=0)]
    assert times == pytest.approx([k / 50 for k in range(31)])


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_an_interruption_leaves_what_was_there(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"ramp{suffix}"
    path.write_bytes(b"before")

    def interrupted() -> Iterator[np.ndarray]:
        yield colors(48, 64)[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(path, Look(48, 64, Fraction(25)), interrupted())
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
