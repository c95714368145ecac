"""Layers of the pixel networks: formulas, masks, and an LSTM that torch has as well."""

import torch

from vidpred.models.causal_layers import CausalConv2d, color_groups
from vidpred.models.multiplicative import multiplicative_unit
from vidpred.models.row_lstm import RowLSTM


def test_features_of_a_color_do_not_mix_with_those_of_later_ones() -> None:
    assert color_groups(7, 3).tolist() == [0, 0, 0, 1, 1, 2, 2]
    layer = CausalConv2d(6, 24, 1, sees_itself=True, colors=3, parts=4)
    features = torch.rand(1, 6, 1, 1, requires_grad=True)
    # Gate k of color 0 is the first pair of its part of the outputs.
    layer(features)[0].view(4, 6)[:, :2].sum().backward()
    assert features.grad is not None
    assert features.grad.flatten().ne(0).tolist() == [True, True, False, False, False, False]


def test_a_multiplicative_unit_follows_its_formula() -> None:
    torch.manual_seed(0)
    features, gates = torch.randn(2, 3, 2, 2), torch.randn(2, 12, 2, 2)
    one, two, three, update = gates.split(3, dim=1)
    expected = one.sigmoid() * torch.tanh(
        two.sigmoid() * features + three.sigmoid() * update.tanh()
    )
    torch.testing.assert_close(multiplicative_unit(features, gates), expected)


def test_a_row_lstm_of_one_column_is_torchs_lstm() -> None:
    """Where a row has one pixel, the recurrence from top to bottom is a plain LSTM."""
    torch.manual_seed(0)
    layer, width = RowLSTM(3), 3
    reference = torch.nn.LSTM(2 * width, width, batch_first=True)
    # torch's order of gates is input, forgetting, update, output.
    order = torch.cat([torch.arange(6), torch.arange(9, 12), torch.arange(6, 9)])
    with torch.no_grad():
        inputs = layer.input_to_state
        reference.weight_ih_l0.copy_((inputs.weight * inputs.mask)[order, :, 0, 1])
        reference.weight_hh_l0.copy_(layer.state_to_state.conv.weight[order, :, 1])
        reference.bias_ih_l0.copy_(inputs.bias[order])
        reference.bias_hh_l0.zero_()
    column = torch.randn(2, 2 * width, 5, 1)
    hidden, _ = reference(column[..., 0].transpose(1, 2))
    expected = column + layer.restore(hidden.transpose(1, 2)[..., None])
    torch.testing.assert_close(layer(column), expected)


def test_the_state_of_a_row_lstm_covers_a_triangle() -> None:
    """Of figure 5 of van den Oord et al. 2016; the row itself to the left alone."""
    layer, pixels = RowLSTM(2), torch.rand(1, 4, 4, 7, requires_grad=True)
    layer(pixels)[0, :, 3, 3].sum().backward()
    assert pixels.grad is not None
    seen = pixels.grad[0].abs().sum(0) > 0
    # Two columns of the own row; above, one more on the right a row, two more on the left.
    expected = [range(0, 7), range(0, 6), range(1, 5), range(2, 4)]
    assert [row.nonzero().flatten().tolist() for row in seen] == [list(r) for r in expected]
