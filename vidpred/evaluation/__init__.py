"""Protocols, scoring, comparing, the report."""

from vidpred.evaluation.protocol import Protocol, available_protocols, load_protocol
from vidpred.evaluation.reading import read_result
from vidpred.evaluation.results import Result
from vidpred.evaluation.run import evaluate
from vidpred.evaluation.selection import FolderVideos, UCF101Videos, VideoSelection

__all__ = [
    "FolderVideos",
    "Protocol",
    "Result",
    "UCF101Videos",
    "VideoSelection",
    "available_protocols",
    "evaluate",
    "load_protocol",
    "read_result",
]
