import math
from typing import Any, ClassVar

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vidpred.errors import SettingError
from vidpred.losses import (
    AdversarialLoss,
    CombinedLoss,
    GradientDifferenceLoss,
    LpLoss,
    MultiScaleLoss,
    Objective,
    PredictionLoss,
    gradient_difference_loss,
    lp_loss,
    r1_penalty,
    sum_over_scales,
)
from vidpred.losses.base import require_trainable

KINDS = ["non_saturating", "minimax", "least_squares", "hinge"]


def test_lp_loss_is_the_mean_of_torch() -> None:
    pred, target = torch.rand(2, 1, 3, 8, 9), torch.rand(2, 1, 3, 8, 9)
    torch.testing.assert_close(lp_loss(pred, target, 2), F.mse_loss(pred, target))
    torch.testing.assert_close(lp_loss(pred, target, 1), F.l1_loss(pred, target))


def test_gdl_equals_a_loop_over_pixels() -> None:
    pred, target = torch.rand(2, 4, 5), torch.rand(2, 4, 5)
    for alpha in (1.0, 2.0):
        rows, columns = [], []
        for b in range(2):
            for i in range(4):
                for j in range(5):
                    if i:
                        true = abs(float(target[b, i, j] - target[b, i - 1, j]))
                        rows.append(abs(true - abs(float(pred[b, i, j] - pred[b, i - 1, j]))))
                    if j:
                        true = abs(float(target[b, i, j] - target[b, i, j - 1]))
                        columns.append(abs(true - abs(float(pred[b, i, j] - pred[b, i, j - 1]))))
        expected = sum(r**alpha for r in rows) / len(rows)
        expected += sum(c**alpha for c in columns) / len(columns)
        assert gradient_difference_loss(pred, target, alpha).item() == pytest.approx(expected, 1e-5)


def test_gdl_does_not_see_offset_or_sign() -> None:
    frames = torch.rand(2, 1, 3, 8, 8)
    assert gradient_difference_loss(frames + 0.25, frames).item() == pytest.approx(0, abs=1e-6)
    assert gradient_difference_loss(-frames, frames).item() == 0


def test_gdl_ignores_batch_time_and_channels() -> None:
    flat = torch.zeros(2, 3, 3, 4, 4)
    steps = flat.clone()
    steps[1] += 1
    steps[:, 1] += 1
    steps[:, :, 2] += 1
    assert gradient_difference_loss(steps, flat).item() == 0


@pytest.mark.parametrize("loss", [lp_loss, gradient_difference_loss])
def test_losses_depend_on_neither_batch_nor_frame_size(loss) -> None:  # noqa: ANN001
    pred, target = torch.rand(1, 1, 3, 8, 8), torch.rand(1, 1, 3, 8, 8)
    repeated = loss(pred.repeat(5, 2, 1, 1, 1), target.repeat(5, 2, 1, 1, 1))
    torch.testing.assert_close(repeated, loss(pred, target))


@pytest.mark.parametrize("loss", [lp_loss, gradient_difference_loss])
def test_losses_have_a_right_gradient(loss) -> None:  # noqa: ANN001
    # float64 inputs are compared in float32, so the step has to be coarse.
    pred = torch.rand(1, 1, 5, 5, requires_grad=True)
    target = torch.rand(1, 1, 5, 5)
    (gradient,) = torch.autograd.grad(loss(pred, target), pred)
    direction = torch.randn_like(pred)
    step = 1e-3
    with torch.no_grad():
        ahead, behind = loss(pred + step * direction, target), loss(pred - step * direction, target)
    numerical = (ahead - behind) / (2 * step)
    torch.testing.assert_close((gradient * direction).sum(), numerical, rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize("loss", [lp_loss, gradient_difference_loss])
def test_losses_refuse_to_broadcast(loss) -> None:  # noqa: ANN001
    with pytest.raises(ValueError, match="expected equal shapes"):
        loss(torch.rand(2, 1, 3, 8, 8), torch.rand(1, 1, 3, 8, 8))


def test_impossible_powers_are_refused() -> None:
    frames = torch.rand(1, 1, 4, 4)
    with pytest.raises(ValueError, match="expected 1 or 2"):
        lp_loss(frames, frames, 3)
    for alpha in (0.5, math.nan):
        with pytest.raises(ValueError, match="at least 1"):
            gradient_difference_loss(frames, frames, alpha)
    with pytest.raises(ValueError, match="at least 2"):
        gradient_difference_loss(frames[..., :1], frames[..., :1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_frames_are_compared_in_float32(dtype: torch.dtype) -> None:
    pred, target = torch.rand(1, 1, 3, 64, 64).to(dtype), torch.rand(1, 1, 3, 64, 64).to(dtype)
    assert lp_loss(pred, target).dtype == torch.float32
    torch.testing.assert_close(lp_loss(pred, target), lp_loss(pred.float(), target.float()))
    torch.testing.assert_close(
        gradient_difference_loss(pred, target),
        gradient_difference_loss(pred.float(), target.float()),
    )


def test_cross_entropy_kinds_equal_torch() -> None:
    logits = torch.randn(8, 1)
    bce = F.binary_cross_entropy_with_logits
    ones, zeros = torch.ones_like(logits), torch.zeros_like(logits)
    for kind in ("non_saturating", "minimax"):
        loss = AdversarialLoss(kind)
        torch.testing.assert_close(loss.real_loss(logits), bce(logits, ones))
        torch.testing.assert_close(loss.fake_loss(logits), bce(logits, zeros))
    torch.testing.assert_close(
        AdversarialLoss("non_saturating").generator_loss(logits), bce(logits, ones)
    )
    # Goodfellow et al. 2014, equation 1: the generator minimizes log(1 - D).
    torch.testing.assert_close(
        AdversarialLoss("minimax").generator_loss(logits),
        torch.log(1 - torch.sigmoid(logits)).mean(),
    )


def test_smoothed_labels_equal_torch() -> None:
    logits = torch.randn(8, 1)
    labels = torch.full_like(logits, 0.9)
    for kind in ("non_saturating", "minimax"):
        loss = AdversarialLoss(kind, label_smoothing=0.1)
        expected = F.binary_cross_entropy_with_logits(logits, labels)
        torch.testing.assert_close(loss.real_loss(logits), expected)
        # One-sided: what is asked of fakes stays.
        torch.testing.assert_close(loss.fake_loss(logits), AdversarialLoss(kind).fake_loss(logits))
    squares = AdversarialLoss("least_squares", label_smoothing=0.1)
    torch.testing.assert_close(squares.real_loss(logits), F.mse_loss(logits, labels))
    with pytest.raises(ValueError, match="the hinge loss has no labels"):
        AdversarialLoss("hinge", label_smoothing=0.1)
    with pytest.raises(ValueError, match=r"label_smoothing is 1\.0"):
        AdversarialLoss(label_smoothing=1.0)


def test_r1_is_the_squared_slope_of_a_linear_judge() -> None:
    slope = torch.randn(12)
    real = [torch.randn(5, 1, 3, 2, 2, requires_grad=True)]
    logits = [(real[0].flatten(1) @ slope).unsqueeze(1)]
    torch.testing.assert_close(r1_penalty(logits, real), slope.square().sum().unsqueeze(0))
    # Positions of a fully convolutional head are averaged, not added.
    logits = [logits[0].repeat(1, 4)]
    torch.testing.assert_close(r1_penalty(logits, real), slope.square().sum().unsqueeze(0))


def test_least_squares_and_hinge_have_their_closed_forms() -> None:
    logits = torch.tensor([-2.0, 0.5])
    squares, hinge = AdversarialLoss("least_squares"), AdversarialLoss("hinge")
    assert squares.real_loss(logits).item() == pytest.approx((9 + 0.25) / 2)
    assert squares.fake_loss(logits).item() == pytest.approx((4 + 0.25) / 2)
    assert squares.generator_loss(logits).item() == pytest.approx((9 + 0.25) / 2)
    assert hinge.real_loss(logits).item() == pytest.approx((3 + 0.5) / 2)
    assert hinge.fake_loss(logits).item() == pytest.approx((0 + 1.5) / 2)
    assert hinge.generator_loss(logits).item() == pytest.approx(0.75)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_saturated_logits_stay_finite(kind: str, dtype: torch.dtype) -> None:
    loss = AdversarialLoss(kind)
    for value in (-200.0, 200.0):
        logits = torch.full((4, 1), value, dtype=dtype, requires_grad=True)
        for function in (loss.real_loss, loss.fake_loss, loss.generator_loss):
            result = function(logits)
            (gradient,) = torch.autograd.grad(result, logits)
            assert torch.isfinite(result)
            assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("kind", ["non_saturating", "least_squares", "hinge"])
def test_generator_gets_a_gradient_from_a_confident_discriminator(kind: str) -> None:
    logits = torch.full((4, 1), -30.0, dtype=torch.float16, requires_grad=True)
    loss = AdversarialLoss(kind).generator_loss(logits)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert (gradient < -0.1).all()  # raising the logit lowers the loss


def test_a_clip_is_taken_for_real_where_its_losses_are_equal() -> None:
    for kind in KINDS:
        loss = AdversarialLoss(kind)
        logits = torch.tensor([loss.boundary])
        assert loss.real_loss(logits) == loss.fake_loss(logits)


def test_score_is_a_probability_for_the_cross_entropy() -> None:
    logits = torch.tensor([0.0, 0.0])
    assert AdversarialLoss().score(logits).item() == 0.5
    assert AdversarialLoss("hinge").score(logits + 2).item() == 2


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown kind 'wasserstein'"):
        AdversarialLoss("wasserstein")


def test_configured_weights_reach_the_loss() -> None:
    preds = [torch.rand(2, 1, 3, s, s) for s in (4, 8)]
    targets = [torch.rand(2, 1, 3, s, s) for s in (4, 8)]
    loss = MultiScaleLoss(
        p=1, lp_weight=3, gradient_difference_weight=0.5, alpha=2, scale_weights=[2, 1]
    )
    terms = loss.terms(preds, targets)
    lp = [lp_loss(p, t, 1) for p, t in zip(preds, targets, strict=True)]
    gdl = [gradient_difference_loss(p, t, 2) for p, t in zip(preds, targets, strict=True)]
    expected = 3 * (2 * lp[0] + lp[1]) + 0.5 * (2 * gdl[0] + gdl[1])
    torch.testing.assert_close(loss(preds, targets), expected)
    torch.testing.assert_close(terms["lp_loss"], torch.stack(lp))
    objective = Objective(terms=terms, weights=loss.weights, scale_weights=loss.scale_weights)
    torch.testing.assert_close(objective.loss, expected)
    torch.testing.assert_close(terms["gradient_difference_loss"], torch.stack(gdl))


def test_scales_add_up() -> None:
    terms = torch.tensor([1.0, 2.0, 4.0])
    assert sum_over_scales(terms, None).item() == 7
    assert sum_over_scales(terms, [1, 0, 0.5]).item() == 3
    with pytest.raises(ValueError, match="2 scale_weights for 3 scales"):
        sum_over_scales(terms, [1, 1])


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_impossible_weights_are_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="lp_weight is"):
        MultiScaleLoss(lp_weight=weight)
    with pytest.raises(ValueError, match="gradient_difference_weight is"):
        MultiScaleLoss(gradient_difference_weight=weight)
    with pytest.raises(ValueError, match=r"scale_weights\[1\] is"):
        MultiScaleLoss(scale_weights=[1, weight])


def test_losses_of_one_scale_are_scalars_and_of_several_one_value_each() -> None:
    torch.manual_seed(0)
    preds = [torch.rand(2, 1, 3, n, n) for n in (4, 8)]
    targets = [torch.rand(2, 1, 3, n, n) for n in (4, 8)]
    loss = CombinedLoss([LpLoss(1, 0.5), GradientDifferenceLoss(2.0, weight=3.0)])
    one = loss(preds[1], targets[1])
    torch.testing.assert_close(one["lp_loss"], F.l1_loss(preds[1], targets[1]))
    expected = gradient_difference_loss(preds[1], targets[1], 2.0)
    torch.testing.assert_close(one["gradient_difference_loss"], expected)
    assert loss.weights == {"lp_loss": 0.5, "gradient_difference_loss": 3.0}
    # On scales it is the loss of the paper, term by term.
    both = MultiScaleLoss(p=1, lp_weight=0.5, gradient_difference_weight=3.0, alpha=2.0)
    assert both.weights == loss.weights
    for name, term in both.terms(preds, targets).items():
        assert torch.equal(loss(preds, targets)[name], term)


def test_a_loss_of_weight_0_is_not_computed() -> None:
    frames = torch.rand(1, 1, 1, 2, 2)
    loss = CombinedLoss([LpLoss(weight=0), GradientDifferenceLoss(weight=0)])
    assert loss(frames, frames) == {}


def test_losses_refuse_what_they_cannot_compute() -> None:
    frames = torch.rand(1, 1, 1, 2, 2)
    with pytest.raises(ValueError, match="p is 3; expected 1 or 2"):
        LpLoss(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="weight is -1"):
        LpLoss(weight=-1)
    with pytest.raises(ValueError, match=r"alpha is 0\.5"):
        GradientDifferenceLoss(0.5)
    with pytest.raises(ValueError, match="losses are empty"):
        CombinedLoss([])
    with pytest.raises(ValueError, match="two of the losses have a term lp_loss"):
        CombinedLoss([LpLoss(1), LpLoss(2)])
    assert set(CombinedLoss([LpLoss(1, name="l1"), LpLoss(2, name="l2")]).weights) == {"l1", "l2"}
    with pytest.raises(ValueError, match="preds are one tensor, targets a list of 1 scales"):
        LpLoss()(frames, [frames])
    with pytest.raises(ValueError, match="expected equal shapes"):
        LpLoss()(frames, torch.rand(1, 2, 1, 2, 2))


def test_an_objective_adds_scalars_and_scales_with_their_weights() -> None:
    scalar, scales = torch.tensor(2.0, requires_grad=True), torch.tensor([1.0, 10.0])
    objective = Objective(
        terms={"kl": scalar, "lp_loss": scales}, weights={"kl": 0.5}, scale_weights=[1.0, 0.1]
    )
    assert objective.weights == {"kl": 0.5, "lp_loss": 1.0}
    assert objective.loss.item() == pytest.approx(0.5 * 2 + 1 + 1)
    objective.loss.backward()
    assert scalar.grad is not None
    assert scalar.grad.item() == 0.5  # scale weights are of the terms that have scales
    with pytest.raises(ValueError, match=r"term kl has shape \(2, 3\); expected a scalar"):
        Objective(terms={"kl": torch.zeros(2, 3)})
    with pytest.raises(TypeError, match="term kl is a float; expected a tensor"):
        Objective(terms={"kl": 0.5})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="has no terms"):
        _ = Objective(terms={}).loss


def test_a_loss_of_a_user_needs_terms_alone() -> None:
    class Brightness(PredictionLoss):
        weights = {"brightness": 1.0}  # noqa: RUF012  as a user writes it

        def terms(self, preds, targets):  # noqa: ANN001, ANN202  as a user writes it
            return {"brightness": (preds.mean() - targets.mean()).abs()}

    frames = torch.full((1, 1, 1, 2, 2), 0.25)
    assert Brightness()(frames, 2 * frames)["brightness"].item() == 0.25


def test_mistakes_in_a_loss_of_a_user_are_refused_with_a_way_out() -> None:
    class OneTensor(PredictionLoss):
        def terms(self, preds, targets):  # noqa: ANN001, ANN202  as a user writes it
            return {"l1": (preds.float() - targets.float()).abs().mean()}

    scales = [torch.zeros(1, 1, 1, size, size) for size in (2, 4)]
    loss = OneTensor()
    with pytest.raises(SettingError, match=r"OneTensor has no weights; .* self\.weights = "):
        _ = loss.weights
    loss.weights = {"l1": 1.0}
    for each in (loss, CombinedLoss([loss])):
        assert each.checked_terms(scales[0], scales[0]) == {"l1": 0}
        with pytest.raises(SettingError, match=r"OneTensor\.terms got a list of 2 scales") as said:
            each.checked_terms(scales, scales)
        assert "lists of one tensor (B, T, C, h, w) a scale" in str(said.value)
    loss.weights = {"l2": 1.0}
    with pytest.raises(SettingError, match=r"terms gives l1, and its weights name l2; expected"):
        loss.checked_terms(scales[0], scales[0])
    with pytest.raises(AttributeError, match="'str' object"):  # another mistake keeps its traceback
        loss.checked_terms("frames", "frames")


def test_terms_of_other_shapes_are_refused() -> None:
    class Given(PredictionLoss):
        weights: ClassVar = {"a": 1.0}

        def __init__(self, given: Any) -> None:
            super().__init__()
            self.given = given

        def terms(self, preds: Any, targets: Any) -> Any:
            return self.given

    frames = torch.rand(2, 1, 3, 8, 8)
    one, two = torch.ones(()), torch.ones(2)
    assert Given({"a": one})(frames, frames) == {"a": one}
    assert Given({"a": two})([frames] * 2, [frames] * 2) == {"a": two}
    with pytest.raises(SettingError, match=r"gives a of shape \(2,\); expected a scalar"):
        Given({"a": two})(frames, frames)
    with pytest.raises(SettingError, match=r"terms gives a Tensor; expected a dictionary of terms"):
        Given(one)(frames, frames)


def test_what_is_no_loss_of_predictions_is_refused() -> None:
    loss: Any = nn.L1Loss()
    with pytest.raises(TypeError, match=r"loss is a L1Loss; expected .*losses\.PredictionLoss"):
        require_trainable(loss)
