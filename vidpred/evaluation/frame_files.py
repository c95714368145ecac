"""Frames of one clip in image files or in a video, whoever wrote them."""

import os
import re
import shutil
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from vidpred.errors import PredictionError, VideoError
from vidpred.video import check_clip, probe, read_clip

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})
VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mkv", ".webm", ".mov", ".gif", ".m4v"})

_MODES = {"1": "L", "L": "L", "LA": "L", "RGB": "RGB", "RGBA": "RGB", "P": "RGB", "PA": "RGB"}
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_BIT_DEPTH = 24  # byte of the file at which the header chunk, always the first, tells it

# What Pillow's parsers raise for files that are cut, damaged or no image.
# fmt: off
_DAMAGE = (
    OSError, EOFError, SyntaxError, ValueError, IndexError, OverflowError, MemoryError,
    struct.error, zlib.error,
)
# fmt: on


@dataclass(frozen=True)
class Expected:
    """Numbers of frames that are right for a clip.

    Attributes:
        counts: Each of them.
        words: The same for people, as what follows "expected".
    """

    counts: tuple[int, ...]
    words: str

    def require(self, path: Path, found: int) -> None:
        """Refuse another number of frames."""
        if found not in self.counts:
            raise PredictionError(f"{path}: {found} frame(s); expected {self.words}")


def in_order(files: Iterable[Path]) -> list[Path]:
    """Sort frames by the numbers in their names, so that frame2 comes before frame10.

    Args:
        files: Images of one clip.

    Raises:
        PredictionError: When the names do not tell one order: two of them hold the same numbers, or
            they differ in more than numbers (two series in one folder).
    """
    ordered = sorted(files, key=lambda file: (_natural(file.stem), file.name))
    for file, following in pairwise(ordered):
        key, next_key = _natural(file.stem), _natural(following.stem)
        if key == next_key:
            raise PredictionError(
                f"{file.parent}: {file.name!r} and {following.name!r} are two files for one frame; "
                "expected one file a frame, remove one of them"
            )
        if key[::2] != next_key[::2]:
            raise PredictionError(
                f"{file.parent}: {file.name!r} and {following.name!r} differ in more than "
                "numbers, so nobody knows their order; expected one series, as 0001.png 0002.png"
            )
    return ordered


def _natural(stem: str) -> list[str | int]:
    """Split a name into text and numbers in turn, text first."""
    parts = re.split(r"(\d+)", stem)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)]


def read_images(files: Sequence[Path], expected: Expected | None = None) -> Tensor:
    """Read PNG or JPEG files as the frames of one clip.

    Transparency is dropped, palettes are resolved; a rotation that a file asks viewers for is not
    applied.

    Args:
        files: In order, at least one, all in one folder.
        expected: How many they may be; anything when None.

    Returns:
        uint8, shape (T, C, H, W); C is 3 (RGB), or 1 when the images are grey.

    Raises:
        PredictionError: For another number of frames, files that are damaged or no 8-bit image, and
            frames that differ in size or in colour.
    """
    if expected is not None:
        expected.require(files[0].parent, len(files))
    first = _read_image(files[0])
    frames = np.empty((len(files), *first.shape), np.uint8)
    frames[0] = first
    for index, file in enumerate(files[1:], start=1):
        frame = _read_image(file)
        if frame.shape != first.shape:
            raise PredictionError(
                f"{file}: {size_in_words(frame.shape)}, and {files[0].name} is "
                f"{size_in_words(first.shape)}; expected frames of one size and colour in a clip"
            )
        frames[index] = frame
    return torch.from_numpy(frames)


def size_in_words(shape: Sequence[int]) -> str:
    """Describe frames of shape (..., C, H, W)."""
    channels, height, width = shape[-3:]
    colour = {1: "grey", 3: "RGB"}.get(channels, f"{channels} channels")
    return f"{width} x {height} pixels, {colour}"


def _read_image(file: Path) -> npt.NDArray[np.uint8]:
    """Read one image, shape (C, H, W)."""
    try:
        with file.open("rb") as stream:
            header = stream.read(_PNG_BIT_DEPTH + 1)
            deep = header.startswith(_PNG_SIGNATURE) and header[_PNG_BIT_DEPTH:] == b"\x10"
            stream.seek(0)
            # Other formats are refused even under these names: fewer decoders to trust.
            with Image.open(stream, formats=("PNG", "JPEG")) as image:
                _require_plain(file, image, deep)
                # Straight to RGB, Pillow warns of a palette that holds transparency.
                flat = image.convert("RGBA") if image.mode == "P" else image
                pixels = np.asarray(flat.convert(_MODES[image.mode]))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PredictionError(
            f"{file}: {error}; expected a frame of at most {Image.MAX_IMAGE_PIXELS} pixels"
        ) from error
    except _DAMAGE as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        if isinstance(error, UnidentifiedImageError):
            reason = "empty" if file.stat().st_size == 0 else "neither PNG nor JPEG inside"
        raise PredictionError(
            f"{file}: cannot be read ({reason}); expected a whole PNG or JPEG, write it again"
        ) from error
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _require_plain(file: Path, image: Image.Image, deep: bool) -> None:
    """Refuse what would lose something on its way to 8 bits, or holds more than one picture."""
    if deep or image.mode not in _MODES:
        kind = "16 bits a channel" if deep else f"mode {image.mode}"
        raise PredictionError(
            f"{file}: {kind}; expected 8-bit grey or RGB. For more depth write the clip as .npy, "
            "floats in [0, 1]"
        )
    if getattr(image, "n_frames", 1) > 1:
        raise PredictionError(
            f"{file}: an animation; expected one frame a file, or one video for the clip"
        )


def read_video(path: Path, expected: Expected | None = None) -> Tensor:
    """Read all frames of a video.

    Args:
        path: The file.
        expected: How many frames it may have; anything when None.

    Returns:
        RGB, uint8, shape (T, 3, H, W).

    Raises:
        PredictionError: For another number of frames.
        VideoError: When it is damaged, no video, or without frames.
    """
    packets = probe(path).num_frames
    if expected is None or packets in expected.counts:
        try:
            return read_clip(path, 0, packets)
        except VideoError as error:
            count = _pictures(error)
    else:
        try:
            # A frame that cannot be there: everything is decoded, and nothing converted or kept.
            check_clip(path, packets, 1)
        except VideoError as error:
            count = _pictures(error)
        else:
            raise VideoError(path, "more pictures than packets; encode it again, as .mp4 or .avi")
    if expected is not None:
        expected.require(path, count)
    return read_clip(path, 0, count)


def _pictures(error: VideoError) -> int:
    """Give the pictures of a video that ended early, where packets are more.

    An edit list, or an encoder that leaves pictures out, makes that happen to videos that are
    whole. Any other fault is raised.
    """
    told = re.match(r"it has (\d+) frames", error.problem)
    if told is None or told[1] == "0":
        raise error
    return int(told[1])


def write_clip(folder: str | Path, frames: Tensor) -> None:
    """Write a clip as `0001.png`, `0002.png` ... in a folder of its own, whole or not at all.

    The frames are written to a hidden folder beside it, which nothing here takes for a clip, and
    that then gets its name: an interrupted program leaves no half clip behind.

    Args:
        folder: The clip's folder, which must not be there yet; those above it are made.
        frames: uint8, shape (T, C, H, W) with C = 3 (RGB) or 1 (grey), T at least 1.

    Raises:
        TypeError: When the frames are not uint8.
        ValueError: For another shape, or a hidden name, which would never be read.
        PredictionError: When the folder is there already.
        OSError: When it cannot be written: no permission, disk full.
    """
    folder = Path(folder)
    if frames.dtype != torch.uint8:
        raise TypeError(f"frames are {frames.dtype}; expected uint8, see vidpred.ops.unit_to_uint8")
    if frames.ndim != 4 or frames.shape[1] not in (1, 3) or 0 in frames.shape:
        raise ValueError(
            f"frames have shape {tuple(frames.shape)}; expected (T, C, H, W) with C 1 or 3"
        )
    if folder.name.startswith(".") or not folder.name:
        raise ValueError(f"{folder}: expected a name for the clip that does not begin with a dot")
    if os.path.lexists(folder):
        raise PredictionError(f"{folder}: there already; remove it, or choose another folder")
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)  # left by a killed program of the same number
    try:
        temporary.mkdir(parents=True)
        for number, frame in enumerate(frames.cpu().numpy(), start=1):
            pixels = frame[0] if len(frame) == 1 else np.ascontiguousarray(frame.transpose(1, 2, 0))
            # On frames of UCF101, half the time of Pillow's default for a tenth more bytes.
            Image.fromarray(pixels).save(temporary / f"{number:04d}.png", compress_level=1)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
