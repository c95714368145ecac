"""The mean PSNR of clips as a loss."""

from torch import Tensor

from vidpred.ops.checks import require_same_shape

FLOOR = 2e-5
"""Added to every mean squared error of frames in [0, 1]: 47 dB, above which nothing is gained."""

FEWEST_PIXELS = 16
"""A mask of fewer pixels counts as empty."""


def log_mse_loss(pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Average the logarithm of each frame's mean squared error.

    PSNR is averaged over clips in dB, so that a clip that is nearly still counts as much as one
    with a hundred times its error. This is that average, up to a factor of -10 / ln 10 and
    `FLOOR`: `mean_b log(MSE_b + FLOOR)`.

    Args:
        pred: Predicted frames, shape (B, C, H, W) in [0, 1].
        target: Ground truth, same shape and range.
        mask: Which pixels count, boolean, shape (B, 1, H, W); all when None. A frame with fewer
            than `FEWEST_PIXELS` of them is left out.

    Returns:
        Scalar, float32; 0 when no frame counts.

    Raises:
        ValueError: When the shapes differ.

    Example:
        >>> import torch
        >>> pred, target = torch.full((2, 3, 8, 8), 0.1), torch.zeros(2, 3, 8, 8)
        >>> psnr = -10 / torch.log(torch.tensor(10.0)) * log_mse_loss(pred, target)
        >>> round(psnr.item(), 2)
        19.99
    """
    require_same_shape(pred, target)
    squares = (pred.float() - target.float()).square().mean(1, keepdim=True)
    if mask is None:
        return (squares.mean((1, 2, 3)) + FLOOR).log().mean()
    if mask.shape != squares.shape:
        raise ValueError(
            f"mask has shape {tuple(mask.shape)}; expected {tuple(squares.shape)}, one value a "
            "pixel"
        )
    counted = mask.sum((1, 2, 3))
    mse = (squares * mask).sum((1, 2, 3)) / counted.clamp(min=1)
    enough = counted >= FEWEST_PIXELS
    # Empty masks give 0 / 1: finite, and without gradient once they are multiplied by 0.
    return ((mse + FLOOR).log() * enough).sum() / enough.sum().clamp(min=1)
