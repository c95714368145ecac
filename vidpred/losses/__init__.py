"""Losses: one a file, the function first, the module that holds its settings below it."""

from vidpred.losses.adversarial import AdversarialLoss
from vidpred.losses.gradient_difference import gradient_difference_loss
from vidpred.losses.gradient_penalty import r1_penalty
from vidpred.losses.lp import lp_loss
from vidpred.losses.multiscale import MultiScaleLoss, sum_over_scales
from vidpred.losses.objective import (
    DiscriminatorObjective,
    GeneratorObjective,
    Objective,
)

__all__ = [
    "AdversarialLoss",
    "DiscriminatorObjective",
    "GeneratorObjective",
    "MultiScaleLoss",
    "Objective",
    "gradient_difference_loss",
    "lp_loss",
    "r1_penalty",
    "sum_over_scales",
]
