"""Next-frame video prediction: train, evaluate and use multi-scale adversarial predictors."""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pathlib import Path

    from vidpred.prediction.video_predictor import VideoPredictor


def load(path: "str | Path") -> "VideoPredictor":
    """Load a predictor, in evaluation mode on the CPU; nothing in a file can run code.

    It takes tensors, NumPy arrays and paths of videos; see
    `vidpred.prediction.video_predictor.VideoPredictor`. Its `network` is the predictor itself.

    Args:
        path: A checkpoint that `vidpred fit` wrote, a safetensors file that `vidpred export` wrote,
            or a name of weights that come along (a file of this name that is here comes first).

    Raises:
        vidpred.errors.CheckpointError: When the file is missing, damaged or not ours.
    """
    # Imported here, so that `import vidpred` and the help of the command line need no torch.
    from vidpred.models import load_predictor
    from vidpred.prediction.video_predictor import VideoPredictor

    return VideoPredictor(load_predictor(path)).eval()
