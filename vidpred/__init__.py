"""Next-frame video prediction: train, score, compare and use any predictor."""

from typing import TYPE_CHECKING

from vidpred._version import __version__

__all__ = ["__version__", "load"]

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import ModuleType

    from vidpred.prediction.video_predictor import VideoPredictor


def load(path: "str | Path", *, modules: "Sequence[ModuleType]" = ()) -> "VideoPredictor":
    """Load a predictor, in evaluation mode on the CPU; nothing in a file can run code.

    It takes tensors, NumPy arrays and paths of videos; see
    `vidpred.prediction.video_predictor.VideoPredictor`. Its `network` is the predictor itself.

    Args:
        path: A checkpoint that `vidpred fit` wrote, a safetensors file that `vidpred export` wrote,
            the name of a bundled pretrained model such as "small", or that of a baseline such as
            "optical_flow" (a file of this name that is here comes first).
        modules: Where the class of its network may be, next to `vidpred.models`: a file may not
            choose what to import. Your own network: `vidpred.load(path, modules=[my_networks])`.

    Raises:
        vidpred.errors.CheckpointError: When the file is missing, damaged or not ours.

    Example:
        >>> import torch
        >>> import vidpred
        >>> predictor = vidpred.load("copy_last")
        >>> predictor(torch.rand(1, 4, 3, 48, 64), horizon=8).shape
        torch.Size([1, 8, 3, 48, 64])
    """
    # Imported here, so that `import vidpred` and the help of the command line need no torch.
    from vidpred.kernels import accelerate, enabled
    from vidpred.prediction.video_predictor import VideoPredictor
    from vidpred.storage import load_predictor

    network = load_predictor(path, modules=modules)
    if enabled():  # VIDPRED_KERNELS=1
        accelerate(network)
    return VideoPredictor(network).eval()
