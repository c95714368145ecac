"""Frames to MP4, WebM or GIF one by one, looking as the video did that they continue."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import numpy as np
from av.filter import Graph
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from vidpred.files import replacing
from vidpred.frame_rates import FRAME_RATES
from vidpred.video.clip import Pixels
from vidpred.video.playing import UNSPECIFIED, Look

_X264 = {"crf": "18", "preset": "veryfast"}
_FEW_FRAMES = {"libx264": {"tune": "zerolatency"}, "libvpx-vp9": {"lag-in-frames": "0"}}
_LARGE = 2**22
"""Pixels from which on an encoder may not look ahead: x264 holds dozens of frames to do so, which
take more memory than a prediction of 4K frames."""

_VP9 = {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"}

# FFmpeg numbers color spaces in streams (AVCOL_SPC) otherwise than in its converter (SWS_CS).
_CONVERTERS = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
}

# Without accurate rounding colors of the full range are one level too low: gray becomes green.
_CONVERSION = Interpolation.BICUBIC | Interpolation.ACCURATE_RND

_GIF_UNIT = Fraction(1, 100)
_GIF_SHORTEST = 2
"""Hundredths of a second: browsers show a frame that asks for less ten times as long."""


class VideoSink(Protocol):
    """What takes the frames of a video that is being written."""

    def write(self, pixels: Pixels) -> None:
        """Take the next frame, RGB, uint8, shape (H, W, 3)."""


@contextmanager
def streaming(path: Path, look: Look) -> Iterator[VideoSink]:
    """Write a video frame by frame; it appears under its name at the end, whole or not at all.

    MP4 holds H.264 and WebM VP9, in the look's rate, colors and aspect. Color planes have half
    the size, but not in MP4 of an odd size, which only full planes can keep. Rates are brought
    into 1/500 to 1000 frames per second, and 50 at most for a GIF. MP4 alone keeps pixels that are
    not square; WebM and GIF are made as wide as they are shown.

    Args:
        path: In a folder that exists; ends in .mp4, .webm or .gif.
        look: Of the frames, which all have its size.

    Raises:
        OSError: When the file cannot be written.
    """
    # Damaged files claim any rate; with a very high one, nothing of a short MP4 is played.
    slowest, fastest = FRAME_RATES
    look = replace(look, fps=min(max(look.fps, slowest), fastest))
    with (
        replacing(path) as temporary,
        av.open(str(temporary.absolute()), mode="w", options=_muxing(path)) as container,
    ):
        sink = (
            _GifSink(container, look)
            if path.suffix.lower() == ".gif"
            else _Sink(container, look, path)
        )
        yield sink
        sink.finish()


def _muxing(path: Path) -> dict[str, str]:
    return {"movflags": "+faststart"} if path.suffix.lower() == ".mp4" else {}


class _Sink:
    """H.264 or VP9."""

    def __init__(self, container: av.container.OutputContainer, look: Look, path: Path) -> None:
        mp4 = path.suffix.lower() == ".mp4"
        odd = look.height % 2 or look.width % 2
        self._container = container
        self._look = look = _storable(look) if mp4 else _square(_storable(look))
        self._stream = _add_stream(
            container, "libx264" if mp4 else "libvpx-vp9", look, _X264 if mp4 else _VP9
        )
        self._stream.pix_fmt = "yuv444p" if mp4 and odd else "yuv420p"
        context = self._stream.codec_context
        context.sample_aspect_ratio = look.pixel_aspect
        context.color_range = look.color_range
        context.colorspace = look.colorspace
        context.color_primaries = look.color_primaries
        context.color_trc = look.color_trc
        _open(self._stream)
        self._reformatter = VideoReformatter()
        self._count = 0

    def write(self, pixels: Pixels) -> None:
        """See `VideoSink.write`."""
        look = self._look
        frame = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24"),
            width=look.width,
            format=self._stream.pix_fmt,
            interpolation=_CONVERSION,
            dst_colorspace=_CONVERTERS.get(look.colorspace, Colorspace.ITU601),
            dst_color_range=look.color_range or 1,
            threads=1,
        )
        frame.colorspace, frame.color_range = look.colorspace, look.color_range
        frame.color_primaries, frame.color_trc = look.color_primaries, look.color_trc
        frame.pts, frame.time_base = self._count, 1 / look.fps
        self._count += 1
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what the encoder still holds."""
        self._container.mux(self._stream.encode())


class _GifSink:
    """GIF with a palette for each frame, so that no frame has to wait for all others."""

    def __init__(self, container: av.container.OutputContainer, look: Look) -> None:
        self._container = container
        self._look = look
        shown = _square(look)
        self._stream = _add_stream(container, "gif", shown, {})
        self._stream.pix_fmt = "pal8"
        self._stream.codec_context.time_base = _GIF_UNIT
        _open(self._stream)
        self._graph = graph = Graph()
        source = graph.add_buffer(
            width=look.width,
            height=look.height,
            format=av.VideoFormat("rgb24"),
            time_base=_GIF_UNIT,
        )
        wide = graph.add("scale", f"{shown.width}:{shown.height}")
        split = graph.add("split")
        palette = graph.add("palettegen", "stats_mode=single:reserve_transparent=0")
        # Ordered dithering: noise that is still, and compresses.
        use = graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=4")
        sink = graph.add("buffersink")
        source.link_to(wide)
        wide.link_to(split)
        split.link_to(use, 0, 0)
        split.link_to(palette, 1, 0)
        palette.link_to(use, 0, 1)
        use.link_to(sink)
        graph.configure()
        self._moment = 0
        self._count = 0

    def write(self, pixels: Pixels) -> None:
        """See `VideoSink.write`."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.pts, frame.time_base = self._moment, _GIF_UNIT
        self._count += 1
        due = round(self._count / self._look.fps / _GIF_UNIT)
        self._moment = max(self._moment + _GIF_SHORTEST, due)
        self._graph.push(frame)
        self._encode()

    def finish(self) -> None:
        """Write what filter and encoder still hold."""
        self._graph.push(None)
        self._encode()
        self._container.mux(self._stream.encode())

    def _encode(self) -> None:
        while True:
            try:
                frame = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            assert isinstance(frame, av.VideoFrame)  # for mypy: the graph has no sound
            self._container.mux(self._stream.encode(frame))


def _add_stream(
    container: av.container.OutputContainer, encoder: str, look: Look, options: dict[str, str]
) -> av.VideoStream:
    if look.height * look.width >= _LARGE:
        options = options | _FEW_FRAMES.get(encoder, {})
    stream = container.add_stream(encoder, rate=look.fps, options=options)
    assert isinstance(stream, av.VideoStream)  # for mypy: any name of an encoder is a str
    stream.width, stream.height = look.width, look.height
    return stream


def _open(stream: av.VideoStream) -> None:
    """Start an encoder; H.264 and VP9 take at most 16384 pixels a side, others less than FFmpeg."""
    context = stream.codec_context
    try:
        context.open(strict=False)
    except av.FFmpegError as error:
        raise OSError(
            errno.EINVAL,
            f"the encoder {context.name} takes no pictures of {stream.width} x {stream.height} "
            "pixels",
        ) from error


def _square(look: Look) -> Look:
    # PyAV 18.1 gives the aspect to codecs alone, and of these containers neither asks the codec.
    return replace(
        look, width=max(1, round(look.width * look.pixel_aspect)), pixel_aspect=Fraction(1)
    )


def _storable(look: Look) -> Look:
    """Take away what H.264 and VP9 cannot hold: matrices that are none, and exact odd rates."""
    matrix = look.colorspace if look.colorspace in _CONVERTERS else UNSPECIFIED
    return replace(look, colorspace=matrix, fps=look.fps.limit_denominator(60_000))
