"""Protocols, scoring, comparing, the report."""

from vidpred.evaluation.digit_sequences import MovingMNISTFile, MovingMNISTVideos
from vidpred.evaluation.protocol import Protocol, available_protocols, load_protocol
from vidpred.evaluation.results.reading import read_result
from vidpred.evaluation.results.result import Result
from vidpred.evaluation.scoring.scoring_pass import evaluate
from vidpred.evaluation.selection import (
    FolderVideos,
    HeldOutVideos,
    KTHVideos,
    UCF101Videos,
    VideoSelection,
)

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
