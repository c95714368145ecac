"""Next-frame video prediction: train, evaluate and use multi-scale adversarial predictors."""

__version__ = "0.1.0"
