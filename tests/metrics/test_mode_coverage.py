"""Coverage and diversity of drawn futures."""

import pytest
import torch

from vidpred.data import render_directions
from vidpred.metrics import future_diversity, mode_coverage


def modes() -> torch.Tensor:
    """The eight futures of two pasts, (8, 2, 1, 1, 16, 16) in [0, 1]."""
    pasts = [
        render_directions(context_frames=1, horizon=1, side=16, disc=disc)[:, 1:] / 255
        for disc in (200, 240)
    ]
    return torch.stack(pasts, dim=1)


@pytest.mark.parametrize("chosen", [[0], [3, 3, 3], [0, 4], list(range(8)), [7, 6, 5, 7]])
def test_coverage_counts_the_directions_that_are_reached(chosen: list[int]) -> None:
    torch.manual_seed(0)
    futures = modes()[chosen]
    futures = futures + 0.02 * torch.randn_like(futures)
    expected = torch.full((2,), len({*chosen}) / 8)
    assert torch.equal(mode_coverage(futures, modes()), expected)


def test_blur_and_other_frames_reach_nothing() -> None:
    truth = modes()
    for futures in (
        truth.mean(dim=0, keepdim=True),  # what a squared error learns
        (truth[:1] + truth[1:2]) / 2,
        torch.zeros_like(truth[:3]),
    ):
        assert mode_coverage(futures, truth).tolist() == [0, 0]


def test_each_past_has_its_own_coverage() -> None:
    truth = modes()
    futures = torch.stack([truth[[0, 0, 0], 0], truth[[0, 1, 2], 1]], dim=1)
    assert mode_coverage(futures, truth).tolist() == [1 / 8, 3 / 8]


def test_diversity_of_the_truth_is_1_and_of_one_future_0() -> None:
    truth = modes()
    assert future_diversity(truth[[2, 2, 2]], truth).tolist() == [0, 0]
    generator = torch.Generator().manual_seed(0)
    drawn = truth[torch.randint(8, (400,), generator=generator)]
    torch.testing.assert_close(future_diversity(drawn, truth), torch.ones(2), atol=0.03, rtol=0)
    # All eight once: no two of 56 ordered pairs are equal, of 64 independent ones eight are.
    torch.testing.assert_close(future_diversity(truth, truth), torch.full((2,), 64 / 56))
    # Half as far from their mean, half as far from each other.
    mean = drawn.mean(dim=0)
    halved = future_diversity((drawn + mean) / 2, truth)
    torch.testing.assert_close(halved, future_diversity(drawn, truth) / 2)


def test_refusals() -> None:
    truth = modes()
    with pytest.raises(ValueError, match="1 futures; expected at least 2"):
        future_diversity(truth[:1], truth)
    with pytest.raises(ValueError, match=r"futures have shape \(3, 2, 1, 1, 8, 16\)"):
        mode_coverage(truth[:3, ..., :8, :], truth)
    with pytest.raises(ValueError, match="two modes are equal"):
        mode_coverage(truth, torch.cat([truth, truth[:1]]))
    with pytest.raises(ValueError, match="all true futures are equal"):
        future_diversity(truth, truth[[0, 0]])
    with pytest.raises(ValueError, match="expected floating point"):
        mode_coverage((255 * truth).byte(), truth)
