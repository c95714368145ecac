"""Distance between two clouds of features."""

import torch
from torch import Tensor

TOLERANCE = 1e-6
"""How far a covariance may be from symmetric, of the largest square of a feature: rounding."""


def frechet_distance(
    mean_a: Tensor, covariance_a: Tensor, mean_b: Tensor, covariance_b: Tensor
) -> Tensor:
    """Give the squared Frechet distance of two Gaussians.

    Source: Dowson and Landau 1982, `|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))`. The last
    trace is taken as the sum of singular values of `C_a^(1/2) C_b^(1/2)`, which is the same and
    needs no root of a matrix that is not symmetric; singular covariances, from fewer clips than
    features, are no special case.

    Args:
        mean_a: Shape (F,), any floating type; computed in float64.
        covariance_a: Shape (F, F), symmetric. Negative variances along a direction, which rounding
            gives, count as none.
        mean_b: Shape (F,).
        covariance_b: Shape (F, F).

    Returns:
        Scalar, float64, at least 0.

    Raises:
        ValueError: For shapes that do not belong together, numbers that are not finite, and
            matrices that are not symmetric.

    Example:
        >>> import torch
        >>> one = torch.eye(2, dtype=torch.float64)
        >>> mean = torch.zeros(2, dtype=torch.float64)
        >>> frechet_distance(mean, one, mean + 1, 4 * one).item()  # half of it by means
        4.0
    """
    mean_a, covariance_a, mean_b, covariance_b = (
        value.detach().double() for value in (mean_a, covariance_a, mean_b, covariance_b)
    )
    features = mean_a.numel()
    for name, value, shape in (
        ("mean_a", mean_a, (features,)),
        ("mean_b", mean_b, (features,)),
        ("covariance_a", covariance_a, (features, features)),
        ("covariance_b", covariance_b, (features, features)),
    ):
        if value.shape != shape:
            raise ValueError(f"{name} has shape {tuple(value.shape)}; expected {shape}")
        if not value.isfinite().all():
            raise ValueError(f"{name} has NaN or infinite values; expected finite ones")
        if len(shape) == 2:
            # Where all clips look alike, rounding of the squared features is all that is left.
            scale = value.abs().max() + torch.stack((mean_a, mean_b)).square().max()
            if (value - value.T).abs().max() > TOLERANCE * scale:
                raise ValueError(f"{name} is not symmetric; expected a covariance")
    roots = _root(covariance_a) @ _root(covariance_b)
    shift = (mean_a - mean_b).square().sum()
    traces = covariance_a.trace() + covariance_b.trace()
    overlap: Tensor = torch.linalg.svdvals(roots).sum()
    return (shift + traces - 2 * overlap).clamp(min=0)  # rounding goes below


def _root(covariance: Tensor) -> Tensor:
    variances, directions = torch.linalg.eigh(covariance)
    root: Tensor = (directions * variances.clamp(min=0).sqrt()) @ directions.T
    return root
