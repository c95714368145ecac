"""What draws and modes of the flow refiner decide, number by number."""

import math

import pytest
import torch
from torch import nn

from vidpred.models.flow_blend import BLENDED
from vidpred.models.flow_draws import DrawnFuture, _gumbel, draw
from vidpred.models.flow_modes import FlowModes


def test_noise_on_the_blend_is_gumbels() -> None:
    drawn = _gumbel(torch.empty(100_000), torch.Generator().manual_seed(0))
    assert drawn.mean().item() == pytest.approx(0.5772, abs=0.02)  # Euler's constant
    assert drawn.var().item() == pytest.approx(torch.pi**2 / 6, rel=0.03)


def test_a_mode_stretches_motion_in_x_against_y() -> None:
    modes = FlowModes(1, statistics=4, features=4, hidden=8)
    last = modes.clip[-1]
    assert isinstance(last, nn.Linear)
    last.bias.data[BLENDED], last.bias.data[BLENDED + 3] = 0.5, 0.2
    future = modes(torch.zeros(1, 4), torch.zeros(1, 4, 2, 2), torch.tensor([0]))
    torch.testing.assert_close(future.log_speed[0, :, 0, 0], torch.tensor([0.7, 0.3]))


def test_what_is_drawn_by_chance_is_distributed_as_it_says() -> None:
    found = draw(torch.empty(4000, 3, 8, 8), torch.Generator().manual_seed(0))
    # In x and y alike: one factor on all motion, log-normal.
    assert found.log_speed.shape == (4000, 2, 1, 1)
    assert torch.equal(found.log_speed[:, 0], found.log_speed[:, 1])
    assert found.log_speed[:, 0].std().item() == pytest.approx(0.6, rel=0.05)
    assert found.drift.shape == (4000, 2, 1, 1)
    for drift in found.drift.unbind(1):
        assert drift.std().item() == pytest.approx(0.3, rel=0.05)
    # A corner has the whole clip's Gumbel noise and its area's: means and variances add up.
    corner = found.logits[:, :, 0, 0]
    assert corner.mean().item() == pytest.approx(0.25 * 2 * 0.57722, abs=0.01)
    assert corner.std().item() == pytest.approx(0.25 * (2 * math.pi**2 / 6) ** 0.5, rel=0.02)


def test_a_future_moves_faster_and_drifts_where_it_moves() -> None:
    decided = DrawnFuture(
        logits=torch.zeros(1, BLENDED, 1, 1),
        log_speed=torch.tensor([2.0, 3.0]).log().view(1, 2, 1, 1),
        drift=torch.tensor([0.3, -0.4]).view(1, 2, 1, 1),
    )
    starts = torch.tensor([[1.5, -4 / 3], [0.0, 0.0]]).view(1, 2, 2, 1, 1)
    # (3, -4), 5 pixels away: 5 / 6 of the drift of two frames. What is still stays.
    expected = torch.tensor([[3 + 5 / 6 * 0.6, -4 - 5 / 6 * 0.8], [0.0, 0.0]])
    torch.testing.assert_close(decided.move(starts, 2).view(2, 2), expected)
