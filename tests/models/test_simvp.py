"""SimVP against the authors' module; shapes, gradients, refusals."""

import re

import pytest
import torch
from authors import checkout, fill, give_weights, importable, parameters, pattern, probe

from vidpred.models import SimVP

TINY = {"spatial_width": 8, "temporal_width": 16, "translator_depth": 2}


def tiny(**options: object) -> SimVP:
    return SimVP(**{**TINY, "context_frames": 4, "channels": 3, **options})  # type: ignore[arg-type]


def of_ours(name: str) -> str:
    """Name a weight of the authors' module as ours is named."""
    layers = {"conv": "0", "norm": "1"}
    name = re.sub(r"^dec\.readout", "readout", name)
    name = re.sub(
        r"^(enc|dec)\.(?:enc|dec)\.(\d+)\.conv\.(conv|norm)",
        lambda m: f"{m[1]}oder.{m[2]}.{layers[m[3]]}",
        name,
    )
    name = re.sub(r"^hid\.enc", "translator.down", name)
    name = re.sub(r"^hid\.dec", "translator.up", name)
    name = name.replace(".conv1.", ".reduce.")
    return re.sub(r"layers\.(\d+)\.(conv|norm)", lambda m: f"branches.{m[1]}.{layers[m[2]]}", name)


OF_THE_AUTHORS = {
    4: [0.30714, 0.15191, 0.12301, 0.09822, 0.17232],
    3: [0.12289, 0.13686, 0.01809, -0.13256, 0.19095],
}
"""What the module of A4Bio/SimVP, commit 4dcd445, gives by `probe`, for each spatial depth."""


@pytest.mark.parametrize("spatial_depth", OF_THE_AUTHORS)
def test_it_gives_what_the_module_of_the_authors_gave(spatial_depth: int) -> None:
    ours = tiny(spatial_depth=spatial_depth, translator_depth=3)
    fill(ours)
    with torch.no_grad():
        found = probe(ours.step(pattern(2, 4, 3, 16, 24)))
    assert found == pytest.approx(OF_THE_AUTHORS[spatial_depth], abs=1e-4)


@pytest.mark.parametrize("spatial_depth", OF_THE_AUTHORS)
def test_it_is_the_module_of_the_authors(spatial_depth: int) -> None:
    with importable(checkout("SimVP")) as module:
        theirs = module("model").SimVP((4, 3, 16, 24), 8, 16, spatial_depth, 3)
    ours = tiny(spatial_depth=spatial_depth, translator_depth=3)
    fill(ours)
    give_weights(theirs, ours, of_ours)
    context = pattern(2, 4, 3, 16, 24)
    with torch.no_grad():
        expected = theirs(context)
        torch.testing.assert_close(ours.step(context), expected, atol=1e-5, rtol=1e-5)
    assert probe(expected) == pytest.approx(OF_THE_AUTHORS[spatial_depth], abs=1e-4)


def test_faithful_has_as_many_parameters_as_that_of_the_authors() -> None:
    with torch.device("meta"):  # sizes alone
        assert parameters(SimVP.from_preset("faithful", channels=1)) == 15_778_433
        with importable(checkout("SimVP")) as module:
            # The defaults of main.py.
            theirs = module("model").SimVP((10, 1, 64, 64), hid_S=64, hid_T=256, N_S=4, N_T=8)
    assert parameters(theirs) == 15_778_433


def test_cpu_is_small() -> None:
    assert parameters(SimVP.from_preset("cpu")) == 241_635


@pytest.mark.parametrize("context_frames", [1, 3, 4])
def test_any_number_of_frames_and_any_size(context_frames: int) -> None:
    network = tiny(context_frames=context_frames, spatial_width=16).eval()
    with torch.no_grad():
        pred = network(torch.rand(2, context_frames + 1, 3, 13, 18), 6)
    assert pred.shape == (2, 6, 3, 13, 18)
    assert pred.min() >= 0
    assert pred.max() <= 1


def test_a_longer_horizon_feeds_predictions_back() -> None:
    network, context = tiny().eval(), torch.rand(1, 4, 3, 16, 16)
    with torch.no_grad():
        first = network(context, 4)
        assert torch.equal(network(context, 2), first[:, :2])
        torch.testing.assert_close(network(context, 7)[:, 4:], network(first, 3))


def test_without_a_change_the_residual_network_copies() -> None:
    network, context = tiny(residual=True).eval(), torch.rand(1, 4, 3, 16, 16)
    torch.nn.init.zeros_(network.readout.weight)
    torch.nn.init.zeros_(network.readout.bias)
    with torch.no_grad():
        assert torch.equal(network(context, 5), context[:, -1:].expand(-1, 5, -1, -1, -1))


def test_a_gradient_reaches_every_weight_also_of_frames_outside_the_range() -> None:
    network, context = tiny(), torch.rand(1, 4, 3, 16, 16)
    torch.nn.init.constant_(network.readout.bias, -1.0)
    network(context, 4).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_it_is_rebuilt_from_its_config() -> None:
    network = tiny(residual=True, kernels=(3, 5), spatial_depth=3)
    again = SimVP.from_config(network.config())
    again.load_state_dict(network.state_dict())
    assert again.config() == network.config()
    assert SimVP.from_preset("cpu", context_frames=8).output_frames == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spatial_width": 7}, "spatial_width is 7; expected an even number"),
        ({"spatial_depth": 1}, "spatial_depth is 1; expected at least 2"),
        ({"translator_depth": 1}, "translator_depth is 1; expected at least 2"),
        ({"temporal_width": 15}, "temporal_width is 15; expected an even number"),
        ({"kernels": (4,)}, r"kernels are \[4\]; expected odd sizes"),
        ({"kernels": ()}, "expected odd sizes, at least one"),
        ({"groups": 0}, "groups is 0; expected a whole number"),
        ({"spatial_width": 2, "context_frames": 3}, "is 6; expected a multiple of groups, 8"),
    ],
)
def test_what_cannot_be_built_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny(**options)


def test_other_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="context has 1 channel,"):
        tiny()(torch.rand(1, 4, 1, 16, 16), 1)
    with pytest.raises(ValueError, match="context has 3 frames; expected at least 4"):
        tiny()(torch.rand(1, 3, 3, 16, 16), 1)
    with pytest.raises(ValueError, match="unknown preset 'huge'; expected one of faithful, cpu"):
        SimVP.from_preset("huge")  # type: ignore[arg-type]
