"""Small Video Pixel Networks whose every weight counts, for several test files."""

import torch

from vidpred.models import VideoPixelNetwork

KINDS = [
    {"channels": 1, "layers": "multiplicative", "distribution": "bernoulli"},
    {"channels": 1, "layers": "row_lstm", "distribution": "bernoulli"},
    {"channels": 3, "layers": "multiplicative", "distribution": "categorical"},
    {"channels": 3, "layers": "row_lstm", "distribution": "categorical"},
]


def network(**options: object) -> VideoPixelNetwork:
    """A small network whose every weight counts."""
    torch.manual_seed(0)
    small = {"context_frames": 2, "width": 6, "hidden": 5, "encoder_blocks": 1, "decoder_blocks": 2}
    built = VideoPixelNetwork(**{**small, **options})  # type: ignore[arg-type]
    for parameter in built.parameters():
        parameter.data.add_(0.3 * torch.randn_like(parameter))
    return built
