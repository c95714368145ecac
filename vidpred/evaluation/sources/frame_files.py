"""Frames of one clip in image files or in a video, whoever wrote them."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vidpred.errors import PredictionError, VideoError
from vidpred.files import temporary_name
from vidpred.ops.checks import require_uint8
from vidpred.video import count_frames, images, probe, read_clip


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


def read_images(files: Sequence[Path], expected: Expected | None = None) -> Tensor:
    """Read PNG or JPEG files as the frames of one clip.

    See `vidpred.video.images.read_images` for what becomes of transparency, palettes, rotation, and
    gray frames among colored ones.

    Args:
        files: In order, at least one, all in one folder.
        expected: How many they may be; anything when None.

    Returns:
        uint8, shape (T, C, H, W); C is 3 (RGB), or 1 when the images are gray.

    Raises:
        PredictionError: For another number of frames.
        VideoError: For files that are damaged or no 8-bit image, and frames that differ in size.
    """
    if expected is not None:
        expected.require(files[0].parent, len(files))
    return torch.from_numpy(images.read_images(files)).permute(0, 3, 1, 2).contiguous()


def size_in_words(shape: Sequence[int]) -> str:
    """Describe frames of shape (..., C, H, W)."""
    channels, height, width = shape[-3:]
    color = {1: "gray", 3: "RGB"}.get(channels, f"{channels} channels")
    return f"{width} x {height} pixels, {color}"


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
        except VideoError:
            # An edit list, or an encoder that leaves pictures out, makes fewer pictures of a video
            # that is whole. Any other fault is raised.
            count = count_frames(path)
            if count in (0, packets):
                raise
    else:
        count = count_frames(path)
    if expected is not None:
        expected.require(path, count)
    return read_clip(path, 0, count)


def write_clip(folder: str | Path, frames: Tensor) -> None:
    """Write a clip as `0001.png`, `0002.png` ... in a folder of its own, whole or not at all.

    The frames are written to a hidden folder next to it, which nothing here takes for a clip, and
    that then gets its name: an interrupted program leaves no half clip behind.

    Args:
        folder: The clip's folder, which must not be there yet; those above it are made.
        frames: uint8, shape (T, C, H, W) with C = 3 (RGB) or 1 (gray), T at least 1.

    Raises:
        TypeError: When the frames are not uint8.
        ValueError: For another shape, or a hidden name, which would never be read.
        PredictionError: When the folder is there already.
        OSError: When it cannot be written: no permission, disk full.
    """
    folder = Path(folder)
    require_uint8(frames)
    if folder.name.startswith(".") or not folder.name:
        raise ValueError(f"{folder}: expected a name for the clip that does not begin with a dot")
    if os.path.lexists(folder):
        raise PredictionError(f"{folder}: there already; remove it, or choose another folder")
    temporary = temporary_name(folder, keep_suffix=False)
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
