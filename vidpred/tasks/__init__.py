"""Lightning modules: they wire a generator, losses and optimisers; nothing else."""

from vidpred.tasks.adversarial import AdversarialTask
from vidpred.tasks.base import NextFrameTask
from vidpred.tasks.reconstruction import ReconstructionTask
from vidpred.tasks.speed import Speed

__all__ = ["AdversarialTask", "NextFrameTask", "ReconstructionTask", "Speed"]
