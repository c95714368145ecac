"""ConvLSTM against the paper's equations and its published numbers of parameters."""

from typing import Any

import pytest
import torch
from authors import parameters

from vidpred.models import ConvLSTM
from vidpred.models.convlstm import ConvLSTMCell


def tiny(**options: Any) -> ConvLSTM:
    return ConvLSTM(**{"hidden": (6, 4), "context_frames": 3, "channels": 2, **options})


@pytest.mark.parametrize(
    ("hidden", "kernels", "published"),
    [
        # Table 1 of Shi et al. 2015: gray frames of Moving MNIST, patches of 4 x 4, peepholes.
        ((256,), (5, 5), 13_524_496),
        ((128, 128), (5, 5), 10_042_896),
        ((128, 64, 64), (5, 5), 7_585_296),
        ((128, 128), (9, 1), 11_550_224),
        ((128, 64, 64), (9, 1), 8_830_480),
    ],
)
def test_it_has_the_published_number_of_parameters(
    hidden: tuple[int, ...], kernels: tuple[int, int], published: int
) -> None:
    input_kernel, state_kernel = kernels
    with torch.device("meta"):  # sizes alone
        network = ConvLSTM(hidden, input_kernel=input_kernel, state_kernel=state_kernel, channels=1)
    assert parameters(network) == published


def test_presets_have_the_documented_number_of_parameters() -> None:
    assert parameters(ConvLSTM.from_preset("faithful", channels=1)) == 7_585_296
    assert parameters(ConvLSTM.from_preset("cpu")) == 280_496
    assert ConvLSTM.from_preset("cpu", context_frames=7).context_frames == 7


def test_without_space_a_cell_is_the_lstm_of_torch() -> None:
    """At one pixel a convolution sees its middle alone; torch orders gates i, f, g, o."""
    cell, lstm = ConvLSTMCell(3, 5, state_kernel=3), torch.nn.LSTMCell(3, 5)
    order = torch.tensor([0, 1, 3, 2])  # i, f, o, g
    assert cell.from_input is not None
    with torch.no_grad():
        for convolution, weight in (
            (cell.from_input, lstm.weight_ih),
            (cell.from_state, lstm.weight_hh),
        ):
            middle = convolution.kernel_size[0] // 2
            reordered = weight.unflatten(0, (4, 5))[order].flatten(0, 1)
            convolution.weight[:, :, middle, middle] = reordered
        bias = (lstm.bias_ih + lstm.bias_hh).unflatten(0, (4, 5))
        assert cell.from_state.bias is not None
        cell.from_state.bias.copy_(bias[order].flatten())
        memory = lstm(torch.rand(2, 3))
        features = torch.rand(2, 3)
        expected = lstm(features, memory)
        found = cell(features[..., None, None], tuple(part[..., None, None] for part in memory))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one[..., 0, 0], other)


def test_peepholes_are_those_of_the_paper() -> None:
    cell = ConvLSTMCell(1, 2, peepholes=True)
    assert cell.peepholes is not None
    for parameter in cell.parameters():
        torch.nn.init.zeros_(parameter)
    assert cell.from_state.bias is not None
    add, forget, output, candidate = torch.rand(4, 2)
    weights = torch.tensor([[0.5, -1.0], [2.0, 0.3], [-0.7, 1.5]])
    with torch.no_grad():
        cell.from_state.bias.copy_(torch.cat([add, forget, output, candidate]))
        cell.peepholes.copy_(weights[..., None, None])
        before = torch.tensor([0.4, -0.9])
        hidden, found = cell(
            torch.rand(1, 1, 1, 1), (torch.rand(1, 2, 1, 1), before.view(1, 2, 1, 1))
        )
    # Equation 3 of the paper: the output gate sees the new cell.
    expected = (forget + weights[1] * before).sigmoid() * before
    expected = expected + (add + weights[0] * before).sigmoid() * candidate.tanh()
    torch.testing.assert_close(found.flatten(), expected)
    torch.testing.assert_close(
        hidden.flatten(), (output + weights[2] * expected).sigmoid() * expected.tanh()
    )


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("context_frames", [1, 3, 5])
def test_any_context_horizon_and_size(context_frames: int, residual: bool) -> None:
    network = tiny(context_frames=context_frames, residual=residual).eval()
    context = torch.rand(2, context_frames + 1, 2, 13, 18)
    with torch.no_grad():
        pred = network(context, 7)
        assert pred.shape == (2, 7, 2, 13, 18)
        assert pred.min() >= 0
        assert pred.max() <= 1
        # A frame does not depend on how many follow.
        torch.testing.assert_close(network(context, 2), pred[:, :2])
        torch.testing.assert_close(torch.stack(list(network.stream(context, 7)), 1), pred)


def test_the_future_is_unrolled_from_the_memories_of_the_past() -> None:
    """Two layers by hand: each forecasting layer starts where its encoding layer ended."""
    network, context = tiny(), torch.rand(1, 3, 2, 8, 8)
    (below, above), (next_below, next_above) = network.encoder, network.forecaster
    one = two = None
    with torch.no_grad():
        for frame in context.unbind(1):
            one = below(torch.nn.functional.pixel_unshuffle(frame, 4), one)
            two = above(one[0], two)
        for pred in network(context, 3).unbind(1):
            one = next_below(None, one)
            two = next_above(one[0], two)
            pixels = network.readout(torch.cat([one[0], two[0]], dim=1))
            expected = torch.nn.functional.pixel_shuffle(pixels, 4).sigmoid()
            torch.testing.assert_close(pred, expected)
    assert not torch.equal(*network(context, 2).unbind(1))


def test_without_a_change_the_residual_network_copies() -> None:
    network, context = tiny(residual=True).eval(), torch.rand(1, 3, 2, 8, 8)
    torch.nn.init.zeros_(network.readout.weight)
    torch.nn.init.zeros_(network.readout.bias)
    with torch.no_grad():
        assert torch.equal(network(context, 5), context[:, -1:].expand(-1, 5, -1, -1, -1))


@pytest.mark.parametrize("peepholes", [False, True])
def test_a_gradient_reaches_every_weight(peepholes: bool) -> None:
    network = tiny(peepholes=peepholes)
    network(torch.rand(1, 3, 2, 8, 8), 3).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_it_is_rebuilt_from_its_config() -> None:
    network = tiny(peepholes=False, residual=True, patch=2, input_kernel=3)
    again = ConvLSTM.from_config(network.config())
    again.load_state_dict(network.state_dict())
    assert again.config() == network.config()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="hidden is empty; expected"):
        tiny(hidden=())
    with pytest.raises(ValueError, match="input_kernel is 4; expected an odd number"):
        tiny(input_kernel=4)
    with pytest.raises(ValueError, match="state_kernel is 2; expected an odd number"):
        tiny(state_kernel=2)
    with pytest.raises(ValueError, match="context has 3 channels"):
        tiny()(torch.rand(1, 3, 3, 8, 8), 1)
    with pytest.raises(ValueError, match="context has 2 frames; expected at least 3"):
        tiny()(torch.rand(1, 2, 2, 8, 8), 1)
    with pytest.raises(ValueError, match="unknown preset 'huge'; expected one of faithful, cpu"):
        ConvLSTM.from_preset("huge")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="neither features nor a memory"):
        ConvLSTMCell(0, 2)(None, None)
