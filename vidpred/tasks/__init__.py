"""Lightning modules: each trains a predictor by one principle; see `PredictionTask`."""

from vidpred.tasks.adversarial import AdversarialTask
from vidpred.tasks.base import PredictionTask
from vidpred.tasks.deep_supervision import DeepSupervisionTask
from vidpred.tasks.diffusion import DiffusionTask
from vidpred.tasks.divided_clips import Clips
from vidpred.tasks.flow_refinement import FlowRefinementTask
from vidpred.tasks.frame_sampling import (
    FrameSampling,
    ReverseScheduledSampling,
    ScheduledSampling,
    TeacherForcing,
)
from vidpred.tasks.likelihood import LikelihoodTask
from vidpred.tasks.multiscale import NextFrameTask
from vidpred.tasks.reconstruction import ReconstructionTask
from vidpred.tasks.recurrent import RecurrentTask
from vidpred.tasks.speed import Speed
from vidpred.tasks.variational import VariationalTask

__all__ = [
    "AdversarialTask",
    "Clips",
    "DeepSupervisionTask",
    "DiffusionTask",
    "FlowRefinementTask",
    "FrameSampling",
    "LikelihoodTask",
    "NextFrameTask",
    "PredictionTask",
    "ReconstructionTask",
    "RecurrentTask",
    "ReverseScheduledSampling",
    "ScheduledSampling",
    "Speed",
    "TeacherForcing",
    "VariationalTask",
]
