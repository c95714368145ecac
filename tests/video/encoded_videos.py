"""Small videos of every kind, which the tests encode through PyAV."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation

HEIGHT, WIDTH = 64, 96


@dataclass(frozen=True)
class Kind:
    """How a video is encoded.

    Attributes:
        name: File name.
        codec: FFmpeg's name of the encoder.
        pixels: FFmpeg's name of the pixel format.
        options: Of the encoder.
        seeks: Whether its time stamps are to be trusted.
        falls_back: Whether key frames turn out to be none, so that reading begins anew.
    """

    name: str
    codec: str
    pixels: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    seeks: bool = True
    falls_back: bool = False


_X264 = {"preset": "veryfast", "bf": "3", "threads": "1"}
_X265 = "keyint=8:min-keyint=8:bframes=3:log-level=none:pools=none:frame-threads=1"
_VPX = {"g": "8", "lag-in-frames": "16", "auto-alt-ref": "1", "cpu-used": "8", "b": "300k"}
_OPEN = "keyint=8:min-keyint=8:scenecut=0"
KINDS = [
    Kind("b_frames.mp4", "libx264", options=_X264 | {"g": "8"}),
    Kind("open_gop.mp4", "libx264", options=_X264 | {"x264-params": f"open-gop=1:{_OPEN}"}),
    Kind(
        "intra_refresh.mp4",
        "libx264",
        options=_X264 | {"x264-params": "intra-refresh=1:keyint=8"},
        falls_back=True,
    ),
    Kind("h264.ts", "libx264", options=_X264 | {"g": "8"}),
    Kind("h264.avi", "libx264", options=_X264 | {"g": "8"}, seeks=False),
    Kind("hevc.mp4", "libx265", options={"x265-params": f"{_X265}:open-gop=1"}),
    Kind("ten_bit.mkv", "libx265", "yuv420p10le", {"x265-params": f"{_X265}:open-gop=0"}),
    Kind("grey.mp4", "libx264", "gray", _X264 | {"g": "8"}),
    Kind("444.mp4", "libx264", "yuv444p", _X264 | {"g": "8"}),
    Kind("vp8.webm", "libvpx", options=_VPX),
    Kind("vp9.webm", "libvpx-vp9", options=_VPX | {"deadline": "good"}),
    Kind("av1.mp4", "libsvtav1", options={"preset": "12", "svtav1-params": "keyint=8:lp=1"}),
    Kind("mpeg4.mp4", "mpeg4", options={"bf": "2", "g": "8"}),
    Kind("mpeg4.mkv", "mpeg4", options={"bf": "2", "g": "8"}),
    Kind("mpeg4.avi", "mpeg4", options={"g": "8"}),
    Kind("mpeg4_b.avi", "mpeg4", options={"bf": "2", "g": "8"}, seeks=False),
    Kind("mpeg2.mpg", "mpeg2video", options={"bf": "2", "g": "8"}),
    Kind("mpeg2.ts", "mpeg2video", options={"bf": "2", "g": "8"}),
    Kind("wmv.asf", "wmv2", options={"g": "8"}, seeks=False),
    Kind("mjpeg.avi", "mjpeg", "yuvj420p"),
    Kind("mjpeg.mov", "mjpeg", "yuvj420p"),
    Kind("gif.gif", "gif", "rgb8"),
    Kind("ffv1.avi", "ffv1", "bgr0", {"g": "8"}),
]


def moving_texture(count: int, height: int = HEIGHT, width: int = WIDTH) -> list[npt.NDArray]:
    """Frames of (H, W, 3) that all differ, smooth enough that encoders use every kind of frame."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    texture = coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
    return [np.roll(texture, (index, 3 * index), (0, 1)) for index in range(count)]


def add_video(
    container: av.container.OutputContainer,
    kind: Kind,
    height: int = HEIGHT,
    width: int = WIDTH,
    rate: int = 25,
) -> av.VideoStream:
    stream = container.add_stream(kind.codec, rate=rate, options=kind.options)
    assert isinstance(stream, av.VideoStream)
    stream.height, stream.width, stream.pix_fmt = height, width, kind.pixels
    stream.codec_context.thread_count = 1
    return stream


def put(
    container: av.container.OutputContainer,
    stream: av.VideoStream,
    frames: Sequence[npt.NDArray],
    times: Sequence[int] | None = None,
) -> None:
    """Encode frames to the end; `times` are in thousandths of a second."""
    if times is not None:
        stream.codec_context.time_base = Fraction(1, 1000)
    for index, picture in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        if times is not None:
            frame.pts, frame.time_base = times[index], stream.codec_context.time_base
        container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
    container.mux(stream.encode(None))


def put_sound(container: av.container.OutputContainer, stream: av.AudioStream) -> None:
    for _ in range(20):
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write(
    folder: Path,
    kind: Kind,
    count: int = 40,
    times: Sequence[int] | None = None,
    height: int = HEIGHT,
    width: int = WIDTH,
) -> Path:
    path = folder / kind.name
    with av.open(str(path), "w") as container:
        stream = add_video(container, kind, height, width)
        put(container, stream, moving_texture(count, height, width), times)
    return path


def decode_in_order(path: Path, stream: int = 0) -> npt.NDArray[np.uint8]:
    """Plain PyAV from the beginning, default threads: what every reading must equal."""
    widened = Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INT
    with av.open(str(path)) as container:
        frames = [
            frame.to_ndarray(format="rgb24", interpolation=widened)
            for frame in container.decode(video=stream)
        ]
    return np.stack(frames)


def flip_bits(path: Path, *, frame: int) -> None:
    """Damage one frame of an AVI file so that its decoder notices."""
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][frame]
        assert packet.pos is not None
        position, size = packet.pos, packet.size
    for offset in range(200, size - 50, 20):
        data[position + 8 + offset] ^= 0xFF
    path.write_bytes(data)
