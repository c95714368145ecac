"""What one page may take of this machine."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on uploads, predictions and the files that both leave.

    Attributes:
        upload_bytes: Size of one uploaded file.
        frames: Frames of one clip: two minutes at 30 frames per second by default.
        pixels: Pixels of one frame: 4K by default.
        clips: Clips that one tab keeps.
        predictions: Predictions that one tab keeps; the oldest ones make room for new ones.
        tabs: Tabs that are open at once. A browser opens six connections to one server, and each
            tab holds one to hear of progress.
        disk_bytes: Bytes of all temporary files together.
        horizon: Frames of one prediction.
        samples: Futures of one prediction.
        grace_seconds: Seconds after which a tab that went away counts as closed.
    """

    upload_bytes: int = 256 * 2**20
    frames: int = 3600
    pixels: int = 4096 * 2304
    clips: int = 6
    predictions: int = 6
    tabs: int = 4
    disk_bytes: int = 2 * 2**30
    horizon: int = 32
    samples: int = 8
    grace_seconds: float = 10.0
