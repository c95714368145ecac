"""Predictors in files: checkpoints of a training and weights alone, read without running code."""

from vidpred.resources import packaged_weights
from vidpred.storage.description import build_predictor
from vidpred.storage.saved import (
    SavedPredictor,
    load_predictor,
    read_saved,
    trained_generator,
    trained_predictor,
)
from vidpred.storage.warm_start import refiner_with_network, residual_generator

__all__ = [
    "SavedPredictor",
    "build_predictor",
    "load_predictor",
    "packaged_weights",
    "read_saved",
    "refiner_with_network",
    "residual_generator",
    "trained_generator",
    "trained_predictor",
]
