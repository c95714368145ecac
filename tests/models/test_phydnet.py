"""PhyDNet against the authors' module and against finite differences."""

import math
import re
from typing import Any

import pytest
import torch
from authors import checkout, fill, importable, parameters, pattern, probe
from torch import Tensor, nn

from vidpred.models import PhyDNet
from vidpred.models.phydnet import PhysicalCell, moment_penalty

PARTS = {
    "encoder_E.c": "encoder",
    "encoder_Ep.c": "encode_physical",
    "encoder_Er.c": "encode_residual",
    "decoder_Dp.upc": "decode_physical",
    "decoder_Dr.upc": "decode_residual",
    "decoder_D.upc": "decoder",
}
CELL = {"F.conv1": "filters", "F.bn1": "norm", "F.conv2": "mix", "convgate": "gain"}


def tiny(**options: Any) -> PhyDNet:
    small = {"width": 32, "lstm_hidden": (4,), "kernel": 3, "context_frames": 3, "channels": 2}
    return PhyDNet(**{**small, **options})


def their_state(network: nn.Module, ours: PhyDNet) -> dict[str, Tensor]:
    """Name our weights as the authors do; their ConvLSTM has one kernel for all that it sees."""
    weights, found = ours.state_dict(), {}
    for name in network.state_dict():
        if name.startswith("convcell"):
            _, _, layer, _, kind = name.split(".")
            parts = [weights[f"lstm.{layer}.from_state.{kind}"]]
            if kind == "weight":
                parts.insert(0, weights[f"lstm.{layer}.from_input.weight"])
            found[name] = torch.cat(parts, dim=-1 if kind == "bias" else 1)
        elif name.startswith("phycell"):
            part, kind = name.removeprefix("phycell.cell_list.0.").rsplit(".", 1)
            found[name] = weights[f"physical.{CELL[part]}.{kind}"]
        else:
            of_name = re.fullmatch(r"(\w+\.(?:upc|c))(\d)(?:\.main)?\.(.+)", name)
            assert of_name, name
            part, layer, rest = of_name.groups()
            found[name] = weights[f"{PARTS[part]}.{int(layer) - 1}.{rest}"]
    assert sum(map(Tensor.numel, found.values())) == parameters(ours)
    return found


def theirs() -> nn.Module:
    """Their network for 8 x 8 gray frames; it has only this size but for the ConvLSTM's widths."""
    with importable(checkout("PhyDNet")) as module:
        models = module("models.models")
        physical = models.PhyCell((2, 2), 64, [49], n_layers=1, kernel_size=(7, 7), device="cpu")
        lstm = models.ConvLSTM((2, 2), 64, [128, 128, 64], 3, kernel_size=(3, 3), device="cpu")
        network: nn.Module = models.EncoderRNN(physical, lstm, "cpu")
    return network


OF_THE_AUTHORS = [0.00000, 0.18154, 0.98393, 0.18153, 0.98390]
"""What the module of vincent-leguen/PhyDNet, commit 23a992d, gives by `probe`."""


def predicted() -> tuple[PhyDNet, Tensor]:
    """Our network with weights by a rule, and three frames that it predicts."""
    ours = PhyDNet.from_preset("faithful", channels=1, context_frames=3).eval()
    fill(ours)
    with torch.no_grad():
        return ours, ours(pattern(2, 3, 1, 8, 8), 3)


def test_it_gives_what_the_module_of_the_authors_gave() -> None:
    _, pred = predicted()
    assert probe(pred) == pytest.approx(OF_THE_AUTHORS, abs=1e-4)


def test_it_is_the_module_of_the_authors() -> None:
    network = theirs()
    ours, pred = predicted()
    network.load_state_dict(their_state(network, ours))
    frames = pattern(2, 3, 1, 8, 8)
    with torch.no_grad():
        # As in evaluate of their main.py.
        for t, frame in enumerate(frames[:, :-1].unbind(1)):
            network(frame, t == 0)
        frame, expected = frames[:, -1], []
        for _ in range(3):
            _, _, frame, _, _ = network(frame, False, False)
            expected.append(frame)
    torch.testing.assert_close(pred, torch.stack(expected, 1), atol=1e-4, rtol=0)
    assert probe(torch.stack(expected, 1)) == pytest.approx(OF_THE_AUTHORS, abs=1e-4)


def test_the_penalty_is_that_of_the_authors() -> None:
    filters = torch.randn(49, 3, 7, 7)
    with importable(checkout("PhyDNet")) as module:
        moments = module("constrain_moments").K2M([7, 7])
        wanted = torch.eye(49).view(49, 7, 7)
        criterion = nn.MSELoss()
        expected = sum(criterion(moments(filters[:, b].double()).float(), wanted) for b in range(3))
    torch.testing.assert_close(moment_penalty(filters), expected, rtol=1e-4, atol=0)


def test_the_penalty_is_a_mean_over_moments_and_a_sum_over_channels() -> None:
    # Filters of 0 lack the moment 1 of each: 9 of 9 * 3 * 3 differences are 1, in each channel.
    assert moment_penalty(torch.zeros(9, 1, 3, 3)).item() == pytest.approx(1 / 9)
    assert moment_penalty(torch.zeros(9, 4, 3, 3)).item() == pytest.approx(4 / 9)
    # The authors add it to a sum over the 19 predicted frames of a clip, here a mean.
    assert tiny().penalty_weights == {"moment": pytest.approx(1 / 19)}


def test_a_residual_is_added_to_the_frame_that_was_read() -> None:
    plain, residual = tiny(), tiny(residual=True)
    residual.load_state_dict(plain.state_dict())
    frame = torch.rand(2, 2, 8, 8)
    with torch.no_grad():
        change = plain.read(frame, None)[0].logit()  # without it, a sigmoid gives the frame
        torch.testing.assert_close(residual.read(frame, None)[0], frame + change)


def test_half_precision_penalizes_as_full() -> None:
    filters = torch.randn(49, 3, 7, 7)
    expected = moment_penalty(filters)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(moment_penalty(filters), expected)


def test_without_a_penalty_filters_are_derivatives() -> None:
    """The filter without a penalty, applied to a polynomial, gives its derivative in the middle."""
    places = torch.arange(-1.0, 2.0, dtype=torch.float64)
    powers = torch.stack([places**order / math.factorial(order) for order in range(3)])
    inverse = torch.linalg.inv(powers)
    wanted = torch.eye(9, dtype=torch.float64).view(9, 1, 3, 3)
    filters = inverse @ wanted @ inverse.T
    assert moment_penalty(filters) < 1e-20
    y, x = torch.meshgrid(places, places, indexing="ij")
    derivative = {1: 3.0, 2: 2 * 5.0, 3: 2.0, 4: 7.0}  # by x, x twice, y, and both
    polynomial = 2 * y + 3 * x + 5 * x**2 + 7 * x * y
    for number, expected in derivative.items():
        assert (filters[number, 0] * polynomial).sum() == pytest.approx(expected)


def test_a_full_gain_believes_what_is_observed_and_none_the_dynamics() -> None:
    cell = PhysicalCell(4, kernel=3)
    observed, state = torch.rand(2, 1, 4, 5, 5).unbind(0)
    with torch.no_grad():
        nn.init.zeros_(cell.gain.weight)
        assert cell.gain.bias is not None
        cell.gain.bias.fill_(100.0)
        torch.testing.assert_close(cell(observed, state), observed)
        cell.gain.bias.fill_(-100.0)
        dynamics = state + cell.mix(cell.norm(cell.filters(state)))
        torch.testing.assert_close(cell(observed, state), dynamics)
        assert torch.equal(cell(observed, None), cell(observed, torch.zeros_like(state)))


def test_presets_have_the_documented_number_of_parameters() -> None:
    with torch.device("meta"):
        assert parameters(PhyDNet.from_preset("faithful", channels=1)) == 3_091_732
    assert parameters(PhyDNet.from_preset("cpu")) == 276_558


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("context_frames", [1, 4])
def test_any_context_horizon_and_size(context_frames: int, residual: bool) -> None:
    network = tiny(context_frames=context_frames, residual=residual).eval()
    context = torch.rand(2, context_frames + 1, 2, 7, 12)
    with torch.no_grad():
        pred = network(context, 6)
        torch.testing.assert_close(network(context, 2), pred[:, :2])
    assert pred.shape == (2, 6, 2, 7, 12)
    assert pred.min() >= 0
    assert pred.max() <= 1


def test_a_gradient_reaches_every_weight() -> None:
    network = tiny()
    true = torch.tensor([[True, True, False]])
    pred, penalties = network.follow(torch.rand(1, 4, 2, 8, 8), true)
    (pred.square().mean() + penalties["moment"]).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_it_is_rebuilt_from_its_config() -> None:
    network = tiny(residual=True)
    again = PhyDNet.from_config(network.config())
    again.load_state_dict(network.state_dict())
    assert again.config() == network.config()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="width is 48; expected a multiple of 32"):
        tiny(width=48)
    with pytest.raises(ValueError, match="kernel is 4; expected an odd number"):
        tiny(kernel=4)
    with pytest.raises(ValueError, match="one filter for each moment"):
        moment_penalty(torch.rand(8, 2, 3, 3))
    with pytest.raises(ValueError, match="context has 3 channels"):
        tiny()(torch.rand(1, 3, 3, 8, 8), 1)
    with pytest.raises(ValueError, match="context has 2 frames; expected at least 3"):
        tiny()(torch.rand(1, 2, 2, 8, 8), 1)
    with pytest.raises(ValueError, match="unknown preset 'huge'; expected one of faithful, cpu"):
        PhyDNet.from_preset("huge")  # type: ignore[arg-type]
