"""Where numbers and pictures of a run go."""

from vidpred.loggers.csv import RunCSVLogger
from vidpred.loggers.media import ShownClip, log_clips, log_curves
from vidpred.loggers.tensorboard import RunTensorBoardLogger
from vidpred.loggers.wandb import ResilientWandbLogger

__all__ = [
    "ResilientWandbLogger",
    "RunCSVLogger",
    "RunTensorBoardLogger",
    "ShownClip",
    "log_clips",
    "log_curves",
]
