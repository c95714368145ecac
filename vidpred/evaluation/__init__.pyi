from .clips import ClipSource
from .digit_sequences import MovingMNISTFile, MovingMNISTVideos
from .measures import Measure
from .protocol import (
    ClipCut,
    FrameFormat,
    NamedProtocol,
    Protocol,
    Skip,
    available_protocols,
    load_protocol,
)
from .results.reading import read_result
from .results.result import Result
from .samples import Samples
from .scoring.checkpoint_methods import checkpoint_methods
from .scoring.extras import Extras
from .scoring.methods import FilesMethod, PredictorMethod, baselines
from .scoring.scored_method import ScoredMethod
from .scoring.scoring_pass import evaluate
from .selection import FolderVideos, HeldOutVideos, KTHVideos, UCF101Videos, VideoSelection
from .sources.video_clips import VideoClips

__all__ = [
    "ClipCut",
    "ClipSource",
    "Extras",
    "FilesMethod",
    "FolderVideos",
    "FrameFormat",
    "HeldOutVideos",
    "KTHVideos",
    "Measure",
    "MovingMNISTFile",
    "MovingMNISTVideos",
    "NamedProtocol",
    "PredictorMethod",
    "Protocol",
    "Result",
    "Samples",
    "ScoredMethod",
    "Skip",
    "UCF101Videos",
    "VideoClips",
    "VideoSelection",
    "available_protocols",
    "baselines",
    "checkpoint_methods",
    "evaluate",
    "load_protocol",
    "read_result",
]
