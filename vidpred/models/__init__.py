"""Networks and baselines: past frames in, future frames out."""

from typing import TYPE_CHECKING

from vidpred.models.baselines import CopyLastFrame, LinearExtrapolation, OpticalFlowExtrapolation
from vidpred.models.convlstm import ConvLSTM
from vidpred.models.discriminator import DiscriminatorScale, MultiScaleDiscriminator
from vidpred.models.duplicate_aware import DuplicateAwareFlowExtrapolation
from vidpred.models.flow_refiner import FlowRefiner
from vidpred.models.likelihood import Likelihood
from vidpred.models.multiscale import GeneratorScale, MultiScaleGenerator
from vidpred.models.named_baselines import BASELINES, baseline
from vidpred.models.predictor import Condition, Predictor
from vidpred.models.scale_predictor import ScalePredictor
from vidpred.models.simvp import SimVP
from vidpred.models.simvp_v2 import SimVPv2
from vidpred.models.tau import TAU
from vidpred.models.variational import PosteriorPrediction, Variational
from vidpred.moved import moved_names

if not TYPE_CHECKING:
    __getattr__ = moved_names(__name__)

__all__ = [
    "BASELINES",
    "TAU",
    "Condition",
    "ConvLSTM",
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
    "PosteriorPrediction",
    "Predictor",
    "ScalePredictor",
    "SimVP",
    "SimVPv2",
    "Variational",
    "baseline",
]
