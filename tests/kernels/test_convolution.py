"""Layers of the networks: how they are computed changes no result."""

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.utils.parametrizations import spectral_norm

from vidpred.kernels.convolution import Convolution, Layers

SINGLE = 1e-4
"""Of the standard deviation, as for the convolution itself."""


def stack(*, winograd: bool) -> list[nn.Module]:
    torch.manual_seed(1)
    first, second = Convolution(15, 32, 7), Convolution(32, 16, 5, padding=2)
    first.winograd = second.winograd = winograd
    return [first, nn.ReLU(inplace=True), spectral_norm(second), nn.ReLU(), nn.MaxPool2d(2)]


@pytest.mark.parametrize("winograd", [False, True])
def test_a_relu_after_a_convolution_is_computed_with_it(winograd: bool) -> None:
    apart, together = nn.Sequential(*stack(winograd=False)), Layers(*stack(winograd=winograd))
    together.load_state_dict(apart.state_dict())  # the names are those of a `Sequential`
    apart.eval(), together.eval()  # spectral norms stand still
    called: list[nn.Module] = []
    for layer in together:
        layer.register_forward_hook(lambda layer, *_: called.append(layer))
    frames = torch.randn(2, 15, 24, 24)
    expected, found = apart(frames), together(frames)
    assert called == [together[0], together[2], together[4]]
    assert (found - expected).abs().max() < SINGLE * expected.std()
    for network, made in ((apart, expected), (together, found)):
        made.square().mean().backward()
        assert all(weight.grad is not None for weight in network.parameters())
    for ours, theirs in zip(together.parameters(), apart.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert (ours.grad - theirs.grad).norm() < 1e-3 * theirs.grad.norm()


def test_a_relu_elsewhere_stays_where_it_is() -> None:
    layers = Layers(nn.ReLU(), Convolution(1, 1, 3), nn.Identity(), nn.ReLU(), nn.ReLU())
    frames = torch.randn(1, 1, 5, 5)
    assert torch.equal(layers(frames), layers[1](frames.relu()).relu())
    convolution = Layers(layers[1])
    assert torch.equal(convolution(frames), layers[1](frames))
    assert (layers[1](frames) < 0).any()


def test_frames_that_winograd_cannot_take_are_convolved_all_the_same() -> None:
    layer = Convolution(16, 32, 5)
    assert layer(torch.zeros(0, 16, 16, 16)).shape == (0, 32, 12, 12)
    assert layer(torch.zeros(16, 16, 16)).shape == (32, 12, 12)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:  # of no memory
        assert layer(mode.from_tensor(torch.zeros(1, 16, 16, 16))).shape == (1, 32, 12, 12)
