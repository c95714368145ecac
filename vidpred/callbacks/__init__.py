"""Watchers of a run: removing any of them changes no result."""

from vidpred.callbacks.certificate import GradientCertificate
from vidpred.callbacks.checkpoints import RunCheckpoints
from vidpred.callbacks.divergence import DivergenceGuard
from vidpred.callbacks.evaluation import FrameQuality
from vidpred.callbacks.health import TrainingHealth
from vidpred.callbacks.interrupt import InterruptCheckpoint
from vidpred.callbacks.pictures import Pictures
from vidpred.callbacks.quality import QualityResults, quality_table
from vidpred.callbacks.recovery import DivergenceRecovery

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
