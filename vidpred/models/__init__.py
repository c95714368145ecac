"""Networks and baselines: past frames in, future frames out."""

from vidpred.models.baselines import CopyLastFrame, LinearExtrapolation, OpticalFlowExtrapolation
from vidpred.models.description import build_predictor
from vidpred.models.discriminator import DiscriminatorScale, MultiScaleDiscriminator
from vidpred.models.duplicate_aware import DuplicateAwareFlowExtrapolation
from vidpred.models.flow_refiner import FlowRefiner
from vidpred.models.multiscale import GeneratorScale, MultiScaleGenerator
from vidpred.models.predictor import Condition, Likelihood, Predictor, ScalePredictor
from vidpred.models.saved import (
    SavedPredictor,
    load_predictor,
    packaged_weights,
    read_saved,
    trained_generator,
)

__all__ = [
    "Condition",
    "CopyLastFrame",
    "DiscriminatorScale",
    "DuplicateAwareFlowExtrapolation",
    "FlowRefiner",
    "GeneratorScale",
    "Likelihood",
    "LinearExtrapolation",
    "MultiScaleDiscriminator",
    "MultiScaleGenerator",
    "OpticalFlowExtrapolation",
    "Predictor",
    "SavedPredictor",
    "ScalePredictor",
    "build_predictor",
    "load_predictor",
    "packaged_weights",
    "read_saved",
    "trained_generator",
]
