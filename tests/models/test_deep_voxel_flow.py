"""Deep Voxel Flow: where it samples, what it blends, and that clips do not mix."""

import math

import pytest
import torch
import torch.nn.functional as F
from authors import parameters
from models.published import require_gradients, require_same_built
from torch import Tensor

from vidpred.models import DeepVoxelFlow
from vidpred.models.deep_voxel_flow import REACH


@pytest.fixture
def tiny() -> DeepVoxelFlow:
    return DeepVoxelFlow((4, 6, 8))


def says(network: DeepVoxelFlow, dx: float, dy: float, older: float) -> DeepVoxelFlow:
    """Give one motion in pixels and one weight of the older frame everywhere."""
    with torch.no_grad():
        network.head.weight.zero_()
        values = torch.tensor([dx / REACH, dy / REACH, 2 * older - 1])
        network.head.bias.copy_(torch.atanh(values))
    return network.eval()


def moved(frame: Tensor, dx: int, dy: int) -> Tensor:
    return torch.roll(frame, (dy, dx), dims=(-2, -1))


# Origin: the released layers, added up by hand: seven convolutions without bias, their batch
# normalizations, and the last convolution with bias.
def test_parameters_are_those_of_the_release_to_the_unit() -> None:
    by_hand = 25 * (6 * 64 + 64 * 128 + 384 * 128 + 192 * 64 + 64 * 3) + 3
    by_hand += 9 * (128 * 256 + 256 * 256 + 512 * 256)
    by_hand += 2 * (64 + 128 + 256 + 256 + 256 + 128 + 64)
    assert parameters(DeepVoxelFlow.from_preset("faithful")) == by_hand == 3_821_891
    assert parameters(DeepVoxelFlow.from_preset("cpu")) == 242_003


def test_the_layers_are_joined_as_in_the_release(tiny: DeepVoxelFlow) -> None:
    """Three convolutions that the maximum halves, one, then each enlarged next to its equal."""
    tiny.eval()
    for parameter in tiny.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    context = torch.rand(1, 2, 3, 16, 24)

    def enlarged(maps: Tensor) -> Tensor:
        return F.interpolate(maps, scale_factor=2, mode="bilinear")

    with torch.no_grad():
        one = tiny.down[0]((context * 2 - 1).flatten(1, 2))
        two = tiny.down[1](F.max_pool2d(one, 2))
        three = tiny.down[2](F.max_pool2d(two, 2))
        maps = tiny.bottom(F.max_pool2d(three, 2))
        maps = tiny.up[2](torch.cat([enlarged(maps), three], 1))
        maps = tiny.up[1](torch.cat([enlarged(maps), two], 1))
        out = tiny.head(tiny.up[0](torch.cat([enlarged(maps), one], 1))).tanh()
        flow, older = tiny.voxel_flow(context)
    torch.testing.assert_close(flow, 64 * out[:, :2])
    torch.testing.assert_close(older, 0.5 * (1 + out[:, 2:]))
    assert out.std() > 0.1


def test_without_weights_it_is_the_mean_of_the_two_frames(tiny: DeepVoxelFlow) -> None:
    torch.nn.init.zeros_(tiny.head.weight)
    context = torch.rand(2, 2, 3, 16, 24)
    pred = tiny(context, 1)
    torch.testing.assert_close(pred[:, 0], context.mean(1), atol=1e-4, rtol=0)


def test_fresh_motions_are_short_in_evaluation_and_long_by_the_statistics_of_a_batch() -> None:
    network, context = DeepVoxelFlow.from_preset("cpu"), torch.rand(4, 2, 3, 32, 32)
    with torch.no_grad():
        evaluated, _ = network.eval().voxel_flow(context)
        trained, _ = network.train().voxel_flow(context)
    assert evaluated.square().mean().sqrt() < 1
    assert 5 < trained.square().mean().sqrt() < 20


def test_the_newer_frame_moves_by_the_flow_and_the_older_by_two(tiny: DeepVoxelFlow) -> None:
    context = torch.rand(1, 2, 3, 24, 32)
    inside = (..., slice(4, -4), slice(6, -6))
    older, newer = moved(context[:, 0], 6, -4), moved(context[:, 1], 3, -2)
    for weight in (0.01, 0.5, 0.99):
        pred = says(tiny, 3.0, -2.0, weight)(context, 1)[:, 0]
        expected = weight * older + (1 - weight) * newer
        torch.testing.assert_close(pred[inside], expected[inside], atol=1e-4, rtol=0)


def test_a_translation_is_continued_step_by_step(tiny: DeepVoxelFlow) -> None:
    frame = torch.rand(1, 3, 24, 32)
    context = torch.stack([moved(frame, 2 * t, t) for t in range(2)], dim=1)
    pred = says(tiny, 2.0, 1.0, 0.5)(context, 3)
    for k in range(3):
        expected = moved(frame, 2 * (k + 2), k + 2)[..., 5:-5, 10:-10]
        torch.testing.assert_close(pred[:, k, :, 5:-5, 10:-10], expected, atol=2e-4, rtol=0)


def test_beyond_the_border_its_pixels_are_repeated(tiny: DeepVoxelFlow) -> None:
    context = torch.rand(1, 2, 1, 8, 8).expand(-1, -1, 3, -1, -1)
    pred = says(tiny, 0.0, 20.0, 0.01)(context, 1)[0, 0, 0]
    torch.testing.assert_close(
        pred, (0.01 * context[0, 0, 0] + 0.99 * context[0, 1, 0])[:1] * torch.ones(8, 1)
    )


def test_the_flow_reaches_as_far_as_the_release_lets_it(tiny: DeepVoxelFlow) -> None:
    torch.nn.init.constant_(tiny.head.bias, 100.0)
    flow, blend = tiny.eval().voxel_flow(torch.rand(1, 2, 3, 8, 8))
    # Released code: 0.5 * tanh * 256 / W in units of half the width W, 64 pixels at any W.
    assert torch.equal(flow, torch.full((1, 2, 8, 8), 64.0))
    assert torch.equal(blend, torch.ones(1, 1, 8, 8))


def test_a_gradient_reaches_every_parameter(tiny: DeepVoxelFlow) -> None:
    require_gradients(tiny, tiny(torch.rand(2, 2, 3, 16, 16), 2))


@pytest.mark.parametrize("size", [(8, 8), (5, 1), (21, 34)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_and_channels(size: tuple[int, int], channels: int) -> None:
    pred = DeepVoxelFlow((4, 4, 4), channels=channels).eval()(torch.rand(2, 4, channels, *size), 3)
    assert pred.shape == (2, 3, channels, *size)
    assert pred.min() >= 0
    assert pred.max() <= 1


def test_clips_of_a_batch_do_not_mix_in_evaluation() -> None:
    network = DeepVoxelFlow((4, 6, 8))
    context = torch.rand(3, 2, 3, 16, 16)
    network(context, 1)  # statistics that are not the initial ones
    network.eval()
    with torch.no_grad():
        alone = torch.cat([network(clip[None], 2) for clip in context])
        together = network(context, 2)
        assert torch.equal(together, network(context, 2))
    torch.testing.assert_close(together, alone)


def test_config_builds_the_same(tiny: DeepVoxelFlow) -> None:
    context = torch.rand(1, 2, 3, 16, 16)
    tiny.eval()
    torch.testing.assert_close(require_same_built(tiny).eval()(context, 2), tiny(context, 2))


def test_what_does_not_fit_is_refused(tiny: DeepVoxelFlow) -> None:
    with pytest.raises(ValueError, match="unknown preset 'huge'; expected one of faithful, cpu"):
        DeepVoxelFlow.from_preset("huge")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"widths are \[4, 4\]; expected three"):
        DeepVoxelFlow((4, 4))
    with pytest.raises(ValueError, match="context has 1 frame; expected at least 2"):
        tiny(torch.rand(1, 1, 3, 8, 8), 1)
    with pytest.raises(ValueError, match="context has 1 channel,"):
        tiny(torch.rand(1, 2, 1, 8, 8), 1)


def test_initial_weights_are_those_of_the_release() -> None:
    weight = DeepVoxelFlow.from_preset("faithful").bottom[0].weight
    assert isinstance(weight, Tensor)
    assert math.isclose(weight.std().item(), 0.01, rel_tol=0.02)
