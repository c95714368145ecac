"""What a run's `trainer.callbacks` may name.

Those that are defined here watch: removing one of them changes no result. The others are of
`vidpred.diagnostics` (health, certificate, divergence) and `vidpred.runs` (checkpoints, recovery,
weight average).
"""

from vidpred.callbacks.curves import Curves
from vidpred.callbacks.frame_quality import FrameQuality
from vidpred.callbacks.network_size import NetworkSummary
from vidpred.callbacks.pictures import Pictures
from vidpred.callbacks.prediction_health import PredictionHealth
from vidpred.callbacks.progress import TrainingBar, TrainingProgress
from vidpred.callbacks.quality_results import QualityResults, quality_table
from vidpred.diagnostics.certificate import GradientCertificate
from vidpred.diagnostics.divergence import DivergenceGuard
from vidpred.diagnostics.health import TrainingHealth
from vidpred.runs.checkpoints import RunCheckpoints
from vidpred.runs.clock import TrainingClock
from vidpred.runs.interrupt import InterruptCheckpoint
from vidpred.runs.recovery import DivergenceRecovery
from vidpred.runs.weight_average import WeightAverage

__all__ = [
    "Curves",
    "DivergenceGuard",
    "DivergenceRecovery",
    "FrameQuality",
    "GradientCertificate",
    "InterruptCheckpoint",
    "NetworkSummary",
    "Pictures",
    "PredictionHealth",
    "QualityResults",
    "RunCheckpoints",
    "TrainingBar",
    "TrainingClock",
    "TrainingHealth",
    "TrainingProgress",
    "WeightAverage",
    "quality_table",
]
