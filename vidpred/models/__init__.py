"""Networks and baselines: past frames in, future frames out."""

from typing import TYPE_CHECKING

from vidpred.models.autoencoder import Autoencoder
from vidpred.models.baselines import CopyLastFrame, LinearExtrapolation, OpticalFlowExtrapolation
from vidpred.models.clip_discriminator import ClipDiscriminator
from vidpred.models.convlstm import ConvLSTM
from vidpred.models.dcgan import DCGANDiscriminator, DCGANGenerator
from vidpred.models.deep_voxel_flow import DeepVoxelFlow
from vidpred.models.denoising import Denoising
from vidpred.models.discriminator import DiscriminatorScale, MultiScaleDiscriminator
from vidpred.models.dmvfn import DMVFN
from vidpred.models.duplicate_aware import DuplicateAwareFlowExtrapolation
from vidpred.models.dyan import DYAN
from vidpred.models.edm import EDMPredictor
from vidpred.models.flow_refiner import FlowRefiner
from vidpred.models.likelihood import Likelihood
from vidpred.models.minibatch_discrimination import MinibatchDiscrimination
from vidpred.models.mixture import MixtureGenerator
from vidpred.models.multiscale import GeneratorScale, MultiScaleGenerator
from vidpred.models.named_baselines import BASELINES, baseline
from vidpred.models.phydnet import PhyDNet
from vidpred.models.predictor import Condition, Predictor
from vidpred.models.predrnn import PredRNN
from vidpred.models.recurrent import Followed, RecurrentPredictor
from vidpred.models.refining import Refining
from vidpred.models.scale_predictor import ScalePredictor
from vidpred.models.simvp import SimVP
from vidpred.models.simvp_v2 import SimVPv2
from vidpred.models.svg import SVG
from vidpred.models.tau import TAU
from vidpred.models.variational import PosteriorPrediction, Variational
from vidpred.models.video_pixel_network import VideoPixelNetwork
from vidpred.moved import moved_names

if not TYPE_CHECKING:
    __getattr__ = moved_names(__name__)

__all__ = [
    "BASELINES",
    "DMVFN",
    "DYAN",
    "SVG",
    "TAU",
    "Autoencoder",
    "ClipDiscriminator",
    "Condition",
    "ConvLSTM",
    "CopyLastFrame",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "DeepVoxelFlow",
    "Denoising",
    "DiscriminatorScale",
    "DuplicateAwareFlowExtrapolation",
    "EDMPredictor",
    "FlowRefiner",
    "Followed",
    "GeneratorScale",
    "Likelihood",
    "LinearExtrapolation",
    "MinibatchDiscrimination",
    "MixtureGenerator",
    "MultiScaleDiscriminator",
    "MultiScaleGenerator",
    "OpticalFlowExtrapolation",
    "PhyDNet",
    "PosteriorPrediction",
    "PredRNN",
    "Predictor",
    "RecurrentPredictor",
    "Refining",
    "ScalePredictor",
    "SimVP",
    "SimVPv2",
    "Variational",
    "VideoPixelNetwork",
    "baseline",
]
