"""Frames of one clip in image files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from vidpred.errors import DAMAGED, AccessError, VideoError, is_system_error

_MODES = {"1": "L", "L": "L", "LA": "L", "RGB": "RGB", "RGBA": "RGB", "P": "RGB", "PA": "RGB"}
_ORIENTATION = 0x0112  # EXIF's number of this entry
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_BIT_DEPTH = 24  # byte of the file at which the header chunk, always the first, holds it


def read_images(files: Sequence[Path]) -> npt.NDArray[np.uint8]:
    """Read PNG or JPEG files as the frames of one clip.

    Transparency is dropped, palettes are resolved, and frames are turned upright as viewers show
    them (EXIF). Gray frames among RGB ones become RGB: programs that make files small store a frame
    without color as gray.

    Args:
        files: In order, at least one, all in one folder.

    Returns:
        Shape (T, H, W, C); C is 3 (RGB), or 1 when all images are gray.

    Raises:
        AccessError: When the system does not give a file.
        VideoError: For files that are damaged or no 8-bit image, and frames that differ in size.
    """
    first = read_image(files[0])
    frames = np.empty((len(files), *first.shape), np.uint8)
    frames[0] = first
    for index, file in enumerate(files[1:], start=1):
        frame = read_image(file)
        if frame.shape[:2] != first.shape[:2]:
            raise VideoError(
                file,
                f"{_size_in_words(frame)}, and {files[0].name} is {_size_in_words(first)}; "
                "expected frames of one size in a clip",
            )
        if frame.shape[2] > frames.shape[3]:
            frames = frames.repeat(frame.shape[2], axis=3)
        frames[index] = frame  # a gray one fills all channels
    return frames


def _size_in_words(frame: npt.NDArray[np.uint8]) -> str:
    height, width, channels = frame.shape
    return f"{width} x {height} pixels, {'gray' if channels == 1 else 'RGB'}"


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
                flat = flat.convert(_MODES[image.mode])
                turn = _TURNS.get(_orientation(image))
                pixels = np.asarray(flat if turn is None else flat.transpose(turn))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise VideoError(
            file, f"{error}; expected a frame of at most {Image.MAX_IMAGE_PIXELS} pixels"
        ) from error
    except (OSError, *DAMAGED) as error:
        if isinstance(error, OSError) and is_system_error(error):
            raise AccessError(
                file, f"the system does not give it ({error.strerror}); try again later"
            ) from error
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        if isinstance(error, UnidentifiedImageError):
            reason = "empty" if file.stat().st_size == 0 else "neither PNG nor JPEG inside"
        raise VideoError(
            file, f"cannot be read ({reason}); expected a whole PNG or JPEG, write it again"
        ) from error
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _orientation(image: Image.Image) -> int:
    """Give how a file asks viewers to turn it, as EXIF counts; 1 is upright."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # what a note says about a picture must not make the picture unreadable
        return 1


def _require_plain(file: Path, image: Image.Image, deep: bool) -> None:
    """Refuse what would lose something on its way to 8 bits, or holds more than one picture."""
    if deep or image.mode not in _MODES:
        kind = "16 bits a channel" if deep else f"mode {image.mode}"
        raise VideoError(
            file,
            f"{kind}; expected 8-bit gray or RGB: convert the frames to 8 bits. For more depth "
            "`vidpred score` takes a clip as .npy, floats in [0, 1]",
        )
    if getattr(image, "n_frames", 1) > 1:
        raise VideoError(file, "an animation; expected one frame a file, or one video for the clip")
