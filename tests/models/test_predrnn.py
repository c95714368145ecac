"""PredRNN against the authors' modules; memories, shapes, gradients, refusals."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from authors import checkout, fill, give_weights, importable, parameters, pattern, probe
from torch import Tensor, nn

from vidpred.models import PredRNN
from vidpred.models.predrnn import decoupling_penalty

CELLS = {
    "conv_x.0": "from_input",
    "conv_h.0": "from_state",
    "conv_m.0": "from_zigzag",
    "conv_o.0": "output_gate",
    "conv_last": "mix",
}


def tiny(**options: Any) -> PredRNN:
    return PredRNN(
        **{"hidden": 4, "layers": 3, "kernel": 3, "patch": 2, "context_frames": 3, **options}
    )


def of_ours(name: str) -> str:
    """Name a weight of the authors' modules as ours is named."""
    if not name.startswith("cell_list"):
        return name.replace("conv_last", "readout")
    _, layer, part = name.split(".", 2)
    return f"layers.{layer}.{CELLS[part.removesuffix('.weight')]}.weight"


def their_configs(**options: Any) -> SimpleNamespace:
    of_script = {
        "patch_size": 2,
        "img_channel": 1,
        "img_width": 8,
        "filter_size": 3,
        "stride": 1,
        "layer_norm": 0,
        "device": "cpu",
        "total_length": 7,
        "input_length": 3,
        "reverse_scheduled_sampling": 1,
        "visual": 0,
        "visual_path": "",
        "decouple_beta": 1.0,
    }
    return SimpleNamespace(**{**of_script, **options})


def theirs(
    monkeypatch: pytest.MonkeyPatch, version: str, hidden: list[int], **options: Any
) -> nn.Module:
    with importable(checkout("predrnn-pytorch")) as module:
        # What draws their figures needs libraries of its own, and is not called.
        figures = ModuleType("core.utils.tsne")
        vars(figures)["visualization"] = None
        monkeypatch.setitem(sys.modules, figures.__name__, figures)
        network: nn.Module = module(f"core.models.{version}").RNN(
            len(hidden), hidden, their_configs(**options)
        )
    return network


TRUE = torch.tensor([[True, True, False, True, False, False], [True, False] * 3])
"""Which frames of two clips of 7 are read as they are."""

OF_THE_AUTHORS = {
    "predrnn": ([0.00071, -0.25926, -0.47593, -0.15972, -0.41877], 0.46797),
    "predrnn_v2": ([-0.11485, -0.04386, 0.01343, -0.15578, -0.00152], 0.83642),
}
"""What the modules of thuml/predrnn-pytorch, commit 49d3b0f, give by `probe`, and their loss."""


def followed(version: str) -> tuple[PredRNN, Tensor, Tensor]:
    """Our network with weights by a rule, what it predicts, and its loss."""
    ours, frames = tiny(channels=1, decoupling=version == "predrnn_v2"), pattern(2, 7, 1, 8, 8)
    fill(ours)
    with torch.no_grad():
        pred, penalties = ours.follow(frames, TRUE)
    loss = (pred - frames[:, 1:]).square().mean() + penalties.get("decoupling", torch.zeros(()))
    return ours, pred, loss


@pytest.mark.parametrize("version", OF_THE_AUTHORS)
def test_it_gives_what_the_module_of_the_authors_gave(version: str) -> None:
    values, loss = OF_THE_AUTHORS[version]
    _, pred, found = followed(version)
    assert probe(pred) == pytest.approx(values, abs=1e-4)
    assert found.item() == pytest.approx(loss, abs=1e-4)


@pytest.mark.parametrize("version", OF_THE_AUTHORS)
def test_it_is_the_module_of_the_authors(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = theirs(monkeypatch, version, [4, 4, 4])
    ours, pred, loss = followed(version)
    give_weights(network, ours, of_ours)
    # Theirs have channels last, pixels of a patch as channels, and a mask of the frames 1 to 5.
    patches = torch.nn.functional.pixel_unshuffle(pattern(2, 7, 1, 8, 8), 2)
    mask = TRUE[:, 1:, None, None, None].float().expand(-1, -1, 4, 4, 4)
    with torch.no_grad():
        found, expected_loss = network(patches.permute(0, 1, 3, 4, 2), mask)
    expected = torch.nn.functional.pixel_shuffle(found.permute(0, 1, 4, 2, 3), 2)
    torch.testing.assert_close(pred, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(loss, expected_loss, atol=1e-5, rtol=1e-5)
    values, of_loss = OF_THE_AUTHORS[version]
    assert probe(expected) == pytest.approx(values, abs=1e-4)
    assert expected_loss.item() == pytest.approx(of_loss, abs=1e-4)


def test_faithful_has_as_many_parameters_as_that_of_the_authors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = {"patch_size": 4, "img_width": 64, "filter_size": 5}  # predrnn_mnist_train.sh
    with torch.device("meta"):
        network = theirs(monkeypatch, "predrnn", [128] * 4, **script)
    assert parameters(network) == 23_838_720


def test_presets_have_the_documented_number_of_parameters() -> None:
    with torch.device("meta"):
        faithful = PredRNN.from_preset("faithful", channels=1)
        decoupled = PredRNN.from_preset("faithful", channels=1, decoupling=True)
    assert parameters(faithful) == 23_838_720
    assert parameters(decoupled) == 23_838_720 + 128**2  # the adapter
    assert parameters(PredRNN.from_preset("cpu")) == 332_800


def test_the_second_memory_zigzags() -> None:
    """The first layer gets it from the top layer at the frame before."""
    network = tiny()
    frame = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        _, first = network.read(frame, None)
        changed = first._replace(zigzag=first.zigzag + 1)
        _, usual = network.read(frame, first)
        _, other = network.read(frame, changed)
    assert not torch.equal(usual.hidden[0], other.hidden[0])
    assert not torch.equal(usual.cells[1], other.cells[1])
    assert torch.equal(usual.cells[0], other.cells[0])  # a layer's own memory does not see it


def test_decoupling_is_a_cosine() -> None:
    one = torch.tensor([1.0, 0.0, 0.0, 0.0]).view(1, 1, 2, 2)
    other = torch.tensor([-3.0, 4.0, 0.0, 0.0]).view(1, 1, 2, 2)
    assert decoupling_penalty(one, other) == pytest.approx(0.6)
    assert decoupling_penalty(one, one.flip(-1)) == 0
    same = torch.linspace(-1, 1, 512).bfloat16().view(1, 1, 16, 32)  # as under autocast
    assert decoupling_penalty(same, same).item() == pytest.approx(1)


def test_decoupling_weighs_as_in_the_script() -> None:
    # Origin: decouple_beta of predrnn_v2_mnist_train.sh.
    assert tiny(decoupling=True).penalty_weights == {"decoupling": 0.1}
    assert tiny().penalty_weights == {}


def test_a_residual_is_added_to_the_frame_that_was_read() -> None:
    plain, residual = tiny(), tiny(residual=True)
    residual.load_state_dict(plain.state_dict())
    frame = torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        expected = frame + plain.read(frame, None)[0]
        torch.testing.assert_close(residual.read(frame, None)[0], expected)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("context_frames", [1, 3, 5])
def test_any_context_horizon_and_size(context_frames: int, residual: bool) -> None:
    network = tiny(context_frames=context_frames, residual=residual).eval()
    context = torch.rand(2, context_frames + 1, 3, 7, 12)
    with torch.no_grad():
        pred = network(context, 6)
        torch.testing.assert_close(network(context, 2), pred[:, :2])
    assert pred.shape == (2, 6, 3, 7, 12)
    assert pred.min() >= 0
    assert pred.max() <= 1


def test_a_gradient_reaches_every_weight() -> None:
    network = tiny(decoupling=True)
    true = torch.tensor([[True, True, False, False]])
    pred, penalties = network.follow(torch.rand(1, 5, 3, 8, 8), true)
    (pred.square().mean() + penalties["decoupling"]).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_it_is_rebuilt_from_its_config() -> None:
    network = tiny(decoupling=True, residual=True)
    again = PredRNN.from_config(network.config())
    again.load_state_dict(network.state_dict())
    assert again.config() == network.config()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="kernel is 4; expected an odd number"):
        tiny(kernel=4)
    with pytest.raises(ValueError, match="context has 1 channel,"):
        tiny()(torch.rand(1, 3, 1, 8, 8), 1)
    with pytest.raises(ValueError, match="context has 2 frames; expected at least 3"):
        tiny()(torch.rand(1, 2, 3, 8, 8), 1)
    with pytest.raises(ValueError, match="unknown preset 'huge'; expected one of faithful, cpu"):
        PredRNN.from_preset("huge")  # type: ignore[arg-type]
