"""Linear dynamics of flow: what a code is, what is continued, where frames are sampled."""

import math
from typing import Any

import pytest
import torch
from authors import parameters
from flow.patterns import moving_texture
from models.published import require_gradients, require_same_built
from torch import Tensor

from vidpred.flow import FlowEstimator
from vidpred.models import DYAN, CopyLastFrame, OpticalFlowExtrapolation
from vidpred.models.dyan import ANGLE, RADIUS, fista


class KnownFlows(FlowEstimator):
    """Gives one flow a pair of frames, oldest first, whatever they show."""

    def __init__(self, *flows: tuple[float, float]) -> None:
        self.flows = torch.tensor(flows)[:, :, None, None]

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        clips = len(first) // len(self.flows)
        return self.flows.repeat(clips, 1, 1, 1).expand(-1, -1, *first.shape[-2:])

    def describe(self) -> dict[str, Any]:
        return {"name": "KnownFlows"}


def with_pole(
    r: float, theta: float, *estimators: FlowEstimator, iterations: int = 4000, **options: Any
) -> DYAN:
    """Build a dictionary of one pole in double precision, with codes that are found exactly."""
    network = DYAN(*estimators, poles=1, iterations=iterations, **options).double()
    with torch.no_grad():
        network.radius.fill_(r)
        network.angle.fill_(theta)
    return network


def test_parameters_are_two_numbers_a_pole() -> None:
    assert parameters(DYAN.from_preset("faithful")) == 80  # the release: 40 r, 40 theta
    assert parameters(DYAN.from_preset("cpu")) == 8


def test_settings_are_those_of_the_release() -> None:
    # Origin: the authors' code at 999120a.
    network = DYAN.from_preset("faithful")
    assert (network.sparsity, network.iterations, network.follow) == (0.1, 100, False)
    assert RADIUS == (0.75, 1.15)
    assert pytest.approx((0, math.pi / 2), abs=2e-3) == ANGLE


def test_poles_begin_in_the_ring_of_the_release() -> None:
    network = DYAN(poles=100)
    for values, (low, high) in ((network.radius, RADIUS), (network.angle, ANGLE)):
        assert low < values.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < values.max() < high


def test_columns_are_signals_of_linear_dynamics() -> None:
    network = DYAN(poles=1)
    r, theta = network.radius.item(), network.angle.item()
    for sign in (1, -1):
        for wave in (math.cos, math.sin):
            column = torch.tensor([(sign * r) ** i * wave(i * theta) for i in range(5)])
            column /= column[:3].norm()  # of the known part
            distance = (network.dictionary(5) - column[:, None]).norm(dim=0)
            assert distance.min() < 1e-5
    assert torch.allclose(network.dictionary(5)[:, 0], torch.full((5,), 3**-0.5))


def test_fista_reaches_the_minimum() -> None:
    # Origin: the optimality conditions of the lasso, |D' (signal - D code)| <= sparsity, equal
    # with the sign of the code where it is not 0.
    columns, signals = torch.randn(3, 7).double(), torch.randn(3, 50).double()
    step = 1 / torch.linalg.matrix_norm(columns, 2).square()
    code = fista(columns, signals, 0.3, step, 2000)
    pull = columns.T @ (signals - columns @ code)
    assert pull.abs().max() < 0.3 + 1e-4
    used = code != 0
    assert 0 < used.sum() < used.numel()
    torch.testing.assert_close(pull[used], 0.3 * code.sign()[used], atol=1e-4, rtol=0)


@pytest.mark.parametrize("follow", [False, True])
def test_a_constant_flow_is_continued_less_the_price_of_its_code(follow: bool) -> None:
    # Closed form: with only the constant column (norm 1 over 3 known times) in use, the code is
    # sqrt(3) c - sparsity, which reads sparsity / sqrt(3) too low at any time.
    network = with_pole(0.8, 1.0, sparsity=0.3, follow=follow)
    flows = torch.tensor([4.0, -2.0, 1.0, 0.2, 0.15]).double().expand(1, 3, 5)
    expected = torch.tensor([4.0, -2.0, 1.0, 0.2, 0.0]).double()
    expected = expected - expected.sign() * 0.3 / math.sqrt(3)
    pred = network.continue_flows(flows, 3)
    torch.testing.assert_close(pred, expected.expand(1, 3, 5), atol=1e-6, rtol=0)


@pytest.mark.parametrize("follow", [False, True])
def test_a_translation_is_extrapolated_exactly(follow: bool) -> None:
    frames = torch.rand(1, 1, 24, 40)
    flows = KnownFlows(*[(-2.0, 1.0)] * 3)
    network = with_pole(0.8, 1.0, flows, sparsity=1e-4, follow=follow).float()
    pred = network(frames[:, None].expand(1, 4, 1, 24, 40), 3)
    for k in range(1, 4):
        expected = torch.roll(frames, (-k, 2 * k), dims=(2, 3))[..., 4:-4, 8:-8]
        torch.testing.assert_close(pred[:, k - 1, :, 4:-4, 8:-8], expected, atol=1e-3, rtol=0)


def test_a_motion_of_its_own_dictionary_is_continued_and_not_kept_constant() -> None:
    network = with_pole(0.8, 0.0, sparsity=1e-4)
    slowing = torch.tensor([0.8**i for i in range(5)]).double() * 5  # pixels a frame
    pred = network.continue_flows(slowing[:3].view(1, 3, 1), 2)
    torch.testing.assert_close(pred[0, :, 0], slowing[3:], atol=1e-3, rtol=0)


def test_real_flow_of_a_translation_is_carried_as_by_optical_flow() -> None:
    frames = moving_texture((2.0, 1.0), num_frames=6)[None]
    network = with_pole(0.8, 1.0, sparsity=0.01, follow=True, iterations=200).float()
    with torch.no_grad():
        pred = network(frames[:, :4], 2)
    inside = (..., slice(16, -16), slice(16, -16))
    error = (pred - frames[:, 4:])[inside].abs().mean()
    copied = (CopyLastFrame()(frames[:, :4], 2) - frames[:, 4:])[inside].abs().mean()
    carried = (OpticalFlowExtrapolation()(frames[:, :4], 2) - frames[:, 4:])[inside].abs().mean()
    assert error < copied / 5
    assert error < 1.5 * carried


@pytest.mark.parametrize("follow", [False, True])
def test_what_grows_keeps_growing(follow: bool) -> None:
    # A zoom about the left border, which brings to x what was at (1 - c) x. Without `follow`, the
    # flow at each place stays: (1 - c)^k x. With it, each pixel of the last frame keeps its pace of
    # c x: after k frames, what was at x is at (1 + c k) x.
    columns, c = torch.arange(64.0), 0.1

    class Zoom(KnownFlows):
        def estimate(self, first: Tensor, second: Tensor) -> Tensor:
            flow = torch.zeros(3, 2, 8, 64)
            flow[:, 0] = -c * columns
            if follow:  # of the pairs before, at the places where the pixels were then
                flow[:, 0] /= torch.tensor([1 - 2 * c, 1 - c, 1])[:, None, None]
            return flow

    network = with_pole(0.8, 1.0, Zoom((0, 0)), sparsity=1e-4, follow=follow).float()
    with torch.no_grad():
        pred = network((columns / 64).expand(1, 4, 1, 8, 64), 4)[0, :, 0, 4]
    for k in range(1, 5):
        scale = 1 / (1 + c * k) if follow else (1 - c) ** k
        expected = scale * columns[:48] / 64
        torch.testing.assert_close(pred[k - 1, :48], expected, atol=8e-3, rtol=0)


def test_with_follow_the_past_is_that_of_the_pixel() -> None:
    # A square that comes from the left: before it arrived, other pixels moved.
    older, newer = torch.zeros(1, 2, 8, 16), torch.zeros(1, 2, 8, 16)
    older[:, 0, :, 2:6], newer[:, 0, :, 5:9] = -3.0, -3.0

    class Square(KnownFlows):
        def estimate(self, first: Tensor, second: Tensor) -> Tensor:
            return torch.cat([older, newer])

    window = torch.rand(1, 3, 1, 8, 16)
    followed = DYAN(Square((0, 0)), context_frames=3, follow=True).past_flows(window)
    assert torch.allclose(followed[:, :, 0, :, 5:9], torch.tensor(-3.0))
    fixed = DYAN(Square((0, 0)), context_frames=3).past_flows(window)
    assert torch.equal(fixed[:, 0, 0, :, 6:9], torch.zeros(1, 8, 3))


def test_with_follow_the_way_back_adds_up() -> None:
    # Two frames back, the pixel at (x, y) was at (x + 2 + 1, y - 1 + 3), where the oldest flow,
    # which is linear in the place, is read.
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(16.0), indexing="ij")
    oldest = torch.stack([x / 8, y / 4])

    class Turning(KnownFlows):
        def estimate(self, first: Tensor, second: Tensor) -> Tensor:
            return torch.cat([oldest[None], super().estimate(first[1:], second[1:])])

    network = DYAN(Turning((1.0, 3.0), (2.0, -1.0)), follow=True)
    found = network.past_flows(torch.rand(1, 4, 1, 12, 16))[0, 0]
    expected = torch.stack([(x + 3) / 8, (y + 2) / 4])
    torch.testing.assert_close(found[:, 2:9, :12], expected[:, 2:9, :12], atol=1e-4, rtol=0)


@pytest.mark.parametrize("follow", [False, True])
def test_a_gradient_reaches_every_pole(follow: bool) -> None:
    flows = [(-2.0, 1.0), (0.5, -1.5), (1.5, 0.3)]
    network = DYAN(KnownFlows(*flows), poles=2, follow=follow)
    require_gradients(network, network(torch.rand(1, 4, 3, 16, 16), 2))


def test_learning_a_dynamic_lowers_the_error() -> None:
    # Motions that slow by 0.9 a frame, which no pole has yet.
    flows = torch.tensor([0.9**i for i in range(4)])[None, :, None] * torch.randn(1, 1, 200) * 3
    network = DYAN(poles=2)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    errors = []
    for _ in range(40):
        optimizer.zero_grad()
        error = (network.continue_flows(flows[:, :3], 1) - flows[:, 3:]).square().mean()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < errors[0] / 2


@pytest.mark.parametrize("name", ["faithful", "cpu"])
@pytest.mark.parametrize("shape", [(3, 13, 21), (1, 16, 16)])
def test_any_size_of_gray_or_rgb(name: str, shape: tuple[int, int, int]) -> None:
    with torch.no_grad():
        pred = DYAN.from_preset(name)(torch.rand(2, 5, *shape), 2)  # type: ignore[arg-type]
    assert pred.shape == (2, 2, *shape)
    assert pred.min() >= 0
    assert pred.max() <= 1


def test_a_still_clip_stays_as_it_is() -> None:
    frame = torch.rand(1, 1, 3, 16, 16)
    pred = DYAN.from_preset("faithful")(frame.expand(-1, 4, -1, -1, -1), 2)
    torch.testing.assert_close(pred, frame.expand(-1, 2, -1, -1, -1), atol=1e-4, rtol=0)


def test_config_builds_the_same() -> None:
    network = DYAN.from_preset("cpu")
    context = moving_texture((1.0, 0.0), num_frames=4, height=48, width=48)[None]
    with torch.no_grad():
        torch.testing.assert_close(require_same_built(network)(context, 1), network(context, 1))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="context_frames is 2; expected at least 3"):
        DYAN(context_frames=2)
    with pytest.raises(ValueError, match="poles is 0"):
        DYAN(poles=0)
    with pytest.raises(ValueError, match="sparsity is -1"):
        DYAN(sparsity=-1.0)
    with pytest.raises(ValueError, match="unknown preset 'huge'; expected one of faithful, cpu"):
        DYAN.from_preset("huge")  # type: ignore[arg-type]


def test_half_precision_continues_as_full() -> None:
    network = DYAN.from_preset("cpu")
    context = torch.rand(1, 4, 3, 64, 64)
    with torch.no_grad():
        expected = network(context, 2)
        with torch.autocast("cpu", torch.bfloat16):
            found = network(context, 2)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_weights_of_another_type_predict_in_it(dtype: torch.dtype) -> None:
    context = torch.rand(1, 4, 3, 64, 64).bfloat16()
    network = DYAN.from_preset("cpu")
    with torch.no_grad():
        expected = network(context.float(), 2)
        found = network.to(dtype)(context.to(dtype), 2)
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), expected, atol=0.05, rtol=0)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_poles_that_are_not_finite_are_not_hidden(value: float) -> None:
    network = DYAN(KnownFlows((2.0, 0.0), (2.0, 0.0), (2.0, 0.0)), poles=2, iterations=3)
    with torch.no_grad():
        network.radius[0] = value
    assert network(torch.rand(1, 4, 3, 8, 8), 1).isnan().all()
