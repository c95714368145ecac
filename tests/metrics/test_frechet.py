"""The Frechet distance against closed forms, SciPy and torchmetrics."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor
from torchmetrics.image.fid import _compute_fid

from vidpred.metrics import frechet_distance


def gaussian(seed: int, features: int = 12, samples: int = 100) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(samples, features, generator=generator, dtype=torch.float64)
    points = points @ torch.randn(features, features, generator=generator, dtype=torch.float64)
    return points.mean(dim=0), points.T.cov()


def test_equal_gaussians_have_0() -> None:
    mean, covariance = gaussian(0)
    assert frechet_distance(mean, covariance, mean, covariance).item() == pytest.approx(0, abs=1e-9)


def test_a_shift_alone_counts_squared() -> None:
    mean, covariance = gaussian(0)
    shift = torch.linspace(-1, 2, 12, dtype=torch.float64)
    distance = frechet_distance(mean, covariance, mean + shift, covariance)
    assert distance.item() == pytest.approx(shift.square().sum().item(), abs=1e-9)


def test_commuting_covariances_have_a_closed_form() -> None:
    # Same axes: sum over them of (sigma_a - sigma_b)^2.
    generator = torch.Generator().manual_seed(0)
    square = torch.randn(12, 12, generator=generator, dtype=torch.float64)
    axes, _ = torch.linalg.qr(square)
    a, b = torch.rand(2, 12, generator=generator, dtype=torch.float64) * 3
    zero = torch.zeros(12)
    covariances = [axes @ torch.diag(sigma**2) @ axes.T for sigma in (a, b)]
    distance = frechet_distance(zero, covariances[0], zero, covariances[1])
    assert distance.item() == pytest.approx((a - b).square().sum().item(), abs=1e-9)
    one = frechet_distance(
        torch.zeros(1), torch.tensor([[4.0]]), torch.tensor([3.0]), torch.tensor([[25.0]])
    )
    assert one.item() == pytest.approx(3**2 + (2 - 5) ** 2, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_equals_scipy_and_torchmetrics(seed: int) -> None:
    (mean_a, cov_a), (mean_b, cov_b) = gaussian(seed), gaussian(seed + 10)
    distance = frechet_distance(mean_a, cov_a, mean_b, cov_b)
    assert distance.dtype == torch.float64
    root = np.real(sqrtm(cov_a.numpy() @ cov_b.numpy()))
    shift = (mean_a - mean_b).square().sum().item()
    expected = shift + np.trace(cov_a.numpy() + cov_b.numpy() - 2 * root)
    assert distance.item() == pytest.approx(expected, rel=1e-9)
    other = _compute_fid(mean_a, cov_a, mean_b, cov_b)
    assert distance.item() == pytest.approx(other.item(), rel=1e-9)
    back = frechet_distance(mean_b, cov_b, mean_a, cov_a)
    assert back.item() == pytest.approx(distance.item(), rel=1e-9)


def test_fewer_clips_than_features_are_no_special_case() -> None:
    # Rank 3 of 12. Points in two planes that share no direction: the root is 0.
    generator = torch.Generator().manual_seed(0)
    points = torch.zeros(2, 4, 12, dtype=torch.float64)
    points[0, :, :6] = torch.randn(4, 6, generator=generator)
    points[1, :, 6:] = torch.randn(4, 6, generator=generator)
    zero = torch.zeros(12)
    a, b = (p.T.cov() for p in points)
    distance = frechet_distance(zero, a, zero, b)
    assert distance.item() == pytest.approx((a.trace() + b.trace()).item(), abs=1e-6)
    assert frechet_distance(zero, a, zero, a).item() == pytest.approx(0, abs=1e-9)
    assert frechet_distance(zero, a * 0, zero, a * 0).item() == 0


def test_rounding_is_not_taken_for_a_covariance_that_is_wrong() -> None:
    # What is left of equal clips: 1e-17 here and there, negative variances among it.
    mean = torch.full((12,), 0.5)
    noise = 1e-17 * torch.randn(12, 12, generator=torch.Generator().manual_seed(0)).double()
    distance = frechet_distance(mean, noise, mean + 1, noise)
    assert distance.item() == pytest.approx(12, abs=1e-9)


def test_float32_is_computed_in_float64() -> None:
    mean, covariance = (value.float() for value in gaussian(0))
    distance = frechet_distance(mean, covariance, mean, covariance)
    assert distance.dtype == torch.float64
    assert distance.item() == pytest.approx(0, abs=1e-9)


def test_refuses_what_is_no_pair_of_gaussians() -> None:
    mean, covariance = gaussian(0)
    with pytest.raises(ValueError, match=r"mean_a has shape \(1, 12\)"):
        frechet_distance(mean[None], covariance, mean, covariance)
    with pytest.raises(ValueError, match=r"mean_b has shape \(11,\); expected \(12,\)"):
        frechet_distance(mean, covariance, mean[1:], covariance)
    with pytest.raises(ValueError, match=r"covariance_b has shape .* expected \(12, 12\)"):
        frechet_distance(mean, covariance, mean, covariance[1:])
    with pytest.raises(ValueError, match="covariance_a has NaN or infinite"):
        frechet_distance(mean, covariance / 0, mean, covariance)
    with pytest.raises(ValueError, match="covariance_b is not symmetric"):
        frechet_distance(mean, covariance, mean, covariance.tril())
