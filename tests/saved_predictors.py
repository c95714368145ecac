"""Predictors saved as checkpoints, without training."""

from pathlib import Path

import torch

from vidpred.models import Predictor
from vidpred.storage.description import describe_predictor


def save_predictor(predictor: Predictor, path: Path) -> Path:
    """Save a predictor as a training would."""
    torch.save(
        {
            "vidpred": {"predictor": describe_predictor(predictor), "batches_seen": 1},
            "state_dict": {f"generator.{k}": v for k, v in predictor.state_dict().items()},
            "pytorch-lightning_version": "2.6.0",
        },
        path,
    )
    return path
