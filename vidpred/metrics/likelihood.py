"""How likely a predictor finds the true future, per frame and per dimension."""

import math

from torch import Tensor

from vidpred.ops.checks import require_positive


def nats_per_frame(log_prob: Tensor) -> Tensor:
    """Give the negative log-likelihood of each frame in nats; lower is better.

    Source: Kalchbrenner et al. 2017 (Video Pixel Networks) report Moving MNIST so. It grows with
    the frame size; see `bits_per_dim` for a measure that does not.

    Args:
        log_prob: Log-likelihood of true frames as `vidpred.models.Likelihood.log_prob` gives it,
            nats, shape (B, T).

    Returns:
        Shape (B, T), nats.

    Example:
        >>> import torch
        >>> nats_per_frame(torch.tensor([[-87.6]]))
        tensor([[87.6000]])
    """
    _require_likelihood(log_prob)
    return -log_prob


def bits_per_dim(log_prob: Tensor, *, dims: int) -> Tensor:
    """Give the negative log-likelihood in bits, per channel of a pixel; lower is better.

    Source: Theis, van den Oord, Bethge, "A note on the evaluation of generative models", 2016. A
    uniform distribution over 256 levels has 8 bits per dimension.

    Args:
        log_prob: Log-likelihood of true frames as `vidpred.models.Likelihood.log_prob` gives it,
            nats, shape (B, T).
        dims: C x H x W of one frame.

    Returns:
        Shape (B, T), bits.

    Raises:
        ValueError: For another number of dimensions, or `dims` below 1.

    Example:
        >>> import torch
        >>> uniform = torch.full((1, 2), -math.log(256) * 3 * 4 * 4)
        >>> bits_per_dim(uniform, dims=3 * 4 * 4)
        tensor([[8., 8.]])
    """
    _require_likelihood(log_prob)
    require_positive("dims", dims)
    return -log_prob / (math.log(2) * dims)


def _require_likelihood(log_prob: Tensor) -> None:
    if log_prob.ndim != 2:
        raise ValueError(
            f"log_prob has shape {tuple(log_prob.shape)}; expected (B, T), nats of each clip and "
            "frame, summed over channels and pixels"
        )
