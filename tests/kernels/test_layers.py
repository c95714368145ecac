"""How the layers of a network are computed changes neither results nor what others see of it."""

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from vidpred import kernels
from vidpred.errors import VidpredError
from vidpred.kernels import native
from vidpred.models import MultiScaleDiscriminator, MultiScaleGenerator

SINGLE = 1e-4
"""Of the standard deviation, as for the convolution itself."""


def stack() -> nn.Sequential:
    torch.manual_seed(1)
    first, second = nn.Conv2d(15, 32, 7), nn.Conv2d(32, 16, 5, padding=2)
    layers = [first, nn.ReLU(inplace=True), spectral_norm(second), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers).eval()  # spectral norms are not updated


def test_values_and_gradients_are_those_of_plain_layers() -> None:
    plain, fast = stack(), stack()
    names = list(plain.state_dict())
    kernels.accelerate(fast)
    assert list(fast.state_dict()) == names
    frames = torch.randn(2, 15, 24, 24)
    expected, found = plain(frames), fast(frames)
    assert not torch.equal(found, expected)  # the kernels round differently
    assert (found - expected).abs().max() < SINGLE * expected.std()
    for network, made in ((plain, expected), (fast, found)):
        made.square().mean().backward()
        assert all(weight.grad is not None for weight in network.parameters())
    for ours, theirs in zip(fast.parameters(), plain.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert (ours.grad - theirs.grad).norm() < 1e-3 * theirs.grad.norm()


def test_a_relu_is_computed_with_its_convolution_to_the_same_bits() -> None:
    fast = stack()
    kernels.accelerate(fast)
    frames = torch.randn(2, 15, 24, 24)
    together = fast(frames)
    for layer in fast:
        frames = layer(frames)
    assert torch.equal(together, frames)


def test_a_layer_called_by_itself_and_a_hook_see_what_they_would_see_otherwise() -> None:
    network = stack()
    seen: dict[int, Tensor] = {}
    frames = torch.randn(2, 15, 24, 24)
    kernels.accelerate(network)
    expected = network(frames)
    for index, layer in enumerate(network):
        layer.register_forward_hook(lambda _, __, out, i=index: seen.update({i: out.clone()}))
    assert torch.equal(network(frames), expected)
    assert sorted(seen) == [0, 1, 2, 3, 4]
    assert (seen[0] < 0).any()  # before the ReLU
    assert torch.equal(seen[1], seen[0].relu())
    assert (network[0](frames) < 0).any()


def test_networks_are_built_of_plain_layers_and_stay_so_in_python() -> None:
    for network in (
        MultiScaleGenerator.from_preset("small"),
        MultiScaleDiscriminator.from_preset("small"),
    ):
        layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
        assert {type(layer) for layer in layers} == {nn.Conv2d}
        assert kernels.describe(network) == "torch"
        kernels.accelerate(network)
        assert kernels.describe(network) == "winograd-native"
        kernels.accelerate(network, native=False)
        assert kernels.describe(network) == "winograd"
        kernels.restore(network)
        assert kernels.describe(network) == "torch"
        assert all("forward" not in layer.__dict__ for layer in network.modules())


def test_copies_and_pickles_compute_by_their_own_weights() -> None:
    torch.manual_seed(1)
    network = nn.Sequential(nn.Conv2d(15, 32, 7), nn.ReLU(), nn.Conv2d(32, 16, 5))
    kernels.accelerate(network)
    frames = torch.randn(1, 15, 24, 24)
    expected = network(frames)
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert kernels.describe(other) == "winograd-native"
        assert torch.equal(other(frames), expected)
        with torch.no_grad():
            for weight in other.parameters():
                weight.zero_()
        assert not other(frames).any()
        assert torch.equal(network(frames), expected)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(32, 64, 5, stride=2),
        nn.Conv2d(32, 64, 5, dilation=2),
        nn.Conv2d(32, 64, 5, groups=2),
        nn.Conv2d(32, 64, (3, 5)),
        nn.Conv2d(32, 64, 3, padding=(1, 0)),
        nn.Conv2d(32, 64, 3, padding="same"),
        nn.Conv2d(32, 64, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(32, 64, 1),
        nn.Conv2d(32, 64, 9),
    ],
    ids=str,
)
def test_other_convolutions_are_left_alone(layer: nn.Conv2d) -> None:
    frames = torch.randn(1, 32, 24, 24)
    expected = layer(frames)
    kernels.accelerate(layer)
    assert kernels.describe(layer) == "torch"
    assert torch.equal(layer(frames), expected)


class HalfSeen(nn.Conv2d):
    """Convolves by a part of its weights, as masked convolutions do."""

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, self.weight * (self.weight > 0), self.bias, padding=self.padding)


def test_a_layer_that_convolves_in_its_own_way_keeps_it() -> None:
    layer = HalfSeen(32, 64, 5)
    frames = torch.randn(1, 32, 24, 24)
    expected = layer(frames)
    kernels.accelerate(layer)
    assert torch.equal(layer(frames), expected)


def test_frames_that_winograd_cannot_take_are_convolved_all_the_same() -> None:
    layer = nn.Conv2d(16, 32, 5)
    kernels.accelerate(layer)
    assert layer(torch.zeros(0, 16, 16, 16)).shape == (0, 32, 12, 12)
    assert layer(torch.zeros(16, 16, 16)).shape == (32, 12, 12)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:  # of no memory
        assert layer(mode.from_tensor(torch.zeros(1, 16, 16, 16))).shape == (1, 32, 12, 12)


def test_an_exported_graph_has_plain_convolutions() -> None:
    network = stack()
    kernels.accelerate(network)
    graph = torch.export.export(network, (torch.randn(1, 15, 24, 24),))
    called = [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]
    assert sum("conv2d" in name for name in called) == 2


@pytest.mark.parametrize(
    ("value", "in_a_command", "in_python"),
    [(None, True, False), ("0", False, False), ("1", True, True)],
)
def test_one_variable_switches_all(
    value: str | None, in_a_command: bool, in_python: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is None:
        monkeypatch.delenv("VIDPRED_KERNELS", raising=False)
    else:
        monkeypatch.setenv("VIDPRED_KERNELS", value)
    assert kernels.enabled(default=True) == in_a_command
    assert kernels.enabled() == in_python
    network = stack()
    kernels.accelerate(network)
    assert (kernels.describe(network) != "torch") == in_a_command


def test_another_value_of_the_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDPRED_KERNELS", "yes")
    with pytest.raises(VidpredError, match=r"VIDPRED_KERNELS is 'yes'; expected 0 .* or 1"):
        kernels.enabled()


@pytest.mark.parametrize(
    ("frames", "way"),
    [
        (torch.zeros(1, 32, 16, 16), "winograd-native"),
        (torch.zeros(1, 32, 5, 5), "torch"),  # an output of 1 x 1, where transforms cost more
        (torch.zeros(1, 32, 16, 16, dtype=torch.bfloat16), "torch"),
    ],
)
def test_what_is_described_is_what_was_computed(frames: Tensor, way: str) -> None:
    layer = nn.Conv2d(32, 64, 5).to(frames.dtype)
    kernels.accelerate(layer)
    layer(frames)
    assert kernels.describe(layer) == way


def test_without_a_compiler_nothing_native_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidpred.kernels.convolution.has_native_kernels", lambda kernel: False)
    wide, narrow = nn.Conv2d(64, 64, 5), nn.Conv2d(16, 32, 5)
    for layer, way in ((wide, "winograd"), (narrow, "torch")):
        kernels.accelerate(layer)
        assert kernels.describe(layer) == way
        layer(torch.zeros(1, layer.in_channels, 16, 16))
        assert kernels.describe(layer) == way


@pytest.mark.skipif(not native.has_native_kernels(5), reason="no C compiler")
def test_few_tiles_pay_only_where_a_gradient_is_wanted() -> None:
    """The filters are transformed at each call; backward has as much work again to save."""
    layer = nn.Conv2d(16, 32, 5, padding=2)
    kernels.accelerate(layer)
    few, enough = torch.rand(1, 16, 16, 16), torch.rand(2, 16, 16, 16)  # 16 and 32 tiles of 4 x 4
    with torch.no_grad():
        layer(few)
        assert kernels.describe(layer) == "torch"
        layer(enough)
        assert kernels.describe(layer) == "winograd-native"
    layer(few)
    assert kernels.describe(layer) == "winograd-native"
