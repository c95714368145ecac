"""The Video Pixel Network: its likelihood is one, nothing sees itself, and its cache is exact."""

import math
from collections.abc import Callable
from itertools import product

import pytest
import torch
from pixel_networks import KINDS, network
from torch import Tensor
from worlds import fit

from vidpred.errors import TrainingDivergedError
from vidpred.metrics.likelihood import bits_per_dim
from vidpred.models import Likelihood, VideoPixelNetwork
from vidpred.models.causal_layers import CausalConv2d
from vidpred.models.video_pixel_network import PIXEL_PRESETS
from vidpred.storage import build_predictor
from vidpred.storage.description import describe_predictor
from vidpred.tasks import LikelihoodTask


def binary_frames(count: int) -> Tensor:
    """All videos of `count` frames of 2 x 2 in black and white, (2 ** (4 * count), T, 1, 2, 2)."""
    return torch.tensor(list(product((0.0, 1.0), repeat=4 * count))).view(-1, count, 1, 2, 2)


@pytest.mark.parametrize("kind", KINDS[:2], ids=str)
def test_the_probabilities_of_all_futures_sum_to_one(kind: dict[str, object]) -> None:
    built, futures = network(**kind), binary_frames(2)
    context = torch.rand(1, 2, 1, 2, 2).expand(len(futures), -1, -1, -1, -1)
    nats = built.log_prob(context, futures).double()
    assert nats.sum(1).exp().sum().item() == pytest.approx(1, abs=1e-5)
    assert nats.exp().std() > 1e-3  # and they are not all alike


@pytest.mark.parametrize("kind", KINDS[:2], ids=str)
def test_futures_are_drawn_as_often_as_they_are_likely(kind: dict[str, object]) -> None:
    built, frames, count = network(**kind), binary_frames(1), 20_000
    context = torch.rand(1, 2, 1, 2, 2)
    likely = built.log_prob(context.expand(len(frames), -1, -1, -1, -1), frames)[:, 0].exp()
    drawn = built.sample(
        context, 1, num_samples=count, generator=torch.Generator().manual_seed(1)
    ).flatten(1)
    which = (drawn * torch.tensor([8.0, 4.0, 2.0, 1.0])).sum(1).long()
    share = torch.bincount(which, minlength=16) / count
    # Five standard deviations of a share.
    assert ((share - likely).abs() < 5 * (likely * (1 - likely) / count).sqrt() + 1e-9).all()


def test_equal_logits_are_8_bits_a_value_or_1_bit_a_pixel() -> None:
    for distribution, channels, bits in (("categorical", 3, 8.0), ("bernoulli", 1, 1.0)):
        built = network(channels=channels, distribution=distribution)
        torch.nn.init.zeros_(built.decoder.last.weight)
        torch.nn.init.zeros_(built.decoder.last.bias)
        clip = torch.rand(2, 5, channels, 4, 6)
        found = bits_per_dim(built.log_prob(clip[:, :2], clip[:, 2:]), dims=channels * 24)
        torch.testing.assert_close(found, torch.full((2, 3), bits))


def test_untrained_it_gives_about_8_bits() -> None:
    torch.manual_seed(0)
    clip = torch.rand(1, 3, 3, 8, 8)
    found = bits_per_dim(
        VideoPixelNetwork(context_frames=2).log_prob(clip[:, :2], clip[:, 2:]), dims=3 * 64
    )
    assert found.item() == pytest.approx(8, abs=0.05)


def test_the_likelihood_is_the_product_of_the_softmax() -> None:
    built = network(channels=3)
    clip = torch.randint(0, 256, (1, 3, 3, 3, 4)).float() / 255
    logits = built.logits(clip[:, :2], clip[:, 2:])[0, 0]
    levels = (clip[0, 2] * 255).round().long()
    chosen = logits.log_softmax(1).gather(1, levels[:, None]).sum()
    torch.testing.assert_close(built.log_prob(clip[:, :2], clip[:, 2:])[0, 0], chosen)


def test_gray_pixels_of_a_bernoulli_cost_the_mean_over_black_and_white() -> None:
    built = network(**KINDS[0])
    torch.nn.init.zeros_(built.decoder.last.weight)
    torch.nn.init.constant_(built.decoder.last.bias, 1.0)
    gray = torch.full((1, 3, 1, 1, 1), 0.25)
    white = 1 / (1 + math.exp(-1))
    expected = 0.25 * math.log(white) + 0.75 * math.log(1 - white)
    found = built.log_prob(gray[:, :2], gray[:, 2:])
    assert found.item() == pytest.approx(expected, rel=1e-6)


def dependencies(built: VideoPixelNetwork, frames: int = 2, size: int = 4) -> Tensor:
    """The absolute Jacobian of values by values, both in the order in which they are drawn.

    Element (i, j) is how value i's distribution moves with value j: time, row, column, color.
    """
    channels = built.channels or 3
    shape = (frames, channels, size, size)
    count = math.prod(shape)
    torch.manual_seed(1)
    context = torch.rand(1, 2, *shape[1:]).expand(count, -1, -1, -1, -1)
    target = torch.rand(1, *shape).repeat(count, 1, 1, 1, 1).requires_grad_()
    logits = built.logits(context, target)
    weights = torch.randn(logits.shape[3])[:, None, None]
    # Value i of copy i: one backward pass gives all rows.
    by_order = (logits * weights).sum(3).permute(0, 1, 3, 4, 2).reshape(count, count)
    by_order.diagonal().sum().backward()
    assert target.grad is not None
    return target.grad.permute(0, 1, 3, 4, 2).reshape(count, count).abs()


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_no_value_sees_itself_or_what_follows(kind: dict[str, object]) -> None:
    built = network(**kind)
    jacobian = dependencies(built)
    assert jacobian.triu().max() == 0
    channels, size = built.channels or 3, 4
    row, frame = size * channels, size * size * channels
    # The color before, the pixel to the left, that above and above to the right, the frame before.
    middle = frame + 2 * row + 2 * channels + channels - 1
    seen = [channels, row, row - channels, frame] + ([1] if channels > 1 else [])
    assert all(jacobian[middle, middle - back] > 0 for back in seen)


def sees_itself(built: VideoPixelNetwork) -> None:
    built.decoder.first.mask[:, :, -1, built.decoder.first.reach] = 1


def sees_to_the_right(built: VideoPixelNetwork) -> None:
    built.decoder.blocks[0].first.mask[:, :, -1] = 1


def sees_every_color(built: VideoPixelNetwork) -> None:
    built.decoder.hidden.mask.fill_(1)


def sees_the_frame_itself(built: VideoPixelNetwork) -> None:
    condition = built.decoder.condition
    # The state of the frame after, where that of the frame before belongs.
    built.decoder.condition = lambda past: condition(past.roll(-1, dims=0))  # type: ignore


MISTAKES = [sees_itself, sees_to_the_right, sees_every_color, sees_the_frame_itself]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_jacobian_shows_what_leaks(mistake: Callable[[VideoPixelNetwork], None]) -> None:
    built = network(**KINDS[2])
    mistake(built)
    assert dependencies(built).triu().max() > 0


def test_the_context_reaches_the_first_frame() -> None:
    built, context = network(**KINDS[0]), torch.rand(1, 2, 1, 4, 4, requires_grad=True)
    built.log_prob(context, torch.rand(1, 1, 1, 4, 4)).sum().backward()
    assert context.grad is not None
    assert (context.grad.flatten(2).abs().sum(2) > 0).all()


def test_the_point_prediction_depends_on_its_clip_alone() -> None:
    built = network(**KINDS[2]).eval()
    clips = torch.rand(3, 2, 3, 5, 4)
    together = built(clips, 2)
    assert together.shape == (3, 2, 3, 5, 4)
    torch.testing.assert_close(built(clips[1:2], 2), together[1:2], rtol=0, atol=1e-6)


def test_the_point_prediction_is_the_expected_frame() -> None:
    """Of independent pixels that are white with probability sigmoid(1)."""
    built = network(**KINDS[0], point_draws=4000)
    torch.nn.init.zeros_(built.decoder.last.weight)
    torch.nn.init.constant_(built.decoder.last.bias, 1.0)
    white = 1 / (1 + math.exp(-1))
    found = built(torch.rand(1, 2, 1, 3, 3), 1)
    # Five standard deviations of a mean.
    assert (found - white).abs().max() < 5 * math.sqrt(white * (1 - white) / 4000)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_gradient_reaches_every_weight(kind: dict[str, object]) -> None:
    built = network(**kind)
    clip = torch.rand(1, 4, built.channels or 3, 5, 5)
    built.log_prob(clip[:, :2], clip[:, 2:]).sum().backward()
    for name, parameter in built.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_it_learns_a_deterministic_motion() -> None:
    """A white bar that moves a pixel a frame: the next frame is certain, 0 nats at best."""
    torch.manual_seed(0)
    built = VideoPixelNetwork(
        1,
        context_frames=2,
        width=8,
        hidden=8,
        encoder_blocks=1,
        decoder_blocks=1,
        distribution="bernoulli",
    )
    bars = torch.eye(8)[:, None, :].expand(8, 8, 8)
    clips = torch.stack([bars[k : k + 4, None] for k in range(5)])
    optimizer = torch.optim.Adam(built.parameters(), lr=0.02)
    for _ in range(40):
        nats = -built.log_prob(clips[:, :2], clips[:, 2:]).mean()
        optimizer.zero_grad()
        nats.backward()
        optimizer.step()
    assert nats.item() < 2 < 64 * math.log(2)
    hit = built.sample(clips[:1, :2], 2)[0]
    assert (hit - clips[:1, 2:]).abs().mean() < 0.05


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_it_is_rebuilt_from_its_description(kind: dict[str, object]) -> None:
    built = network(**kind, dilated_encoder=True, point_draws=3)
    again = build_predictor(describe_predictor(built))
    assert isinstance(again, VideoPixelNetwork)
    assert isinstance(again, Likelihood)
    again.load_state_dict(built.state_dict())
    clip = torch.rand(1, 3, built.channels or 3, 4, 4)
    assert torch.equal(
        again.log_prob(clip[:, :2], clip[:, 2:]), built.log_prob(clip[:, :2], clip[:, 2:])
    )


def test_a_dilated_encoder_doubles_its_steps_up_to_8() -> None:
    network = VideoPixelNetwork(width=4, hidden=4, encoder_blocks=6, dilated_encoder=True)
    blocks = list(network.encoder)[1:]
    assert [block.first.dilation[0] for block in blocks] == [1, 2, 4, 8, 1, 2]
    assert [block.second.dilation[0] for block in blocks] == [1, 2, 4, 8, 1, 2]


def test_presets_have_the_published_sizes() -> None:
    with torch.device("meta"):
        faithful = VideoPixelNetwork.from_preset("faithful", channels=1)
    blocks = [m for m in faithful.decoder.blocks]
    assert (len(blocks), blocks[0].reduce.weight.shape[:2]) == (12, (128, 256))
    assert (len(faithful.encoder) - 1, faithful.hidden) == (8, 256)
    assert VideoPixelNetwork.from_preset("cpu").config() == VideoPixelNetwork().config()
    assert set(PIXEL_PRESETS["cpu"].items()) <= VideoPixelNetwork().config().items()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 2}, "2 features for 3 colors"),
        ({"width": 0}, "width is 0"),
        ({"layers": "diagonal"}, "layers is 'diagonal'; expected one of multiplicative, row_lstm"),
        ({"distribution": "gauss"}, "distribution is 'gauss'; expected one of categorical"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VideoPixelNetwork(3, **options)  # type: ignore[arg-type]


def test_wrong_frames_are_refused() -> None:
    built = network(channels=3)
    clip = torch.rand(1, 3, 3, 4, 4)
    with pytest.raises(ValueError, match="num_samples is 0"):
        built.sample(clip, 1, num_samples=0)
    with pytest.raises(ValueError, match="1 channel,"):
        built.log_prob(clip[:, :, :1], clip[:, :1, :1])
    with pytest.raises(ValueError, match="expected equal batch, channels and size"):
        built.log_prob(clip, clip[..., :3])
    with pytest.raises(ValueError, match="expected at least 2"):
        built.log_prob(clip[:, :1], clip)
    with pytest.raises(ValueError, match="kernel_size is 2; expected an odd number"):
        CausalConv2d(1, 1, 2, sees_itself=False)
    with pytest.raises(ValueError, match="unknown preset 'tiny'"):
        VideoPixelNetwork.from_preset("tiny")  # type: ignore[arg-type]


def test_a_likelihood_that_is_not_finite_is_named_and_stops_the_training() -> None:
    built = network(channels=3, context_frames=4)
    built.decoder.last.bias.data.fill_(float("nan"))
    with pytest.raises(TrainingDivergedError, match="nats_per_frame"):
        fit(LikelihoodTask(built), batch_size=2)


@pytest.mark.parametrize("distribution", ["categorical", "bernoulli"])
def test_weights_that_are_not_finite_draw_no_black_frames(distribution: str) -> None:
    built = network(channels=1, distribution=distribution)
    built.decoder.last.bias.data.fill_(float("nan"))
    context = torch.rand(1, 2, 1, 4, 4)
    assert built(context, 1).isnan().all()
    assert built.sample(context, 2).isnan().all()
