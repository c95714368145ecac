"""Watchers of a run: removing any of them changes no result."""

from vidpred.callbacks.frame_quality import FrameQuality
from vidpred.callbacks.pictures import Pictures
from vidpred.callbacks.quality_results import QualityResults, quality_table
from vidpred.diagnostics.certificate import GradientCertificate
from vidpred.diagnostics.divergence import DivergenceGuard
from vidpred.diagnostics.health import TrainingHealth
from vidpred.runs.checkpoints import RunCheckpoints
from vidpred.runs.interrupt import InterruptCheckpoint
from vidpred.runs.recovery import DivergenceRecovery

__all__ = [
    "DivergenceGuard",
    "DivergenceRecovery",
    "FrameQuality",
    "GradientCertificate",
    "InterruptCheckpoint",
    "Pictures",
    "QualityResults",
    "RunCheckpoints",
    "TrainingHealth",
    "quality_table",
]
