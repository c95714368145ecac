"""Frames as files for a browser: lossless where they are scored, small elsewhere."""

from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from vidpred.video.clip import Pixels

PREVIEW_SIDE = 512
"""Longer side of a preview in pixels."""

_QUALITY = 82
_LEVEL = 1  # of PNG: a third of the time of the default, files a tenth larger


def to_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Encode a picture without loss.

    Args:
        pixels: RGB or RGBA, uint8, shape (H, W, 3) or (H, W, 4).
    """
    order = cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    return _encoded(".png", cv2.cvtColor(pixels, order), [cv2.IMWRITE_PNG_COMPRESSION, _LEVEL])


def to_preview(pixels: Pixels) -> bytes:
    """Encode a frame small and with loss, to find a moment of a clip.

    Args:
        pixels: RGB, uint8, shape (H, W, 3).
    """
    factor = PREVIEW_SIDE / max(pixels.shape[:2])
    if factor < 1:
        size = (max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor)))
        pixels = cast(Pixels, cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return _encoded(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])


def reduced(pixels: Pixels, factor: int) -> Pixels:
    """Reduce a frame by a whole factor, averaging; what does not fill a last pixel is cut off.

    Args:
        pixels: RGB, uint8, shape (H, W, 3), H and W at least `factor`.
        factor: 1 gives the frame itself.
    """
    if factor == 1:
        return pixels
    height, width = (length // factor * factor for length in pixels.shape[:2])
    size = (width // factor, height // factor)
    return cast(Pixels, cv2.resize(pixels[:height, :width], size, interpolation=cv2.INTER_AREA))


def _encoded(ending: str, picture: object, settings: list[int]) -> bytes:
    _, content = cv2.imencode(ending, cast(npt.NDArray[np.uint8], picture), settings)
    return bytes(content)
