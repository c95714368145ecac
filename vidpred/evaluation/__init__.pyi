from .digit_sequences import MovingMNISTFile, MovingMNISTVideos
from .protocol import Protocol, available_protocols, load_protocol
from .results.reading import read_result
from .results.result import Result
from .scoring.scoring_pass import evaluate
from .selection import FolderVideos, HeldOutVideos, KTHVideos, UCF101Videos, VideoSelection

__all__ = [
    "FolderVideos",
    "HeldOutVideos",
    "KTHVideos",
    "MovingMNISTFile",
    "MovingMNISTVideos",
    "Protocol",
    "Result",
    "UCF101Videos",
    "VideoSelection",
    "available_protocols",
    "evaluate",
    "load_protocol",
    "read_result",
]
