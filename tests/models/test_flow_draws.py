"""What draws and modes of the flow refiner decide, number by number."""

import pytest
import torch
from torch import nn

from vidpred.models.flow_blend import BLENDED
from vidpred.models.flow_draws import _gumbel
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
