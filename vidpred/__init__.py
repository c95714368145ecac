"""Next-frame video prediction: train, evaluate and use multi-scale adversarial predictors."""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pathlib import Path

    from vidpred.models import Predictor


def load(path: "str | Path") -> "Predictor":
    """Load the predictor of a checkpoint, in evaluation mode on the CPU.

    Args:
        path: A checkpoint that `vidpred fit` wrote.

    Raises:
        vidpred.errors.CheckpointError: When the file is missing, damaged or not ours.
    """
    # Imported here, so that `import vidpred` and the help of the command line need no torch.
    from vidpred.models import load_predictor

    return load_predictor(path)
