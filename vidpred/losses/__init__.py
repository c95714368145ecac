"""Losses: one a file, the function first, the module that holds its settings below it."""

from vidpred.losses.adversarial import AdversarialLoss
from vidpred.losses.gradient_difference import gradient_difference_loss
from vidpred.losses.lp import lp_loss
from vidpred.losses.multiscale import MultiScaleLoss, sum_over_scales

__all__ = [
    "AdversarialLoss",
    "MultiScaleLoss",
    "gradient_difference_loss",
    "lp_loss",
    "sum_over_scales",
]
