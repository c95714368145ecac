"""Frames to a video file."""

from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.nn import functional as F

from vidpred.files import replacing
from vidpred.frame_rates import FRAME_RATES
from vidpred.ops.checks import require_uint8

Codec = Literal["h264", "mpeg4", "ffv1"]

_ENCODERS: dict[Codec, tuple[str, str, dict[str, str]]] = {
    # Encoder, pixel format, options.
    "h264": ("libx264", "yuv420p", {"crf": "18", "preset": "veryfast"}),
    # A fixed fine quantizer (2 of 1-31; 118 is FFmpeg's unit): the default is 200 kbit/s whatever
    # the frames hold.
    "mpeg4": ("mpeg4", "yuv420p", {"flags": "+qscale", "global_quality": str(2 * 118)}),
    "ffv1": ("ffv1", "bgr0", {}),
}
_MPEG4_NUMERATOR = 2**16 - 1
"""Of a frame rate: MPEG-4 part 2 holds two numbers of 16 bits."""

_CONTAINERS: dict[str, Codec] = {".mp4": "h264", ".avi": "mpeg4"}


def write_video(
    path: str | Path, frames: Tensor, *, fps: float | Fraction = 25, codec: Codec | None = None
) -> None:
    """Write frames to an `.mp4` or `.avi` file, whole or not at all.

    The file appears under its name only when it is complete, so an interrupted program leaves no
    half video behind. H.264 in the form that all players show halves the color planes: an odd
    height or width is first made even by repeating the last row or column, and the stored video is
    that one pixel larger.

    Args:
        path: Where to, in a folder that exists; `.mp4` (for browsers and W&B) or `.avi` (as
            UCF101).
        frames: uint8, shape (T, C, H, W) with C = 3 (RGB) or 1 (gray).
        fps: Frames per second, from 1/500 to 1000.
        codec: "h264", "mpeg4" (MPEG-4 part 2, UCF101's Xvid) or "ffv1" (lossless, `.avi` alone); by
            default h264 for `.mp4` and mpeg4 for `.avi`.

    Raises:
        TypeError: When the frames are not uint8.
        ValueError: For another shape or file name, or a frame rate out of range.
        OSError: When the file cannot be written: no such folder, no permission, disk full.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import torch
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "a.mp4")
        ...     write_video(path, torch.zeros(5, 3, 32, 48, dtype=torch.uint8), fps=25)
        ...     path.stat().st_size > 0
        True
    """
    path = Path(path)
    chosen = codec or _CONTAINERS.get(path.suffix.lower())
    if chosen is None or (chosen == "ffv1" and path.suffix.lower() != ".avi"):
        raise ValueError(
            f"{path.name!r} with codec {codec}; expected a name in .mp4 or .avi, and .avi for ffv1"
        )
    low, high = FRAME_RATES
    if not low <= fps <= high:  # nor is NaN
        raise ValueError(f"fps is {fps}; expected frames per second from {low} to {high}")
    pictures = _to_pictures(frames, even=chosen == "h264")
    with replacing(path) as temporary:
        _encode(temporary, pictures, _rate(fps, chosen), chosen)


def _rate(fps: float | Fraction, codec: Codec) -> Fraction:
    """Give the nearest rate that the encoder takes."""
    denominator = 1001  # of television's rates, such as 30000/1001
    if codec == "mpeg4":
        denominator = min(denominator, int(_MPEG4_NUMERATOR / fps))
    return Fraction(fps).limit_denominator(denominator)


def _to_pictures(frames: Tensor, *, even: bool) -> npt.NDArray[np.uint8]:
    require_uint8(frames)
    frames = frames.detach().cpu().expand(-1, 3, -1, -1)
    height, width = frames.shape[-2:]
    if even and (height % 2 or width % 2):
        padded = F.pad(frames.float(), (0, width % 2, 0, height % 2), mode="replicate")
        frames = padded.to(frames.dtype)
    return np.ascontiguousarray(frames.permute(0, 2, 3, 1).numpy())


def _encode(
    path: Path,
    pictures: npt.NDArray[np.uint8],
    fps: Fraction,
    codec: Codec,
) -> None:
    encoder, pixel_format, options = _ENCODERS[codec]
    muxing = {"movflags": "+faststart"} if path.suffix.lower() == ".mp4" else {}
    with av.open(str(path.absolute()), mode="w", options=muxing) as container:
        stream = container.add_stream(encoder, rate=fps, options=options)
        assert isinstance(
            stream, av.VideoStream
        )  # for mypy, which learns nothing from the name of an encoder
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = pixel_format
        stream.codec_context.thread_count = 1  # the same bytes on every machine
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
