"""Next-frame video prediction: train, evaluate and use multi-scale adversarial predictors."""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pathlib import Path

    from vidpred.models import Predictor


def load(path: "str | Path") -> "Predictor":
    """Load a predictor, in evaluation mode on the CPU; nothing in a file can run code.

    Args:
        path: A checkpoint that `vidpred fit` wrote, a safetensors file that `vidpred export` wrote,
            or a name of weights that come along (a file of this name that is here comes first).

    Raises:
        vidpred.errors.CheckpointError: When the file is missing, damaged or not ours.
    """
    # Imported here, so that `import vidpred` and the help of the command line need no torch.
    from vidpred.models import load_predictor

    return load_predictor(path)
