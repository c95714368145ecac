"""Mixtures over the 256 values of pixels."""

import math
from itertools import product

import pytest
import torch
from scipy.stats import logistic
from torch import Tensor

from vidpred.ops import PixelMixture
from vidpred.ops.pixel_mixture import MixtureKind, discretized_logistic

NEVER_UNIFORM = -1e9


def mixture(
    kind: MixtureKind, means: Tensor, log_scales: Tensor, couplings: Tensor | None = None
) -> PixelMixture:
    """Components (K, C) of equal weight at one pixel, without the uniform one."""
    count = len(means)
    weights = torch.tensor([-math.log(count)] * count + [NEVER_UNIFORM])
    return PixelMixture(
        kind,
        weights.view(1, -1, 1, 1),
        means[None, :, :, None, None],
        log_scales[None, :, :, None, None],
        None if couplings is None else couplings[None, :, :, None, None],
    )


def every_value() -> Tensor:
    return torch.arange(256.0, dtype=torch.float64) / 127.5 - 1


@pytest.mark.parametrize("mean", [-3.0, -1.0, -0.337, 0.0, 1.0, 2.0])
@pytest.mark.parametrize("log_scale", [-7.0, -4.0, -1.0, 3.0])
def test_probabilities_of_256_values_sum_to_1(mean: float, log_scale: float) -> None:
    where = torch.tensor(mean, dtype=torch.float64)
    found = discretized_logistic(every_value(), where, torch.full_like(where, log_scale))
    assert found.exp().sum().item() == pytest.approx(1, abs=1e-9)
    # By scipy, from the edges between values: half of 2 / 255 on each side, which a bin of
    # values on [0, 1] would have as a whole.
    edges = (torch.arange(255, dtype=torch.float64) + 0.5) / 127.5 - 1
    below = torch.from_numpy(logistic.cdf(edges, loc=mean, scale=math.exp(log_scale)))
    expected = torch.diff(below, prepend=torch.zeros(1), append=torch.ones(1))
    torch.testing.assert_close(found.exp(), expected.double(), atol=1e-9, rtol=1e-6)


def test_two_coupled_colors_sum_to_1() -> None:
    torch.manual_seed(0)
    found = PixelMixture(
        "logistic",
        torch.log_softmax(torch.randn(1, 4, 1, 1), dim=1),
        torch.randn(1, 3, 2, 1, 1),
        torch.randn(1, 3, 2, 1, 1) - 2,
        torch.randn(1, 3, 1, 1, 1),
    )
    values = every_value().float()
    colors = torch.cartesian_prod(values, values).view(-1, 2, 1, 1)
    assert found.log_prob(colors).exp().sum().item() == pytest.approx(1, abs=1e-4)


def test_a_unit_normal_is_the_scaled_squared_error_and_a_constant() -> None:
    means, values = torch.rand(5, 3), torch.rand(5, 3) * 2 - 1
    for mean, value in product(means, values):
        found = mixture("normal", mean[None], torch.zeros(1, 3))
        squares = 0.5 * (value - mean).square().sum()
        # Per value of 8 bits: a density on [-1, 1] times 2 / 255.
        constant = 3 * (0.5 * math.log(2 * math.pi) + math.log(255 / 2))
        torch.testing.assert_close(
            -found.log_prob(value.view(1, 3, 1, 1)).squeeze(), squares + constant
        )


@pytest.mark.parametrize("kind", ["logistic", "normal"])
def test_impossible_values_have_finite_gradients(kind: MixtureKind) -> None:
    """A mistake of public code: NaN from the branch of a `where` that was not chosen."""
    for mean, log_scale, value in product((-100.0, 0.0, 100.0), (-30.0, 0.0, 30.0), (-1, 0.2, 1)):
        means = torch.full((1, 1), mean, requires_grad=True)
        log_scales = torch.full((1, 1), log_scale, requires_grad=True)
        found = mixture(kind, means, log_scales).log_prob(torch.full((1, 1, 1, 1), value)).sum()
        assert found.isfinite()
        gradients = torch.autograd.grad(found, (means, log_scales))
        assert all(gradient.isfinite().all() for gradient in gradients)
        if kind == "logistic" and mean == 100 and log_scale == 0 and value == 0.2:
            assert gradients[0].item() == pytest.approx(-1, rel=1e-3)  # the tail is exp(-mean)


@pytest.mark.parametrize("log_scale", [-100.0, 100.0])
def test_logistics_are_neither_too_narrow_nor_too_wide(log_scale: float) -> None:
    bound = -7.0 if log_scale < 0 else 5.0  # of PixelCNN++; ours
    found = mixture("logistic", torch.zeros(1, 1), torch.full((1, 1), log_scale))
    values = every_value().float()
    expected = discretized_logistic(values, torch.tensor(0.0), torch.tensor(bound))
    torch.testing.assert_close(found.log_prob(values.view(-1, 1, 1, 1)).flatten(), expected)


def test_the_uniform_component_draws_all_values_alike() -> None:
    count = 512_000
    shape = (1, 1, 1, 1, count)
    nothing, weights = torch.zeros(shape), torch.tensor([NEVER_UNIFORM, 0.0])
    log_weights = weights.view(1, 2, 1, 1).expand(1, 2, 1, count)
    found = PixelMixture("logistic", log_weights, nothing, nothing)
    levels = ((found.sample(torch.Generator().manual_seed(0)) + 1) * 127.5).round().long()
    drawn = torch.bincount(levels.flatten(), minlength=256)
    assert len(drawn) == 256
    # 2000 of each, with a deviation of 45; of the first and the last value too.
    assert (drawn - 2000).abs().max() < 5 * 45


def test_each_color_follows_those_before_it_by_its_own_couplings() -> None:
    """Salimans et al. 2017: g by r; b by r, then by g. All components are narrow here."""
    means, couplings = torch.tensor([[0.4, -0.2, 0.1]]), torch.tensor([[0.5, -0.25, 0.75]])
    found = mixture("logistic", means, torch.full((1, 3), -7.0), couplings)
    red = 0.4
    green = -0.2 + 0.5 * red
    blue = 0.1 - 0.25 * red + 0.75 * green
    expected = torch.tensor([red, green, blue]).view(1, 3, 1, 1)
    torch.testing.assert_close(found.mean(), expected)
    drawn = found.sample(torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn, expected, atol=0.02, rtol=0)
    assert found.log_prob(drawn).item() > -6  # of 256 ** 3 colors, each has -16.6 in the mean


@pytest.mark.parametrize(("kind", "factor"), [("logistic", math.pi / 3**0.5), ("normal", 1.0)])
def test_draws_spread_as_their_distribution(kind: MixtureKind, factor: float) -> None:
    one = mixture(kind, torch.zeros(1, 1), torch.full((1, 1), -3.0))
    parts = (part.expand(*part.shape[:-1], 100_000) for part in one[1:4])  # type: ignore[union-attr]
    drawn = PixelMixture(kind, *parts).sample(torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    assert drawn.std().item() == pytest.approx(factor * math.exp(-3), rel=0.02)


def test_a_component_beyond_white_counts_as_white_in_the_mean() -> None:
    means, scales = torch.tensor([[3.0], [0.5]]), torch.full((2, 1), -3.0)
    assert mixture("logistic", means, scales).mean().item() == pytest.approx((1 + 0.5) / 2)


@pytest.mark.parametrize("kind", ["logistic", "normal"])
@pytest.mark.parametrize("beyond", [-3.0, 3.0])
def test_what_is_drawn_beyond_black_and_white_is_black_and_white(
    kind: MixtureKind, beyond: float
) -> None:
    found = mixture(kind, torch.full((1, 3), beyond), torch.full((1, 3), -3.0))
    drawn = found.sample(torch.Generator().manual_seed(0))
    assert torch.equal(drawn, torch.full((1, 3, 1, 1), math.copysign(1, beyond)))


def test_a_normal_density_is_bounded() -> None:
    """At its center, with the smallest deviation, a value has at most sqrt(2 / pi)."""
    sure = mixture("normal", torch.zeros(1, 1), torch.full((1, 1), -100.0))
    density = sure.log_prob(torch.zeros(1, 1, 1, 1)).exp().item()
    assert density == pytest.approx(math.sqrt(2 / math.pi), rel=1e-5)


@pytest.mark.parametrize("kind", ["logistic", "normal"])
def test_draws_follow_the_probabilities_and_the_mean_is_theirs(kind: MixtureKind) -> None:
    torch.manual_seed(0)
    count = 40_000
    found = PixelMixture(
        kind,
        torch.tensor([0.3, 0.5, 0.2]).log().view(1, 3, 1, 1).expand(1, 3, 1, count),
        torch.tensor([[-0.6, 0.5], [0.5, 0.1]]).view(1, 2, 2, 1, 1).expand(1, 2, 2, 1, count),
        torch.tensor([[-4.0, -4.0], [-3.0, -2.5]]).view(1, 2, 2, 1, 1).expand(1, 2, 2, 1, count),
        torch.tensor([[0.5], [-0.5]]).view(1, 2, 1, 1, 1).expand(1, 2, 1, 1, count),
    )
    drawn = found.sample(torch.Generator().manual_seed(0))
    assert drawn.shape == (1, 2, 1, count)
    levels = (drawn + 1) * 127.5
    torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
    assert torch.equal(drawn, found.sample(torch.Generator().manual_seed(0)))
    # Four deviations of a mean of so many values within [-1, 1].
    difference = drawn.mean(dim=(0, 2, 3)) - found.mean()[0, :, 0, 0]
    assert difference.abs().max() < 4 / math.sqrt(count)
    if kind == "logistic":
        one = PixelMixture("logistic", *(part[..., :1] for part in found[1:]))  # type: ignore[arg-type]
        values = every_value().float()
        both = one.log_prob(torch.cartesian_prod(values, values).view(-1, 2, 1, 1)).exp()
        second = both.view(256, 256).sum(0)
        shares = torch.bincount(levels[0, 1, 0].round().long(), minlength=256) / count
        assert (shares - second).abs().sum() < 0.1
        wrong = second.flip(0)
        assert (shares - wrong).abs().sum() > 0.5
