"""Drawing frames pixel by pixel: the cache is exact and fast, and draws follow probabilities."""

import time

import pytest
import torch
from pixel_networks import KINDS, network
from torch import Tensor

from vidpred.models import VideoPixelNetwork, pixel_sampling
from vidpred.models.causal_layers import RowsAboveConv
from vidpred.models.pixel_decoder import PixelDecoder, PixelLayers
from vidpred.models.pixel_sampling import draw_frame, draw_frame_uncached, exact
from vidpred.ops.threads import one_thread


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


@pytest.mark.slow
@pytest.mark.parametrize("layers", ["multiplicative", "row_lstm"])
def test_the_cache_is_10_times_as_fast(layers: PixelLayers) -> None:
    """One frame of 32 x 32 by the `cpu` preset; the uncached pass is taken in single precision.

    In seconds of the processor, which others do not lengthen.
    """
    decoder = VideoPixelNetwork.from_preset(
        "cpu", layers=layers, channels=1, distribution="bernoulli"
    ).decoder
    condition, uniform = torch.randn(1, 32, 32, 32), torch.rand(1, 1, 32, 32)

    def seconds(cached: bool) -> float:
        began = time.process_time()
        with one_thread(), torch.inference_mode():
            if cached:
                draw_frame(decoder, condition, uniform)
            else:
                decoder(uniform, condition)
        return time.process_time() - began

    cached = min(seconds(cached=True) for _ in range(5))
    uncached = 1024 * min(seconds(cached=False) for _ in range(20))
    # On a quiet machine 40 and 83; what else runs takes more from the shorter of two times.
    assert uncached / cached > 10, (uncached, cached)


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
