"""The diffusion predictor: its preconditioning, its sampler, the authors' U-Net, its futures."""

import math
import re

import pytest
import torch
from authors import (
    checkout,
    fill,
    give_weights,
    importable,
    parameters,
    pattern,
    probe,
    randomize,
)
from models.published import require_gradients, require_same_built
from torch import Tensor

from vidpred.models import Denoising, EDMPredictor
from vidpred.models.conditional_unet import ConditionalUNet, _Attention, _modulated
from vidpred.models.edm import euler_sample, noise_levels, precondition


def tiny(**options: object) -> EDMPredictor:
    settings = {"widths": (8, 12), "blocks": 1, "features": 8, "context_frames": 2, **options}
    return EDMPredictor(**settings).eval()  # type: ignore[arg-type]


def trained_at_random(**options: object) -> EDMPredictor:
    network = tiny(**options)
    randomize(network)
    return network


def test_presets_have_the_documented_number_of_parameters() -> None:
    # The U-Net of the faithful one is that of the authors; the rest by hand: the embedding, the
    # first and the last convolution, and the last normalization.
    faithful = EDMPredictor.from_preset("faithful")
    by_hand = 2 * (256 * 256 + 256) + (15 * 64 * 9 + 64) + 2 * 64 + (64 * 3 * 9 + 3)
    assert parameters(faithful) == parameters(faithful.unet) + by_hand == 4_405_699
    assert parameters(EDMPredictor.from_preset("cpu")) == 999_379


def renamed(name: str) -> str:
    """Turn a name of the authors' U-Net into ours."""
    name = re.sub(r"^d_blocks\.(\d)\.resblocks\.", r"down.\1.", name)
    name = re.sub(r"^u_blocks\.(\d)\.resblocks\.", lambda m: f"up.{3 - int(m[1])}.", name)
    name = re.sub(r"^downsamples\.(\d)\.conv", lambda m: f"shrink.{int(m[1]) - 1}", name)
    name = re.sub(r"^upsamples\.(\d)\.conv", lambda m: f"enlarge.{3 - int(m[1])}", name)
    name = name.replace("mid_blocks.resblocks.", "bottom.").replace(".linear.", ".")
    name = name.replace(".proj.", ".project.").replace(".attn.norm.norm.", ".attend.norm.")
    name = name.replace(".attn.qkv_proj.", ".attend.inward.")
    return name.replace(".attn.out_proj.", ".attend.outward.")


OF_DIAMOND = [-0.38783, 1.31303, 0.24751, 0.85776, 0.64433]
"""What the U-Net of eloialonso/diamond, commit 5bcd159, gives by `probe`."""

MAPS_AND_VECTOR = pattern(2, 64, 16, 24).double(), pattern(2, 32).double()


def unet_with_weights_by_a_rule() -> ConditionalUNet:
    unet = ConditionalUNet((64, 64, 32, 32), 2, 32, attention=True)
    fill(unet)
    return unet


def test_the_unet_gives_what_that_of_diamond_gave() -> None:
    with torch.no_grad():
        found = unet_with_weights_by_a_rule().double()(*MAPS_AND_VECTOR)
    assert probe(found) == pytest.approx(OF_DIAMOND, abs=1e-4)


def test_the_unet_is_that_of_diamond() -> None:
    with importable(checkout("diamond") / "src" / "models") as load:
        blocks = load("blocks")
    theirs = blocks.UNet(32, [2, 2, 2, 2], [64, 64, 32, 32], [0, 0, 0, 0])
    ours = unet_with_weights_by_a_rule()
    give_weights(theirs, ours, renamed)
    with torch.no_grad():
        expected = theirs.double()(*MAPS_AND_VECTOR)[0]
        found = ours.double()(*MAPS_AND_VECTOR)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert probe(expected) == pytest.approx(OF_DIAMOND, abs=1e-4)


def test_attention_is_that_of_torch_with_heads_of_8_channels() -> None:
    # Origin: ATTN_HEAD_DIM of the authors' code; what is added to is normalized, as there.
    ours, maps = _Attention(32), torch.randn(2, 32, 3, 5)
    randomize(ours)
    theirs = torch.nn.MultiheadAttention(32, num_heads=4, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.inward.weight[:, :, 0, 0])
        theirs.in_proj_bias.copy_(ours.inward.bias)
        theirs.out_proj.weight.copy_(ours.outward.weight[:, :, 0, 0])
        theirs.out_proj.bias.copy_(ours.outward.bias)
        normal = ours.norm(maps)
        places = normal.flatten(2).mT
        attended = theirs(places, places, places, need_weights=False)[0].mT.view(maps.shape)
        torch.testing.assert_close(ours(maps), normal + attended, atol=1e-5, rtol=1e-5)


def test_a_vector_of_zeros_leaves_normalized_maps() -> None:
    maps, changes = torch.randn(2, 8, 4, 4), torch.zeros(2, 16)
    normalized = torch.nn.functional.group_norm(maps, 1)
    torch.testing.assert_close(_modulated(maps, changes), normalized)
    changes[:, :8], changes[:, 8:] = 2.0, 3.0
    torch.testing.assert_close(_modulated(maps, changes), 3 * normalized + 3)


def test_channels_are_normalized_by_32_and_frames_padded_to_what_is_halved() -> None:
    # Origin: GN_GROUP_SIZE of the authors' code; a U-Net of four levels halves three times.
    network = EDMPredictor.from_preset("faithful")
    assert network.norm.num_groups == 64 // 32
    assert network.size_multiple == 2**3
    assert tiny().size_multiple == 2
    shown: list[Tensor] = []
    network.norm.register_forward_hook(lambda _, given, out: shown.extend([given[0], out]))
    with torch.no_grad():
        network.eval()(torch.rand(1, 4, 3, 9, 16), 1)
    maps, normal = (of.unflatten(1, (2, 32)) for of in shown)
    assert normal.shape[-2:] == (16, 16)
    variance, mean = torch.var_mean(maps, (2, 3, 4), correction=0, keepdim=True)
    torch.testing.assert_close(normal, (maps - mean) / (variance + 1e-5).sqrt(), atol=1e-4, rtol=0)


def test_preconditioning_is_that_of_the_table() -> None:
    # Origin: Karras et al. 2022, table 1, by hand for sigma_data 0.5.
    by = precondition(torch.tensor([0.5, 1.2]), 0.5)
    torch.testing.assert_close(by.skip, torch.tensor([0.5, 0.25 / 1.69]))
    torch.testing.assert_close(by.out, torch.tensor([0.25 / math.sqrt(0.5), 0.6 / 1.3]))
    torch.testing.assert_close(by.into, torch.tensor([1 / math.sqrt(0.5), 1 / 1.3]))
    torch.testing.assert_close(by.noise, torch.tensor([math.log(0.5) / 4, math.log(1.2) / 4]))


def test_the_network_is_asked_in_its_preconditioned_form() -> None:
    network = trained_at_random(sigma_data=0.3)
    context, noisy = torch.rand(1, 2, 3, 8, 8), torch.randn(1, 1, 3, 8, 8)
    seen: list[Tensor] = []
    network.inward.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    found = network.denoise(noisy, torch.tensor([0.4]), context)  # 0.3, 0.4, 0.5
    torch.testing.assert_close(seen[0][:, -3:], 2 * noisy[:, 0])
    torch.testing.assert_close(seen[0][:, :3], 4 * context[:, 0] - 2)  # [-1, 1] over 0.5
    outputs: list[Tensor] = []
    network.outward.register_forward_hook(lambda _, __, out: outputs.append(out))
    found = network.denoise(noisy, torch.tensor([0.4]), context)
    torch.testing.assert_close(found, 0.36 * noisy + 0.24 * outputs[0][:, None])


def test_the_network_is_shown_fourier_features_of_the_noise() -> None:
    # Origin: FourierFeatures of the authors' code, cosines then sines of 2 pi f c_noise.
    network = trained_at_random()
    shown: list[Tensor] = []
    network.embed.register_forward_pre_hook(lambda _, given: shown.append(given[0]))
    sigma = torch.tensor([0.4, 3.0])
    network.denoise(torch.zeros(2, 1, 3, 8, 8), sigma, torch.rand(2, 2, 3, 8, 8))
    for clip, level in zip(shown[0], sigma, strict=True):
        phases = 2 * math.pi * network.frequencies * level.log() / 4
        torch.testing.assert_close(clip, torch.cat([phases.cos(), phases.sin()]))


def test_predictions_and_draws_begin_with_noise_of_the_highest_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, asked = tiny(sigma_max=7.0, num_steps=4), []

    def denoise(noisy: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        asked.append((noisy.std().item(), sigma.tolist()))
        return torch.zeros_like(noisy)

    monkeypatch.setattr(network, "denoise", denoise)
    context = torch.rand(2, 2, 3, 32, 32)
    network(context, 1)
    network.sample(context, 1)
    levels = noise_levels(4, 0.002, 7.0)
    # An estimate of 0 leaves noise of the level that is asked about.
    assert [sigma for _, sigma in asked] == [pytest.approx(2 * [k]) for k in [7.0, *levels[:-1]]]
    for deviation, sigma in asked:
        assert deviation == pytest.approx(sigma[0], rel=0.05)


def test_noise_levels_are_even_in_their_seventh_root() -> None:
    levels = noise_levels(4, 0.002, 5.0)
    assert levels[0] == pytest.approx(5.0)
    assert levels[3:] == pytest.approx([0.002, 0.0])
    roots = [level ** (1 / 7) for level in levels[:4]]
    assert roots[0] - roots[1] == pytest.approx(roots[1] - roots[2])
    assert noise_levels(1, 0.002, 5.0) == pytest.approx([5.0, 0.0])


def test_a_denoiser_that_knows_the_data_gives_it_exactly() -> None:
    data, start = torch.rand(2, 1, 3, 8, 8), 5 * torch.randn(2, 1, 3, 8, 8)
    for steps in (1, 3, 10):
        found = euler_sample(lambda *_: data, start, noise_levels(steps, 0.002, 5.0))
        torch.testing.assert_close(found, data, atol=1e-5, rtol=0)


def test_normal_data_are_reached_along_the_exact_path() -> None:
    # Closed form: for data of deviation d the best denoiser is x d^2 / (d^2 + s^2), and the path
    # from noise level s to 0 is x d / sqrt(d^2 + s^2).
    d, start = 0.5, torch.randn(1000).double() * 5
    expected = start * d / math.sqrt(d**2 + 25)

    def error(steps: int) -> float:
        levels = noise_levels(steps, 0.002, 5.0)
        found = euler_sample(lambda x, s: x * d**2 / (d**2 + s**2), start, levels)
        return float((found - expected).norm() / expected.norm())

    assert error(800) < 0.005
    assert error(100) < error(10) < error(3)


def test_without_training_the_change_is_none_in_the_mean() -> None:
    network = EDMPredictor.from_preset("cpu").eval()
    context = torch.rand(1, 4, 3, 16, 16)
    with torch.no_grad():
        pred = network(context, 1)
    # What the skip leaves of the noise: 0.1^2 / 1.01 of deviation 1, halved into [0, 1].
    error = (pred - context[:, -1:]).square().mean().sqrt()
    assert error < 1.5 * 0.01 / 1.01 / 2


@pytest.mark.parametrize("diffused", ["frame", "change"])
def test_the_true_signal_gives_the_true_frames(
    diffused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = tiny(diffused=diffused)
    context, target = torch.rand(2, 2, 3, 8, 8), torch.rand(2, 1, 3, 8, 8)
    signal = network.signal(context, target)
    monkeypatch.setattr(network, "denoise", lambda *_: signal)
    torch.testing.assert_close(network.sample(context, 1)[0], target)
    torch.testing.assert_close(network(context, 1), target)


def test_futures_come_from_the_generator_and_differ() -> None:
    network, context = trained_at_random(), torch.rand(2, 2, 3, 8, 8)
    with torch.no_grad():
        one, two, other = (
            network.sample(context, 2, num_samples=3, generator=torch.Generator().manual_seed(seed))
            for seed in (1, 1, 2)
        )
    assert one.shape == (3, 2, 2, 3, 8, 8)
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert (one[0] - one[1]).abs().max() > 1e-4
    assert one.min() >= 0
    assert one.max() <= 1


def test_the_point_prediction_is_certain_and_of_its_clip_alone() -> None:
    network, context = trained_at_random(), torch.rand(3, 2, 3, 8, 8)
    before = torch.get_rng_state()
    with torch.no_grad():
        together = network(context, 2)
        assert torch.equal(together, network(context, 2))
        alone = torch.cat([network(clip[None], 2) for clip in context])
    assert torch.equal(before, torch.get_rng_state())
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_a_gradient_reaches_every_parameter() -> None:
    network = trained_at_random()
    assert isinstance(network, Denoising)
    noisy, sigma = torch.randn(2, 1, 3, 8, 8), torch.tensor([0.2, 1.0])
    require_gradients(network, network.denoise(noisy, sigma, torch.rand(2, 2, 3, 8, 8)))


@pytest.mark.parametrize(("channels", "size"), [(1, (9, 6)), (3, (8, 8))])
def test_any_size_and_channels(channels: int, size: tuple[int, int]) -> None:
    network, context = tiny(channels=channels), torch.rand(2, 3, channels, *size)
    with torch.no_grad():
        assert network(context, 2).shape == (2, 2, channels, *size)
        assert network.sample(context, 2).shape == (1, 2, 2, channels, *size)


def test_config_builds_the_same() -> None:
    network, context = trained_at_random(diffused="change"), torch.rand(1, 2, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(
            require_same_built(network).eval()(context, 1), network(context, 1)
        )


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="each of widths is 0; expected"):
        tiny(widths=(8, 0))
    with pytest.raises(ValueError, match="widths are empty"):
        EDMPredictor(())
    with pytest.raises(ValueError, match="features is 7; expected an even number"):
        tiny(features=7)
    with pytest.raises(ValueError, match="sigma_min is 9"):
        tiny(sigma_min=9.0)
    with pytest.raises(ValueError, match="diffused is 'noise'"):
        tiny(diffused="noise")
    with pytest.raises(ValueError, match="num_steps is 0"):
        tiny(num_steps=0)
    with pytest.raises(ValueError, match="unknown preset 'huge'; expected one of faithful, cpu"):
        EDMPredictor.from_preset("huge")  # type: ignore[arg-type]
