"""Networks and baselines: past frames in, future frames out."""

from vidpred.models.baselines import CopyLastFrame, LinearExtrapolation, OpticalFlowExtrapolation
from vidpred.models.checkpoint import build_predictor, load_predictor, trained_generator
from vidpred.models.discriminator import DiscriminatorScale, MultiScaleDiscriminator
from vidpred.models.multiscale import GeneratorScale, MultiScaleGenerator
from vidpred.models.predictor import Predictor, ScalePredictor

__all__ = [
    "CopyLastFrame",
    "DiscriminatorScale",
    "GeneratorScale",
    "LinearExtrapolation",
    "MultiScaleDiscriminator",
    "MultiScaleGenerator",
    "OpticalFlowExtrapolation",
    "Predictor",
    "ScalePredictor",
    "build_predictor",
    "load_predictor",
    "trained_generator",
]
