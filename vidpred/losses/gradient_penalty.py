"""R1: a discriminator that is flat around what is real."""

from collections.abc import Sequence

import torch
from torch import Tensor


def r1_penalty(real_logits: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Measure how steep a discriminator is at real frames, at every scale.

    Source: Mescheder, Geiger and Nowozin 2018 (arXiv 1801.04406), R1: the squared norm of the
    logit's gradient with respect to the real image, averaged over the batch. Their weight is
    gamma / 2.

    Args:
        real_logits: S tensors (B, P), computed from `real`; the positions of a fully convolutional
            head are averaged.
        real: S tensors (B, T, C, h, w) that require gradients.

    Returns:
        Shape (S,), each at least 0, differentiable.

    Example:
        >>> import torch
        >>> real = torch.rand(2, 3, 8, 8, requires_grad=True)
        >>> logits = 3 * real.mean((1, 2, 3))[:, None]  # a gradient of 3 / 192 at 192 values
        >>> r1_penalty([logits], [real])
        tensor([0.0469])
    """
    steepness = []
    for logits, frames in zip(real_logits, real, strict=True):
        (gradient,) = torch.autograd.grad(logits.float().mean(1).sum(), frames, create_graph=True)
        steepness.append(gradient.float().square().flatten(1).sum(1).mean())
    return torch.stack(steepness)
