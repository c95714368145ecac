"""Structural similarity over several scales."""

import torch
from torch import Tensor

from vidpred.metrics.inputs import checked_frames, refuse_mask

MINIMUM_SIZE = 176
"""Fewest rows and columns: halved four times, they still hold the window of 11."""


def ms_ssim(
    pred: Tensor, target: Tensor, *, data_range: float, mask: Tensor | None = None
) -> Tensor:
    """Compare structures at five scales, each half of the one before; 1 is best.

    Source: Wang et al. 2003 (window and constants of `ssim`, weights 0.0448, 0.2856, 0.3001,
    0.2363, 0.1333), as torchmetrics computes it: each channel alone, negative similarities taken
    as 0, and the coarsest scale averaged over a map that is mirrored at the border.

    Computed in float32, which on real frames is off by 2e-6 at most and on bright flat ones by
    2e-4; in float64 for float64 frames, and on CUDA, where float32 convolutions may run in TF32.

    Args:
        pred: Predicted frames, shape (B, T, C, H, W), values in [0, data_range]; H and W at least
            176.
        target: Ground truth, same shape and range.
        data_range: Full scale of the frames.
        mask: None; there is no masked form.

    Returns:
        Similarity per clip and frame, shape (B, T), in [0, 1].

    Raises:
        ValueError: For frames that are too small, for a mask, and for input that cannot be scored;
            see `vidpred.metrics.inputs.checked_frames`.

    Example:
        >>> import torch
        >>> frames = torch.rand(1, 2, 3, 192, 192)
        >>> ms_ssim(frames, frames, data_range=1.0)
        tensor([[1., 1.]])
    """
    # Imported here, as it takes seconds that most commands have no use for.
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    refuse_mask("MS-SSIM", mask)
    pred, target = checked_frames(
        pred, target, data_range=data_range, mask=None, minimum=MINIMUM_SIZE
    )
    dtype = pred.dtype
    if pred.is_cuda:
        pred, target = pred.double(), target.double()
    with torch.autocast(pred.device.type, enabled=False):
        similarity: Tensor = multiscale_structural_similarity_index_measure(
            pred.flatten(0, 1) / data_range,
            target.flatten(0, 1) / data_range,
            data_range=1.0,
            reduction="none",
        )
    return similarity.to(dtype).reshape(pred.shape[:2])
