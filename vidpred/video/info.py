"""What a video is, as plain data that an index can keep."""

import zlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt

Integers: TypeAlias = npt.NDArray[np.int64]
Rotation = Literal[0, 90, 180, 270]
Clock = Literal["pts", "dts"]


@dataclass(frozen=True)
class VideoInfo:
    """What a file's packets say.

    Attributes:
        path: The file, or a folder of frames.
        num_frames: Frames that are shown, as decoding gives them. Packets can be more: an encoder
            marks a picture as not coded (UCF101's v_Kayaking_g12_c03 does), an edit list hides
            pictures, a broadcast begins between two key frames. See `count_frames`.
        height: Rows of a frame as it is shown (upright), in pixels.
        width: Columns of it.
        fps: Frames per second on average, `None` when the file does not say.
        codec: Name of the decoder, such as "h264"; "images" for a folder of frames.
        pixel_format: FFmpeg's name of how pixels are stored, such as "yuv420p".
        rotation: Degrees by which players turn the stored picture clockwise.
        mirrored: Whether they then swap left and right.
        header_frames: Frames that the container claims to hold, `None` when it claims nothing.
        packed_keys: Positions of key frames, see `key_frames`.
        packed_pts: Time stamps of all frames, see `pts`; `None` when they cannot be trusted.
        clock: Which time stamp of a decoded frame that is: "dts" where a container has no other.
    """

    path: Path
    num_frames: int
    height: int
    width: int
    fps: Fraction | None
    codec: str = ""
    pixel_format: str = ""
    rotation: Rotation = 0
    mirrored: bool = False
    header_frames: int | None = None
    packed_keys: bytes = b""
    packed_pts: bytes | None = None
    clock: Clock = "pts"

    @property
    def key_frames(self) -> Integers:
        """Where decoding can begin, ascending: frames as shown, or packets when `pts` is None."""
        return unpack(self.packed_keys)

    @property
    def pts(self) -> Integers | None:
        """Time stamp of every frame as shown, ascending, in the stream's own unit."""
        return None if self.packed_pts is None else unpack(self.packed_pts)

    def to_plain(self) -> dict[str, object]:
        """Give everything but the path, ready for JSON: some 0.5 kB, 1 kB for ten minutes.

        Time stamps that jitter take more, at most some bytes a frame.
        """
        return {
            "num_frames": self.num_frames,
            "height": self.height,
            "width": self.width,
            "fps": None if self.fps is None else str(self.fps),
            "codec": self.codec,
            "pixel_format": self.pixel_format,
            "rotation": self.rotation,
            "mirrored": self.mirrored,
            "header_frames": self.header_frames,
            "keys": b64encode(self.packed_keys).decode(),
            "pts": None if self.packed_pts is None else b64encode(self.packed_pts).decode(),
            "clock": self.clock,
        }

    @classmethod
    def from_plain(cls, path: str | Path, plain: dict[str, object]) -> Self:
        """Rebuild what `to_plain` gave.

        Args:
            path: The file that it is about.
            plain: As `to_plain` gave it.

        Raises:
            ValueError: When it is not what `to_plain` of this version gives.
        """
        try:
            return cls(
                path=Path(path),
                num_frames=_whole(plain["num_frames"]),
                height=_whole(plain["height"]),
                width=_whole(plain["width"]),
                fps=None if plain["fps"] is None else Fraction(str(plain["fps"])),
                codec=str(plain["codec"]),
                pixel_format=str(plain["pixel_format"]),
                rotation=_rotation(plain["rotation"]),
                mirrored=bool(plain["mirrored"]),
                header_frames=(
                    None if plain["header_frames"] is None else _whole(plain["header_frames"])
                ),
                packed_keys=b64decode(str(plain["keys"]), validate=True),
                packed_pts=(
                    None if plain["pts"] is None else b64decode(str(plain["pts"]), validate=True)
                ),
                clock=_clock(plain["clock"]),
            )
        except (KeyError, ValueError, ZeroDivisionError) as error:
            raise ValueError(
                f"{path}: what is kept of this video is not what VideoInfo.to_plain gives "
                f"({type(error).__name__}: {error}); probe it again"
            ) from error


def pack(values: Sequence[int] | Integers) -> bytes:
    """Keep whole numbers in few bytes: their differences, compressed."""
    differences = np.diff(np.asarray(values, np.int64), prepend=0)
    return zlib.compress(differences.astype("<i8").tobytes())


def unpack(packed: bytes) -> Integers:
    """Give back what `pack` took."""
    differences = np.frombuffer(zlib.decompress(packed), "<i8") if packed else np.empty(0)
    return np.cumsum(differences, dtype=np.int64)


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise ValueError(f"{value!r} is no whole number")
    return value


def _rotation(value: object) -> Rotation:
    match value:
        case 0 | 90 | 180 | 270:
            return value
        case _:
            raise ValueError(f"{value!r} is no rotation")


def _clock(value: object) -> Clock:
    match value:
        case "pts" | "dts":
            return value
        case _:
            raise ValueError(f"{value!r} is no clock")
