"""Frames of one clip in image files."""

import re
import struct
import zlib
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from vidpred.errors import VideoError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})

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


def find_images(folder: Path) -> list[Path]:
    """Give the frames of a folder in order; other files in it are passed over.

    Raises:
        VideoError: When there is none, or their names do not tell one order.
    """
    try:
        images = [
            file
            for file in folder.iterdir()
            if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")
        ]
    except OSError as error:
        raise VideoError(folder, f"the folder cannot be opened ({error.strerror})") from error
    if not images:
        raise VideoError(
            folder,
            "it is a folder without PNG or JPEG frames; expected a video file or such a folder",
        )
    return in_order(images)


def in_order(files: Iterable[Path]) -> list[Path]:
    """Sort frames by the numbers in their names, so that frame2 comes before frame10.

    Args:
        files: Images of one clip.

    Raises:
        VideoError: When the names do not tell one order: two of them hold the same numbers, or
            they differ in more than numbers (two series in one folder).
    """
    ordered = sorted(files, key=lambda file: (_natural(file.stem), file.name))
    for file, following in pairwise(ordered):
        key, next_key = _natural(file.stem), _natural(following.stem)
        if key == next_key:
            raise VideoError(
                file.parent,
                f"{file.name!r} and {following.name!r} are two files for one frame; "
                "expected one file a frame, remove one of them",
            )
        if key[::2] != next_key[::2]:
            raise VideoError(
                file.parent,
                f"{file.name!r} and {following.name!r} differ in more than "
                "numbers, so their order is unknown; expected one series, as 0001.png 0002.png",
            )
    return ordered


def _natural(stem: str) -> list[str | int]:
    """Split a name into text and numbers in turn, text first."""
    parts = re.split(r"(\d+)", stem)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)]


def read_images(files: Sequence[Path]) -> npt.NDArray[np.uint8]:
    """Read PNG or JPEG files as the frames of one clip.

    Transparency is dropped, palettes are resolved; a rotation that a file asks viewers for is not
    applied.

    Args:
        files: In order, at least one, all in one folder.

    Returns:
        Shape (T, H, W, C); C is 3 (RGB), or 1 when the images are grey.

    Raises:
        VideoError: For files that are damaged or no 8-bit image, and frames that differ in size or
            in colour.
    """
    first = read_image(files[0])
    frames = np.empty((len(files), *first.shape), np.uint8)
    frames[0] = first
    for index, file in enumerate(files[1:], start=1):
        frame = read_image(file)
        if frame.shape != first.shape:
            raise VideoError(
                file,
                f"{_size_in_words(frame)}, and {files[0].name} is {_size_in_words(first)}; "
                "expected frames of one size and colour in a clip",
            )
        frames[index] = frame
    return frames


def _size_in_words(frame: npt.NDArray[np.uint8]) -> str:
    height, width, channels = frame.shape
    return f"{width} x {height} pixels, {'grey' if channels == 1 else 'RGB'}"


def read_image(file: Path) -> npt.NDArray[np.uint8]:
    """Read one image, shape (H, W, C); see `read_images`."""
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
        raise VideoError(
            file, f"{error}; expected a frame of at most {Image.MAX_IMAGE_PIXELS} pixels"
        ) from error
    except _DAMAGE as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        if isinstance(error, UnidentifiedImageError):
            reason = "empty" if file.stat().st_size == 0 else "neither PNG nor JPEG inside"
        raise VideoError(
            file, f"cannot be read ({reason}); expected a whole PNG or JPEG, write it again"
        ) from error
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _require_plain(file: Path, image: Image.Image, deep: bool) -> None:
    """Refuse what would lose something on its way to 8 bits, or holds more than one picture."""
    if deep or image.mode not in _MODES:
        kind = "16 bits a channel" if deep else f"mode {image.mode}"
        raise VideoError(
            file,
            f"{kind}; expected 8-bit grey or RGB. For more depth write the clip as .npy, "
            "floats in [0, 1]",
        )
    if getattr(image, "n_frames", 1) > 1:
        raise VideoError(file, "an animation; expected one frame a file, or one video for the clip")
