"""The Video Pixel Network: its likelihood is one, nothing sees itself, and its cache is exact."""

import math
import time
from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor

from vidpred.metrics.likelihood import bits_per_dim
from vidpred.models import Likelihood, VideoPixelNetwork, pixel_sampling
from vidpred.models.causal_layers import CausalConv2d, RowsAboveConv, color_groups
from vidpred.models.multiplicative import multiplicative_unit
from vidpred.models.pixel_decoder import PixelDecoder, PixelLayers
from vidpred.models.pixel_sampling import draw_frame, draw_frame_uncached, exact
from vidpred.models.row_lstm import RowLSTM
from vidpred.models.video_pixel_network import PIXEL_PRESETS
from vidpred.storage import build_predictor
from vidpred.storage.description import describe_predictor

KINDS = [
    {"channels": 1, "layers": "multiplicative", "distribution": "bernoulli"},
    {"channels": 1, "layers": "row_lstm", "distribution": "bernoulli"},
    {"channels": 3, "layers": "multiplicative", "distribution": "categorical"},
    {"channels": 3, "layers": "row_lstm", "distribution": "categorical"},
]


def network(**options: object) -> VideoPixelNetwork:
    """A small network whose every weight counts."""
    torch.manual_seed(0)
    small = {"context_frames": 2, "width": 6, "hidden": 5, "encoder_blocks": 1, "decoder_blocks": 2}
    built = VideoPixelNetwork(**{**small, **options})  # type: ignore[arg-type]
    for parameter in built.parameters():
        parameter.data.add_(0.3 * torch.randn_like(parameter))
    return built


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


# Causality -------------------------------------------------------------------------------------


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


def test_features_of_a_color_do_not_mix_with_those_of_later_ones() -> None:
    assert color_groups(7, 3).tolist() == [0, 0, 0, 1, 1, 2, 2]
    layer = CausalConv2d(6, 24, 1, sees_itself=True, colors=3, parts=4)
    features = torch.rand(1, 6, 1, 1, requires_grad=True)
    # Gate k of color 0 is the first pair of its part of the outputs.
    layer(features)[0].view(4, 6)[:, :2].sum().backward()
    assert features.grad is not None
    assert features.grad.flatten().ne(0).tolist() == [True, True, False, False, False, False]


# Layers ----------------------------------------------------------------------------------------


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


# Sampling --------------------------------------------------------------------------------------


def random_draw(
    kind: dict[str, object], size: tuple[int, int]
) -> tuple[PixelDecoder, Tensor, Tensor]:
    built = network(**kind)
    torch.manual_seed(2)
    condition = torch.randn(2, 12, *size)
    return built.decoder, condition, torch.rand(2, built.channels or 3, *size)


@pytest.mark.parametrize("size", [(5, 9), (6, 3), (3, 2), (1, 1)], ids=str)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_cache_changes_no_bit(kind: dict[str, object], size: tuple[int, int]) -> None:
    arguments = random_draw(kind, size)
    assert torch.equal(draw_frame(*arguments), draw_frame_uncached(*arguments))


def test_waves_that_overtake_their_neighbors_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mistake that the test above looks for: a row is one wave too close to that above it."""
    arguments, wave = random_draw(KINDS[2], (5, 9)), pixel_sampling.Wave

    def closer(*, lag: int, batch: int, height: int) -> pixel_sampling.Wave:
        return wave(lag=lag - 1, batch=batch, height=height)

    monkeypatch.setattr(pixel_sampling, "Wave", closer)
    assert not torch.equal(draw_frame(*arguments), draw_frame_uncached(*arguments))


def test_drawn_values_are_levels_of_8_bits() -> None:
    built = network(channels=3)
    futures = built.sample(torch.rand(1, 2, 3, 4, 4), 2, num_samples=2)
    assert futures.dtype == torch.float32
    torch.testing.assert_close(futures, (futures * 255).round() / 255, rtol=0, atol=1e-7)
    assert futures.unique().numel() > 20


def test_frames_between_levels_are_seen_rounded() -> None:
    built = network(channels=3)
    levels = torch.randint(0, 256, (1, 4, 3, 4, 4)).float()
    found = [
        built.log_prob(clip[:, :2], clip[:, 2:])
        for clip in (levels / 255, (levels + 0.4).clamp(max=255) / 255)
    ]
    torch.testing.assert_close(*found)


def test_uniform_numbers_become_values_by_their_probabilities() -> None:
    decoder = network(channels=1, distribution="categorical").decoder
    logits = torch.randn(256, dtype=torch.float64)
    count = 100_000
    uniform = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    levels = (decoder.draw(logits.expand(count, -1), uniform) * 255).round().long()
    share = torch.bincount(levels, minlength=256) / count
    torch.testing.assert_close(share, logits.softmax(0).float(), rtol=0, atol=1.1 / count)


def test_a_seed_gives_the_same_futures_and_draws_differ() -> None:
    built, context = network(**KINDS[0]), torch.rand(2, 3, 1, 6, 6)
    one, two = (
        built.sample(context, 3, num_samples=4, generator=torch.Generator().manual_seed(5))
        for _ in range(2)
    )
    assert torch.equal(one, two)
    assert one.shape == (4, 2, 3, 1, 6, 6)
    assert not torch.equal(one[0], one[1])


def test_a_longer_future_begins_with_the_shorter_one() -> None:
    built, context = network(**KINDS[1]), torch.rand(1, 2, 1, 5, 5)
    short, long = (
        built.sample(context, horizon, generator=torch.Generator().manual_seed(0))
        for horizon in (1, 3)
    )
    assert torch.equal(short, long[:, :, :1])


# The point prediction ----------------------------------------------------------------------------


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


# The contract ------------------------------------------------------------------------------------


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
    with pytest.raises(ValueError, match="1 channels"):
        built.log_prob(clip[:, :, :1], clip[:, :1, :1])
    with pytest.raises(ValueError, match="expected equal batch, channels and size"):
        built.log_prob(clip, clip[..., :3])
    with pytest.raises(ValueError, match="expected at least 2"):
        built.log_prob(clip[:, :1], clip)
    with pytest.raises(ValueError, match="kernel_size is 2; expected an odd number"):
        CausalConv2d(1, 1, 2, sees_itself=False)
    with pytest.raises(ValueError, match="unknown preset 'tiny'"):
        VideoPixelNetwork.from_preset("tiny")  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("layers", ["multiplicative", "row_lstm"])
def test_the_cache_is_20_times_as_fast(layers: PixelLayers) -> None:
    """One frame of 32 x 32 by the `cpu` preset; the uncached pass is taken in single precision."""
    decoder = VideoPixelNetwork.from_preset(
        "cpu", layers=layers, channels=1, distribution="bernoulli"
    ).decoder
    condition, uniform = torch.randn(1, 32, 32, 32), torch.rand(1, 1, 32, 32)

    def seconds(cached: bool) -> float:
        began = time.perf_counter()
        with torch.inference_mode():
            if cached:
                draw_frame(decoder, condition, uniform)
            else:
                decoder(uniform, condition)
        return time.perf_counter() - began

    cached = min(seconds(cached=True) for _ in range(5))
    uncached = 1024 * min(seconds(cached=False) for _ in range(20))
    assert uncached / cached > 20


def test_nothing_is_left_behind_in_the_network() -> None:
    """Drawing copies the decoder; training goes on with the same weights, and gradients."""
    built = network(**KINDS[1])
    before = {name: value.clone() for name, value in built.state_dict().items()}
    built.sample(torch.rand(1, 2, 1, 4, 4), 1)
    assert all(torch.equal(before[name], value) for name, value in built.state_dict().items())
    assert all(parameter.requires_grad for parameter in built.parameters())
    copy, value, _ = exact(built.decoder, torch.zeros(1), torch.zeros(1))
    assert value.dtype == torch.float64
    assert not any(parameter.requires_grad for parameter in copy.parameters())
    assert isinstance(built.decoder.blocks[0].state_to_state, RowsAboveConv)
