import math
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from vidpred.video import probe, read_clip, write_video


@pytest.fixture
def ramp() -> torch.Tensor:
    """Ten frames of a smooth color ramp that moves, 30 x 44."""
    t, y, x = torch.meshgrid(torch.arange(10), torch.arange(30), torch.arange(44), indexing="ij")
    return torch.stack([x * 5 + t, y * 7, 255 - x * 4 - t], dim=1).clamp(0, 255).to(torch.uint8)


def psnr_db(a: torch.Tensor, b: torch.Tensor) -> float:
    return 10 * math.log10(255**2 / (a.float() - b.float()).square().mean().clamp_min(1e-9))


@pytest.mark.parametrize(("suffix", "floor_db"), [(".mp4", 32), (".avi", 32)])
def test_what_is_written_is_read_back(
    tmp_path: Path, ramp: torch.Tensor, suffix: str, floor_db: float
) -> None:
    path = tmp_path / f"ramp{suffix}"
    write_video(path, ramp, fps=29.97)
    back = read_clip(path, 0, 10)
    assert back.shape == ramp.shape
    assert psnr_db(back, ramp) > floor_db
    # Order of channels and frames: any other order is far worse.
    assert psnr_db(back.flip(1), ramp) < 20
    assert probe(path).num_frames == 10
    assert probe(path).fps == Fraction(2997, 100)
    assert list(tmp_path.iterdir()) == [path]


def test_lossless_is_lossless(tmp_path: Path, ramp: torch.Tensor) -> None:
    write_video(tmp_path / "ramp.avi", ramp[..., :29, :43], codec="ffv1")
    assert torch.equal(read_clip(tmp_path / "ramp.avi", 0, 10), ramp[..., :29, :43])


@pytest.mark.parametrize(
    ("suffix", "stored"), [(".mp4", (30, 44)), (".avi", (29, 43))], ids=["mp4", "avi"]
)
def test_an_odd_size_loses_no_pixel(
    tmp_path: Path, ramp: torch.Tensor, suffix: str, stored: tuple[int, int]
) -> None:
    odd = ramp[..., :29, :43]
    path = tmp_path / f"odd{suffix}"
    write_video(path, odd)
    back = read_clip(path, 0, 10)
    assert back.shape[-2:] == stored
    assert psnr_db(back[..., :29, :43], odd) > 32
    # The added row and column repeat the last ones.
    assert psnr_db(back[..., -1, :43], odd[..., -1, :]) > 25


def test_grey_becomes_three_equal_channels(tmp_path: Path, ramp: torch.Tensor) -> None:
    write_video(tmp_path / "grey.mp4", ramp[:, :1])
    back = read_clip(tmp_path / "grey.mp4", 0, 10)
    assert psnr_db(back, ramp[:, :1].expand(-1, 3, -1, -1)) > 35


def test_mp4_starts_before_it_is_loaded(tmp_path: Path, ramp: torch.Tensor) -> None:
    write_video(tmp_path / "fast.mp4", ramp)
    data = (tmp_path / "fast.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize(
    ("frames", "error"),
    [
        (torch.zeros(3, 3, 8, 8), TypeError),
        (torch.zeros(3, 2, 8, 8, dtype=torch.uint8), ValueError),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), ValueError),
        (torch.zeros(0, 3, 8, 8, dtype=torch.uint8), ValueError),
    ],
)
def test_other_frames_are_refused(
    tmp_path: Path, frames: torch.Tensor, error: type[Exception]
) -> None:
    with pytest.raises(error, match="expected"):
        write_video(tmp_path / "a.mp4", frames)
    assert list(tmp_path.iterdir()) == []


def test_an_array_is_refused_by_its_type(tmp_path: Path) -> None:
    array = np.zeros((3, 8, 8, 3), np.uint8)
    with pytest.raises(TypeError, match=r"frames of type ndarray; expected a torch\.Tensor"):
        write_video(tmp_path / "a.mp4", array)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    ("name", "codec", "fps"),
    [
        ("a.mov", None, 25),
        ("a.mp4", "ffv1", 25),
        ("a.mp4", None, 0),
        ("a.mp4", None, math.nan),
        ("a.mp4", None, math.inf),
        ("a.mp4", None, 5000),  # of three frames one would be played
        ("a.avi", None, 0.0001),  # 0 / 1 in whole numbers, which FFmpeg takes for 24
        ("a.avi", "ffv1", 90_000),
    ],
)
def test_other_names_and_rates_are_refused(
    tmp_path: Path,
    ramp: torch.Tensor,
    name: str,
    codec: Literal["h264", "mpeg4", "ffv1"] | None,
    fps: float,
) -> None:
    with pytest.raises(ValueError, match="expected"):
        write_video(tmp_path / name, ramp, codec=codec, fps=fps)


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "ffv1.avi"])
@pytest.mark.parametrize("fps", [0.002, 0.5, 23.976, Fraction(120_000, 1001), 1000])
def test_frame_rates_are_kept(
    name: str, fps: float | Fraction, tmp_path: Path, ramp: torch.Tensor
) -> None:
    write_video(tmp_path / name, ramp, fps=fps, codec="ffv1" if name == "ffv1.avi" else None)
    found = probe(tmp_path / name)
    assert found.fps == pytest.approx(fps, rel=1e-4)
    assert found.num_frames == len(ramp)


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_a_full_disk_is_an_oserror_and_keeps_the_file_that_was_there(
    tmp_path: Path, suffix: str
) -> None:
    pytest.importorskip("resource", reason="file size limits exist on POSIX alone")
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"before")
    # A limit on file sizes stands for the full disk: the kernel refuses the write in the same way.
    code = """
import resource, sys, torch
from vidpred.video import write_video
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
frames = torch.randint(0, 255, (30, 3, 64, 64), dtype=torch.uint8)
try:
    write_video(sys.argv[1], frames)
except OSError as error:
    print("OSError", error.errno)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("OSError")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"before"


def test_a_missing_folder_is_an_oserror(tmp_path: Path, ramp: torch.Tensor) -> None:
    with pytest.raises(FileNotFoundError):
        write_video(tmp_path / "absent" / "a.mp4", ramp)
