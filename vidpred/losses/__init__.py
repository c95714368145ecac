"""Losses: one a file, the function first, the module that holds its settings below it."""

from vidpred.losses.adversarial import AdversarialLoss
from vidpred.losses.base import PredictionLoss
from vidpred.losses.combined import CombinedLoss
from vidpred.losses.differential_divergence import (
    DifferentialDivergenceLoss,
    differential_divergence_loss,
)
from vidpred.losses.gradient_difference import GradientDifferenceLoss, gradient_difference_loss
from vidpred.losses.gradient_penalty import r1_penalty
from vidpred.losses.laplacian import LaplacianPyramidLoss, laplacian_pyramid_loss
from vidpred.losses.log_mse import log_mse_loss
from vidpred.losses.lp import LpLoss, lp_loss
from vidpred.losses.multiscale import MultiScaleLoss, sum_over_scales
from vidpred.losses.objective import (
    DiscriminatorObjective,
    GeneratorObjective,
    Objective,
    PredictionObjective,
)

__all__ = [
    "AdversarialLoss",
    "CombinedLoss",
    "DifferentialDivergenceLoss",
    "DiscriminatorObjective",
    "GeneratorObjective",
    "GradientDifferenceLoss",
    "LaplacianPyramidLoss",
    "LpLoss",
    "MultiScaleLoss",
    "Objective",
    "PredictionLoss",
    "PredictionObjective",
    "differential_divergence_loss",
    "gradient_difference_loss",
    "laplacian_pyramid_loss",
    "log_mse_loss",
    "lp_loss",
    "r1_penalty",
    "sum_over_scales",
]
