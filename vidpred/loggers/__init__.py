"""Where numbers and pictures of a run go."""

from vidpred.loggers.csv import RunCSVLogger
from vidpred.loggers.wandb import ResilientWandbLogger

__all__ = ["ResilientWandbLogger", "RunCSVLogger"]
