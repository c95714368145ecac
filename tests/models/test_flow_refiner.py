"""The flow refiner: what it is without training, where its samples come from, what it refuses."""

import json
import math

import pytest
import torch
from flow.patterns import moving_texture
from torch import Tensor

from vidpred.data.moving_shapes import render_moving_shapes
from vidpred.models import FlowRefiner, OpticalFlowExtrapolation, flow_refiner
from vidpred.models.flow_blend import BLENDED
from vidpred.models.flow_draws import DRIFT, GROWN, SPEED_SPREAD, draw
from vidpred.models.flow_evidence import carry, halve
from vidpred.models.flow_modes import OF_CLIP
from vidpred.models.flow_refiner import PRIOR
from vidpred.ops import to_unit, warp
from vidpred.storage import build_predictor
from vidpred.storage.description import describe_predictor

INSIDE = (..., slice(32, -32), slice(32, -32))
"""Where a pixel's past is within the frame, for up to 4 steps of the motions here."""


@pytest.fixture
def clip() -> Tensor:
    """Real motion in four frames, sizes that are multiples of 16, shape (1, 4, 3, 96, 128)."""
    frames = to_unit(render_moving_shapes("Spin", num_frames=4)[0])[None]
    return torch.nn.functional.interpolate(frames[0], size=(96, 128), mode="area")[None]


def trained_at_random(widths: tuple[int, ...] = (8, 12), **options: object) -> FlowRefiner:
    torch.manual_seed(0)
    refiner = FlowRefiner(widths=widths, hidden=8, **options)  # type: ignore[arg-type]
    for parameter in refiner.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return refiner.eval()


WITH_AND_WITHOUT = pytest.mark.parametrize("widths", [(8, 12), ()], ids=["network", "no_network"])


@WITH_AND_WITHOUT
@pytest.mark.parametrize("sharp", [False, True])
def test_untrained_it_is_optical_flow_extrapolation(
    sharp: bool, widths: tuple[int, ...], clip: Tensor
) -> None:
    refiner = FlowRefiner(widths=widths)
    refiner.sharp = sharp
    with torch.no_grad():
        pred = refiner(clip, 4)
    apart = (pred - OpticalFlowExtrapolation()(clip, 4)).abs()
    if sharp:  # it leaves a hundredth to the other motions, and smooths what they make
        assert apart.mean() < 6e-3
        assert apart.median() < 1e-3
    else:
        assert apart.max() < 1e-5


@WITH_AND_WITHOUT
def test_a_gradient_reaches_every_weight_of_every_head(
    widths: tuple[int, ...], clip: Tensor
) -> None:
    refiner = trained_at_random(widths)
    refiner.train()
    refiner(clip, 2).square().mean().backward()
    for name, parameter in refiner.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_heads_learn_from_the_first_step(clip: Tensor) -> None:
    refiner = FlowRefiner(widths=(8, 12))
    assert refiner.network is not None
    refiner(clip, 1).square().mean().backward()
    for head in (
        refiner.network.flow_head,
        refiner.network.pixel_head,
        refiner.clip_logits,
        refiner.clip_speed,
    ):
        assert head.weight.grad is not None
        assert head.weight.grad.abs().max() > 0


@pytest.mark.parametrize("velocity", [(2.0, 0.0), (0.0, -1.5), (1.2, 0.7)])
def test_every_hypothesis_follows_a_translation(velocity: tuple[float, float]) -> None:
    frames = moving_texture(velocity, num_frames=4)[None].expand(-1, -1, 3, -1, -1)
    evidence = FlowRefiner().observe(frames)
    towards_the_past = torch.tensor(velocity).neg()[:, None, None]
    for k, paths in enumerate(carry(evidence, 3), start=1):
        error = (paths - k * towards_the_past)[INSIDE].abs()
        # Of the last pair, of two pairs, of the one before, and changed further as it has changed.
        assert error[[0, 1, 2, 6, 7]].mean((1, 2, 3, 4)).max() < 0.1
        assert error[3].mean() < 0.2  # smoothed, so that the border reaches further
        for faster, path in ((1.5, paths[4]), (-0.5, paths[5])):
            error = (path - faster * k * towards_the_past)[INSIDE].abs()
            assert error.mean() < 0.1


def rotation(angle: float, zoom: float) -> Tensor:
    """The matrix by which a pixel's offset from the middle moves in one frame."""
    cos, sin = zoom * math.cos(angle), zoom * math.sin(angle)
    return torch.tensor([[cos, -sin], [sin, cos]])


@pytest.mark.parametrize(("angle", "zoom"), [(0.03, 1.0), (0.0, 1.03)])
def test_rotation_and_zoom_are_carried_to_a_tenth_of_a_pixel(angle: float, zoom: float) -> None:
    height, width = 192, 256
    texture = moving_texture((0.0, 0.0), num_frames=1, height=height, width=width)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    offset = torch.stack([columns - width / 2, rows - height / 2]).float()
    back = torch.linalg.inv(rotation(angle, zoom))

    def displaced(steps: int) -> Tensor:
        past = torch.linalg.matrix_power(back, steps) @ offset.flatten(1)
        return (past.view_as(offset) - offset)[None]

    frames = [warp(texture, displaced(t)) for t in range(4)]
    evidence = FlowRefiner().observe(torch.stack(frames, dim=1).expand(-1, -1, 3, -1, -1))
    for k, paths in enumerate(carry(evidence, 2), start=1):
        error = (paths[0] - displaced(k))[INSIDE].norm(dim=1)
        assert error.mean() < 0.1 * k


def test_the_older_frame_is_sampled_where_its_content_was() -> None:
    frames = moving_texture((2.0, 1.0), num_frames=5)[None].expand(-1, -1, 3, -1, -1)
    refiner = FlowRefiner()
    with torch.no_grad():
        refiner.clip_logits.bias[-1] = 50.0  # the older frame alone
        pred = refiner(frames[:, :4], 1)
    error = (pred[:, 0] - frames[:, 4])[INSIDE].abs().mean()
    still = (frames[:, 3] - frames[:, 4])[INSIDE].abs().mean()
    assert error < still / 5


def test_still_hypothesis_is_the_last_frame_itself(clip: Tensor) -> None:
    refiner = FlowRefiner()
    with torch.no_grad():
        refiner.clip_logits.bias[-2] = 50.0
        pred = refiner(clip, 2)
    # The other hypotheses keep what the prior leaves them: a hundredth.
    assert (pred - clip[:, -1:]).abs().max() < 0.013


def test_sharp_it_moves_by_the_mean_motion_and_shows_everything_once() -> None:
    """Undecided between a motion of 4 pixels and none, it moves by 2."""
    frames = moving_texture((4.0, 0.0), num_frames=4)[None].expand(-1, -1, 3, -1, -1)
    halfway = moving_texture((2.0, 0.0), num_frames=8)[None].expand(-1, -1, 3, -1, -1)[:, 7]
    refiner = FlowRefiner()
    errors = []
    for sharp in (False, True):
        refiner.sharp = sharp
        with torch.no_grad():
            refiner.clip_logits.bias[-2] = PRIOR  # as likely as the first motion
            pred = refiner(frames, 1)[:, 0]
        errors.append((pred - halfway)[INSIDE].abs().mean())
    step = (frames[:, 3] - halfway)[INSIDE].abs().mean()
    assert errors[0] > 0.3 * step  # both at once
    assert errors[1] < 0.1 * step


@WITH_AND_WITHOUT
@pytest.mark.parametrize("sharp", [False, True])
def test_in_parts_it_predicts_what_it_predicts_whole(
    sharp: bool, widths: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    refiner = trained_at_random(widths)
    refiner.sharp = sharp
    frames = torch.rand(1, 4, 3, 208, 336)
    with torch.inference_mode():
        whole = refiner(frames, 2)
        monkeypatch.setattr(flow_refiner, "TILE", 96)
        parts = refiner(frames, 2)
    torch.testing.assert_close(parts, whole, atol=1e-5, rtol=0)


def test_frames_ahead_do_not_depend_on_the_horizon(clip: Tensor) -> None:
    refiner = trained_at_random()
    with torch.no_grad():
        assert torch.equal(refiner(clip, 2), refiner(clip, 5)[:, :2])
        assert torch.equal(refiner.step(clip), refiner(clip, 1))


@pytest.mark.parametrize("size", [(2, 2), (6, 10), (240, 320)])
def test_halving_averages_two_by_two_pixels(size: tuple[int, int]) -> None:
    fields = 100 * torch.rand(2, 3, *size)
    torch.testing.assert_close(halve(fields), torch.nn.functional.avg_pool2d(fields, 2))


def test_gray_frames_give_gray_frames(clip: Tensor) -> None:
    refiner = trained_at_random()
    gray = clip.mean(2, keepdim=True)
    with torch.no_grad():
        pred, as_rgb = refiner(gray, 2), refiner(gray.expand(-1, -1, 3, -1, -1), 2)
    assert pred.shape == (1, 2, 1, 96, 128)
    torch.testing.assert_close(pred, as_rgb.mean(2, keepdim=True))


@WITH_AND_WITHOUT
@pytest.mark.parametrize("size", [(1, 40), (17, 33), (3, 3), (12, 200)])
def test_any_frame_size(size: tuple[int, int], widths: tuple[int, ...]) -> None:
    refiner = trained_at_random(widths)
    with torch.no_grad():
        pred = refiner(torch.rand(1, 4, 3, *size), 2)
    assert pred.shape == (1, 2, 3, *size)
    assert torch.isfinite(pred).all()
    assert pred.min() >= 0
    assert pred.max() <= 1


def test_constant_frames_are_finite_and_stay() -> None:
    frames = torch.full((1, 4, 3, 64, 64), 0.25)
    with torch.no_grad():
        pred = FlowRefiner()(frames, 3)
    torch.testing.assert_close(pred, frames[:, :1].expand(-1, 3, -1, -1, -1))
    frames.requires_grad_()
    refiner = trained_at_random()
    refiner(frames, 2).mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in refiner.parameters() if p.grad is not None)


def test_draws_differ_repeat_by_seed_and_keep_their_choice(clip: Tensor) -> None:
    refiner = FlowRefiner()
    futures = refiner.sample(clip, 3, num_samples=3, generator=torch.Generator().manual_seed(1))
    again = refiner.sample(clip, 3, num_samples=3, generator=torch.Generator().manual_seed(1))
    assert futures.shape == (3, 1, 3, 3, 96, 128)
    assert torch.equal(futures, again)
    assert (futures[0] - futures[1]).abs().max() > 0.05
    with pytest.raises(ValueError, match="num_samples is 0"):
        refiner.sample(clip, 1, num_samples=0)


def test_a_draw_is_faster_or_slower_and_drifts() -> None:
    frames = torch.zeros(2000, 3, 2, 2)
    drawn = draw(frames, torch.Generator().manual_seed(0))
    assert drawn.log_speed.std().item() == pytest.approx(SPEED_SPREAD, rel=0.1)
    assert drawn.log_speed.mean().item() == pytest.approx(0, abs=0.1 * SPEED_SPREAD)
    assert drawn.drift.std(0).flatten().tolist() == pytest.approx([DRIFT, DRIFT], rel=0.1)
    far = torch.tensor([1e3, 0.0]).view(1, 1, 2, 1, 1).expand(2000, -1, -1, -1, -1)
    moved = drawn.move(far, 4) - far * drawn.log_speed.exp()[:, None]
    torch.testing.assert_close(moved, 4 * drawn.drift[:, None], atol=1e-3, rtol=0.02)
    assert drawn.move(torch.zeros_like(far), 4).abs().max() == 0


def test_draws_differ_more_the_further_ahead_they_are() -> None:
    drawn = draw(torch.zeros(1, 3, 64, 64), torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.at(2).logits, drawn.logits / 4)
    torch.testing.assert_close(drawn.at(4).drift, drawn.drift / 2)
    torch.testing.assert_close(drawn.at(3 * GROWN).log_speed, drawn.log_speed)


def test_what_is_still_stays_in_every_draw() -> None:
    frame = moving_texture((0.0, 0.0), num_frames=1).expand(4, 3, -1, -1)[None]
    futures = FlowRefiner().sample(frame, 2, num_samples=3)
    torch.testing.assert_close(futures, frame[:, :2].expand(3, -1, -1, -1, -1, -1))


@pytest.fixture(scope="module")
def three_modes() -> FlowRefiner:
    """Of three modes the first stays, the second goes on, the third is twice as fast."""
    refiner = FlowRefiner(modes=3)
    assert refiner.modes is not None
    decisions = torch.zeros(3, OF_CLIP)
    decisions[0, BLENDED - 2] = 40.0  # the logit of the last frame as it is
    decisions[2, BLENDED] = math.log(2)
    with torch.no_grad():
        refiner.modes.clip[-1].bias.copy_(GROWN * decisions.flatten())  # 1 / GROWN at first
    return refiner


def generators(count: int, seed: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(100 * seed + k) for k in range(count)]


def test_the_first_draws_are_the_modes_in_random_order(
    clip: Tensor, three_modes: FlowRefiner
) -> None:
    with torch.no_grad():
        mean = three_modes(clip, 2)
        orders = set()
        for seed in range(8):
            drawn = list(three_modes.futures(clip, 2, generators(3, seed)))
            stays = [bool((future - clip[:, 3:4]).abs().mean() < 1e-3) for future in drawn]
            goes_on = [bool((future - mean).abs().max() < 1e-3) for future in drawn]
            assert sum(stays) == sum(goes_on) == 1
            orders.add((stays.index(True), goes_on.index(True)))
    assert len(orders) > 2


def test_a_mode_moves_twice_as_fast(three_modes: FlowRefiner) -> None:
    known = moving_texture((1.0, 0.0), num_frames=4).expand(4, 3, -1, -1)[None]
    twice = torch.roll(known[:, -1], 2, dims=-1)
    with torch.no_grad():
        drawn = three_modes.sample(known, 1, num_samples=3)[:, :, 0]
    inside = (..., slice(8, -8), slice(8, -8))
    errors = (drawn - twice)[inside].abs().mean((1, 2, 3, 4))
    assert errors.min() < 0.02
    assert errors.sort().values[1] > 3 * errors.min()


def test_more_draws_begin_with_those_of_fewer_and_then_go_on_by_chance(clip: Tensor) -> None:
    refiner = trained_at_random(modes=3)
    with torch.no_grad():
        five = list(refiner.futures(clip, 2, generators(5)))
        two = list(refiner.futures(clip, 2, generators(2)))
    assert all(torch.equal(a, b) for a, b in zip(two, five[:2], strict=True))
    assert all((five[k] - five[j]).abs().max() > 1e-3 for k in range(5) for j in range(k))


@WITH_AND_WITHOUT
def test_modes_stay_as_they_are_while_the_mean_is_trained(
    widths: tuple[int, ...], clip: Tensor
) -> None:
    refiner = trained_at_random(widths, modes=2)
    refiner.train()
    refiner(clip, 2).square().mean().backward()
    idle = [name for name, p in refiner.named_parameters() if p.requires_grad and p.grad is None]
    assert not idle


def test_clips_of_a_batch_have_orders_of_their_own(clip: Tensor, three_modes: FlowRefiner) -> None:
    batch = clip.expand(16, -1, -1, -1, -1)[..., :32, :32]
    with torch.no_grad():
        (one,) = three_modes.futures(batch, 1, generators(1))
    assert 1 < len({row.sum().item() for row in one}) <= 3


def test_a_mode_differs_by_area(three_modes: FlowRefiner) -> None:
    refiner = trained_at_random(modes=2)
    assert refiner.modes is not None
    with torch.no_grad():
        refiner.modes.areas.weight.normal_(0, 0.5)
    features = torch.randn(1, refiner.widths[0], 4, 6)
    statistics = torch.zeros(1, refiner.modes.clip[0].in_features)
    one, other = (refiner.modes(statistics, features, torch.tensor([k])).enlarged() for k in (0, 1))
    assert one.logits.shape == (1, BLENDED, 8, 12)
    assert one.drift.shape == (1, 2, 8, 12)
    assert one.log_speed.std() > 0.1
    assert not torch.allclose(one.log_speed, other.log_speed)


@WITH_AND_WITHOUT
def test_it_is_built_again_from_its_configuration(widths: tuple[int, ...]) -> None:
    refiner = trained_at_random(widths, context_frames=5, modes=2)
    description = json.loads(json.dumps(describe_predictor(refiner)))
    again = build_predictor(description)
    assert again.config() == refiner.config()
    again.load_state_dict(refiner.state_dict())
    frames = torch.rand(1, 5, 3, 32, 48)
    with torch.no_grad():
        assert torch.equal(again.eval()(frames, 2), refiner(frames, 2))


def test_what_cannot_be_predicted_from_is_refused() -> None:
    with pytest.raises(ValueError, match="context_frames is 2; expected at least 3"):
        FlowRefiner(context_frames=2)
    with pytest.raises(ValueError, match="modes is -1; expected a number that is at least 0"):
        FlowRefiner(modes=-1)
    with pytest.raises(ValueError, match="context has 3 frames; expected at least 4"):
        FlowRefiner()(torch.rand(1, 3, 3, 32, 32), 1)
    with pytest.raises(ValueError, match=r"2 channels; expected 1 \(gray\) or 3"):
        FlowRefiner()(torch.rand(1, 4, 2, 32, 32), 1)


@WITH_AND_WITHOUT
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_it_predicts_in_other_precisions(kind: torch.dtype, widths: tuple[int, ...]) -> None:
    refiner = FlowRefiner(widths=widths, modes=2).eval()
    context = moving_texture((1.5, -0.5), num_frames=4, height=48, width=64)[None]
    expected = refiner(context, 2)
    refiner.to(kind)
    for pred in (refiner(context.to(kind), 2), refiner.sample(context.to(kind), 2)[0]):
        assert pred.dtype == kind
        torch.testing.assert_close(pred.float(), expected, rtol=0, atol=0.02)
