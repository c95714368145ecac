"""The temporal-difference loss of TAU against SciPy's divergence."""

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy

from vidpred.losses import (
    CombinedLoss,
    DifferentialDivergenceLoss,
    LpLoss,
    differential_divergence_loss,
)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_it_is_the_mean_divergence_of_scipy_a_value(temperature: float) -> None:
    pred, target = torch.rand(2, 2, 3, 3, 4, 5).unbind(0)
    changes = [np.diff(f.double().numpy(), axis=1).reshape(2, 2, -1) for f in (pred, target)]
    ours, true = (softmax(change / temperature, axis=-1) for change in changes)
    expected = entropy(ours, true, axis=-1).mean() / (3 * 4 * 5)
    found = differential_divergence_loss(pred, target, temperature)
    assert found.item() == pytest.approx(expected, rel=1e-4)


def test_temperature_and_weight_are_those_of_the_paper() -> None:
    pred, target = torch.rand(2, 1, 3, 1, 4, 4).unbind(0)
    loss = DifferentialDivergenceLoss()
    assert loss.weights == {"differential_divergence": 0.1}
    cold = differential_divergence_loss(pred, target, 0.1)
    assert torch.equal(differential_divergence_loss(pred, target), cold)
    assert torch.equal(loss(pred, target)["differential_divergence"], cold)


def test_it_sees_changes_alone() -> None:
    frames = torch.rand(1, 3, 1, 4, 4)
    assert differential_divergence_loss(frames + torch.rand(1, 1, 1, 4, 4), frames) < 1e-6
    brighter = frames + torch.tensor([0.0, 0.2, 0.5]).view(1, 3, 1, 1, 1)
    assert differential_divergence_loss(brighter, frames) < 1e-6
    assert differential_divergence_loss(frames.flip(1), frames) > 1e-3


def test_its_gradient_is_that_of_finite_differences() -> None:
    pred, target = torch.rand(2, 1, 3, 1, 2, 3, dtype=torch.float64).unbind(0)
    pred.requires_grad_()
    (gradient,) = torch.autograd.grad(differential_divergence_loss(pred, target), pred)
    ahead, behind = pred.detach().clone(), pred.detach().clone()
    ahead[0, 1, 0, 1, 2] += 1e-2
    behind[0, 1, 0, 1, 2] -= 1e-2
    both = (differential_divergence_loss(moved, target) for moved in (ahead, behind))
    numeric = (next(both) - next(both)) / 2e-2
    assert gradient[0, 1, 0, 1, 2].item() == pytest.approx(numeric.item(), rel=2e-2)


def test_it_stays_finite_where_a_softmax_underflows() -> None:
    pred = torch.zeros(1, 2, 1, 2, 2, requires_grad=True)
    target = torch.tensor([0.0, 100.0]).view(1, 2, 1, 1, 1) * torch.eye(2)
    loss = differential_divergence_loss(pred, target)
    loss.backward()
    assert pred.grad is not None
    assert torch.isfinite(loss)
    assert torch.isfinite(pred.grad).all()


def test_it_joins_other_losses_and_is_refused_where_it_means_nothing() -> None:
    both = CombinedLoss([LpLoss(), DifferentialDivergenceLoss(weight=0.2)])
    frames = torch.rand(1, 2, 3, 4, 4)
    assert both(frames, frames) == {
        "lp_loss": torch.zeros(()),
        "differential_divergence": torch.zeros(()),
    }
    assert both.weights["differential_divergence"] == 0.2
    assert DifferentialDivergenceLoss(weight=0.0)(frames, frames) == {}
    with pytest.raises(ValueError, match="pred has 1 frame; expected at least 2"):
        differential_divergence_loss(frames[:, :1], frames[:, :1])
    with pytest.raises(ValueError, match="expected equal shapes"):
        differential_divergence_loss(frames, frames[:, :1])
    with pytest.raises(ValueError, match="temperature is 0; expected a number above 0"):
        DifferentialDivergenceLoss(temperature=0)
    with pytest.raises(ValueError, match="weight is -1"):
        DifferentialDivergenceLoss(weight=-1)
