"""SimVP-v2 and TAU against the authors' modules in OpenSTL; shapes, gradients, refusals."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
import torch
from authors import checkout, fill, give_weights, importable, parameters, pattern, probe
from torch import nn

from vidpred.models import TAU, SimVPv2

TINY = {"spatial_width": 4, "temporal_width": 6, "translator_depth": 3, "expansion": 2}
NETWORKS = {"gSTA": SimVPv2, "tau": TAU}


def tiny(network: type[SimVPv2] = SimVPv2, **options: Any) -> SimVPv2:
    return network(**{**TINY, "context_frames": 3, "channels": 2, **options})


@contextmanager
def of_openstl() -> Iterator[type[nn.Module]]:
    """Give their SimVP_Model, without the modules of other papers that come with it."""
    folder = checkout("OpenSTL")
    pytest.importorskip("timm", reason="OpenSTL needs timm")
    names = ("openstl", "openstl.models", "openstl.modules")
    with importable(folder) as module:
        for name in names:
            package = ModuleType(name)
            package.__path__ = [str(folder.joinpath(*name.split(".")))]
            sys.modules[name] = package
        try:
            parts = vars(module("openstl.modules.simvp_modules"))
            vars(sys.modules["openstl.modules"]).update(
                {name: part for name, part in parts.items() if not name.startswith("__")}
            )
            yield module("openstl.models.simvp_model").SimVP_Model
        finally:
            for name in names:
                del sys.modules[name]


def of_ours(name: str) -> str:
    """Name a weight of the authors' modules as ours is named."""
    name = re.sub(
        r"^(enc|dec)\.(?:enc|dec)\.(\d+)\.conv\.(conv|norm)(\.0)?",
        lambda m: f"{m[1]}oder.{m[2]}.{'0' if m[3] == 'conv' else '2'}",
        name,
    )
    for theirs, ours in (
        ("dec.readout", "readout"),
        ("hid.enc", "translator"),
        ("reduction", "reduce"),
        ("block.norm1", "norms.0"),
        ("block.norm2", "norms.1"),
        ("block.layer_scale_1", "scales.0"),
        ("block.layer_scale_2", "scales.1"),
        ("block.attn.proj_1", "attend.0"),
        ("block.attn.spatial_gating_unit", "attend.2"),
        ("block.attn.proj_2", "attend.3"),
        ("block.mlp.fc1", "feed_forward.0"),
        ("block.mlp.dwconv.dwconv", "feed_forward.1"),
        ("block.mlp.fc2", "feed_forward.3"),
    ):
        name = name.replace(theirs, ours)
    return name


def gate_of_ours(kind: str, name: str) -> str:
    large = "large" if kind == "gSTA" else "statical.0"
    name = of_ours(name).replace("conv0", f"{large}.0").replace("conv_spatial", f"{large}.1")
    name = name.replace("2.conv1", "2.mix" if kind == "gSTA" else "2.statical.1")
    return name.replace("2.fc", "2.dynamical")


OF_THE_AUTHORS = {
    "gSTA": [0.22301, 0.50564, -0.28498, 0.57045, -0.29814],
    "tau": [0.22261, 0.49711, -0.25893, 0.59490, -0.25254],
}
"""What the modules of chengtan9907/OpenSTL, commit c74deb5, give by `probe`, in training."""


@pytest.mark.parametrize("kind", NETWORKS)
def test_it_gives_what_the_module_of_the_authors_gave(kind: str) -> None:
    ours = tiny(NETWORKS[kind])
    fill(ours)
    with torch.no_grad():
        found = probe(ours.step(pattern(2, 3, 2, 12, 16)))
    assert found == pytest.approx(OF_THE_AUTHORS[kind], abs=1e-4)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", NETWORKS)
def test_it_is_the_module_of_the_authors(kind: str, training: bool) -> None:
    with of_openstl() as theirs_of:
        theirs = theirs_of((3, 2, 12, 16), 4, 6, 4, 3, kind, mlp_ratio=2.0)
    for block in theirs.hid.enc:
        block.block.drop_path = nn.Identity()  # there it is never 0, in training
    ours = tiny(NETWORKS[kind])
    fill(ours)
    give_weights(theirs, ours, lambda name: gate_of_ours(kind, name))
    context = pattern(2, 3, 2, 12, 16)
    ours.train(training)
    theirs.train(training)
    with torch.no_grad():
        expected = theirs(context)
        if training:
            assert probe(expected) == pytest.approx(OF_THE_AUTHORS[kind], abs=1e-4)
        else:
            expected = expected.clamp(0, 1)
        torch.testing.assert_close(ours.step(context), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", NETWORKS)
def test_faithful_has_as_many_parameters_as_that_of_the_authors(kind: str) -> None:
    with of_openstl() as theirs_of:
        # configs/mmnist/simvp/SimVP_gSTA.py and configs/mmnist/TAU.py
        theirs = theirs_of((10, 1, 64, 64), hid_S=64, hid_T=512, N_S=4, N_T=8, model_type=kind)
    with torch.device("meta"):  # sizes alone
        assert parameters(NETWORKS[kind].from_preset("faithful", channels=1)) == parameters(theirs)


def test_presets_have_the_documented_number_of_parameters() -> None:
    with torch.device("meta"):
        assert parameters(SimVPv2.from_preset("faithful", channels=1)) == 46_769_665
        assert parameters(TAU.from_preset("faithful", channels=1)) == 44_656_001
    assert parameters(SimVPv2.from_preset("cpu")) == 189_891
    assert parameters(TAU.from_preset("cpu")) == 181_443


def test_weights_begin_as_those_of_the_authors() -> None:
    # Origin: ConvSC and GASubBlock of OpenSTL.
    network = SimVPv2(32, 64, translator_depth=2, context_frames=2)
    assert network.encoder[1][0].weight.std().item() == pytest.approx(0.02, rel=0.03)
    assert not network.encoder[1][0].bias.any()
    block = network.translator[0]  # 64 channels, 512 hidden
    assert all(torch.equal(scale, torch.full_like(scale, 0.01)) for scale in block.scales)
    for layer, outputs_of_an_input in ((0, 512), (1, 9), (3, 64)):
        spread = block.feed_forward[layer].weight.std().item()
        assert spread == pytest.approx((2 / outputs_of_an_input) ** 0.5, rel=0.05)


@pytest.mark.parametrize("network", [SimVPv2, TAU])
@pytest.mark.parametrize("context_frames", [1, 2, 5])
def test_any_number_of_frames_and_any_size(network: type[SimVPv2], context_frames: int) -> None:
    predictor = tiny(network, context_frames=context_frames).eval()
    context = torch.rand(2, context_frames + 1, 2, 13, 18)
    with torch.no_grad():
        pred = predictor(context, 6)
        torch.testing.assert_close(predictor(context, 1), pred[:, :1])
    assert pred.shape == (2, 6, 2, 13, 18)
    assert pred.min() >= 0
    assert pred.max() <= 1


@pytest.mark.parametrize("network", [SimVPv2, TAU])
def test_a_gradient_reaches_every_weight(network: type[SimVPv2]) -> None:
    predictor = tiny(network)
    predictor(torch.rand(2, 3, 2, 8, 8), 3).square().mean().backward()
    for name, parameter in predictor.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_without_a_change_the_residual_network_copies() -> None:
    network, context = tiny(residual=True).eval(), torch.rand(1, 3, 2, 8, 8)
    torch.nn.init.zeros_(network.readout.weight)
    torch.nn.init.zeros_(network.readout.bias)
    with torch.no_grad():
        assert torch.equal(network(context, 5), context[:, -1:].expand(-1, 5, -1, -1, -1))


def test_blocks_are_skipped_in_training_alone_and_the_last_one_most() -> None:
    network = tiny(drop_path=1.0)
    assert [block.skip.p for block in network.translator] == [0.0, 0.5, 1.0]
    features = torch.rand(1, 6, 4, 4)
    block = network.translator[-1]
    with torch.no_grad():
        assert torch.equal(block(features), block.reduce(features))
        assert not torch.equal(block.eval()(features), block.reduce(features))


@pytest.mark.parametrize("network", [SimVPv2, TAU])
def test_it_is_rebuilt_from_its_config(network: type[SimVPv2]) -> None:
    predictor = tiny(network, drop_path=0.2, residual=True)
    again = network.from_config(predictor.config())
    again.load_state_dict(predictor.state_dict())
    assert again.config() == predictor.config()
    assert network.from_preset("cpu", context_frames=3).output_frames == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spatial_width": 3}, "spatial_width is 3; expected an even number"),
        ({"spatial_depth": 3}, "spatial_depth is 3; expected an even number"),
        ({"spatial_depth": 1}, "spatial_depth is 1; expected at least 2"),
        ({"translator_depth": 1}, "translator_depth is 1; expected at least 2"),
        ({"drop_path": 1.5}, "drop_path is 1.5; expected a probability"),
    ],
)
def test_what_cannot_be_built_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny(**options)


def test_other_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="context has 3 channels"):
        tiny()(torch.rand(1, 3, 3, 8, 8), 1)
    with pytest.raises(ValueError, match="context has 2 frames; expected at least 3"):
        tiny()(torch.rand(1, 2, 2, 8, 8), 1)
    for network in (SimVPv2, TAU):
        with pytest.raises(ValueError, match="unknown preset 'huge'; expected one of faithful"):
            network.from_preset("huge")  # type: ignore[arg-type]
