"""One clip that a tab gave: checked, and read once so that every frame of it can be found."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
from av.container import InputContainer

from vidpred.errors import VideoError, VidpredError
from vidpred.page.disk import Folder
from vidpred.page.limits import Limits
from vidpred.page.pictures import to_preview
from vidpred.page.refusals import UNREADABLE, Gone, PageError
from vidpred.video.container import choose_stream, ffmpeg_errors
from vidpred.video.playing import Look, play

logger = logging.getLogger(__name__)

FORMATS = (
    "apng,asf,avi,avif,dv,flv,gif,h264,hevc,ivf,m4v,matroska,mov,mpeg,mpegts,mpegvideo,mxf,nut,obu,"
    "ogg,rm,webm,webp,yuv4mpegpipe"
)
"""FFmpeg's names of containers that hold frames themselves. Playlists and the like are not among
them: one that is uploaded would make us read other files of this machine."""

VIDEO_FILE = "clip"
"""Name of the uploaded file; the user's name is shown and never used as a path."""

_LONGEST_NAME = 200
_FEWEST_FRAMES = 2
_TELL_EVERY = 8  # frames

State = Literal["receiving", "reading", "ready", "failed"]


@dataclass
class Upload:
    """A clip, and what is known of it by now.

    Attributes:
        key: Names it in addresses.
        name: As the user calls it.
        folder: Its files: the video and a preview of every frame.
        limits: Of the page.
        changed: Is called when something changed.
        state: How far it is.
        problem: Why it cannot be used.
        expected: About how many frames there are.
        look: How its frames are shown; None until the first one is read.
        times: Seconds at which each frame is shown, in the order of frames.
        damaged: Indices of frames that are damaged.
        codec: Of the video.
    """

    key: str
    name: str
    folder: Folder
    limits: Limits
    changed: Callable[[], None]
    state: State = "receiving"
    problem: str | None = None
    expected: int = 0
    look: Look | None = None
    times: list[float] = field(default_factory=list)
    damaged: set[int] = field(default_factory=set)
    codec: str = ""

    def __post_init__(self) -> None:
        kept = "".join(letter for letter in self.name if letter.isprintable())
        self.name = kept[-_LONGEST_NAME:].strip() or "clip"

    @property
    def path(self) -> Path:
        """Where the video is."""
        return self.folder.path / VIDEO_FILE

    def preview(self, index: int) -> Path:
        """Give the file that shows a frame small."""
        return self.folder.path / _preview_name(index)

    def read(self) -> None:
        """Check the video and write a preview of every frame; failures are noted in `problem`."""
        self.state = "reading"
        self.changed()
        try:
            self._inspect()
            self._read_frames()
            self.state = "ready"
        except Gone:
            return
        except VideoError as error:
            self._fail(f"{self.name}: {error.problem}")
        except VidpredError as error:
            self._fail(str(error))
        except Exception:
            logger.exception("a clip cannot be read")
            self._fail(f"{self.name}: reading it failed by a mistake of vidpred; see the terminal")
        self.changed()

    def to_plain(self) -> dict[str, Any]:
        """Give what the page shows of it."""
        look = self.look
        return {
            "key": self.key,
            "name": self.name,
            "state": self.state,
            "problem": self.problem,
            "frames": len(self.times),
            "expected": max(self.expected, len(self.times)),
            "damaged": sorted(self.damaged),
            "codec": self.codec,
            "width": look and look.width,
            "height": look and look.height,
            "fps": look and round(float(look.fps), 3),
            "aspect": look and look.width * float(look.pixel_aspect) / look.height,
            "seconds": self.times[-1] + float(1 / look.fps) if look and self.times else 0,
        }

    def _inspect(self) -> None:
        """Refuse what is no video, too large or too long, before a frame is decoded."""
        with ffmpeg_errors(self.path), self._open() as container:
            stream = choose_stream(self.path, container)
            context = stream.codec_context
            self.codec = context.codec.canonical_name
            self._require_size(context.width, context.height)
            duration = None
            if stream.duration is not None and stream.time_base is not None:
                duration = stream.duration * stream.time_base
            elif container.duration is not None:
                duration = Fraction(container.duration, av.time_base)
            rate = stream.average_rate or stream.guessed_rate
            if duration is not None and rate:
                self.expected = stream.frames or round(duration * rate)
        if self.expected > self.limits.frames:
            lasts = "" if duration is None else f" ({_duration(duration)})"
            self._refuse_length(f"it has about {self.expected:,} frames{lasts}")

    def _open(self) -> InputContainer:
        try:
            return av.open(
                str(self.path),
                metadata_errors="replace",
                container_options={"format_whitelist": FORMATS, "protocol_whitelist": "file"},
            )
        except av.error.ArgumentError as error:  # FFmpeg's word for what is not on the list
            raise VideoError(
                self.path,
                "it is no video, or of a kind that this page does not take; expected such as MP4, "
                "MOV, MKV, WebM, AVI and GIF",
            ) from error

    def _read_frames(self) -> None:
        for index, frame in enumerate(play(self.path)):
            if index >= self.limits.frames:
                self._refuse_length(f"it has more than {self.limits.frames:,} frames")
            if index == 0:
                self._require_size(frame.look.width, frame.look.height)
            self.folder.write(_preview_name(index), to_preview(frame.pixels))
            if not frame.sound:
                self.damaged.add(index)
            self.times.append(float(frame.time))
            self.look = frame.look
            if index % _TELL_EVERY == 0:
                self.changed()
        if len(self.times) < _FEWEST_FRAMES:
            raise PageError(
                f"{self.name}: it has {len(self.times)} frame; expected a video of several frames",
                UNREADABLE,
            )

    def _require_size(self, width: int, height: int) -> None:
        if width * height > self.limits.pixels:
            side = int((self.limits.pixels * 9 / 16) ** 0.5)
            raise PageError(
                f"{self.name}: its frames are {width:,} x {height:,} pixels; expected at most "
                f"{self.limits.pixels / 1e6:.1f} megapixels, such as {side * 16 // 9} x {side}: "
                'make them smaller, for example with ffmpeg -i IN -vf "scale=1280:-2" OUT.mp4',
                UNREADABLE,
            )

    def _refuse_length(self, found: str) -> None:
        raise PageError(
            f"{self.name}: {found}; expected at most {self.limits.frames:,}: cut out the part to "
            "predict, for example with ffmpeg -ss 0:01:00 -t 10 -i IN -c copy OUT.mkv",
            UNREADABLE,
        )

    def _fail(self, problem: str) -> None:
        """Remove its files, and note why it is of no use."""
        self.folder.remove()
        self.problem, self.state = problem, "failed"


def _preview_name(index: int) -> str:
    return f"{index:06}.jpg"


def _duration(seconds: Fraction) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
