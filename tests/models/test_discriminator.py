import pytest
import torch

from vidpred.models import MultiScaleDiscriminator
from vidpred.models.discriminator import DISCRIMINATOR_PRESETS
from vidpred.ops import pyramid


def clip(
    size: int = 32, frames: int = 4, outputs: int = 1
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    context = torch.rand(3, frames, 3, size, size) * 2 - 1
    return context, pyramid(torch.rand(3, outputs, 3, size, size) * 2 - 1, 4)


def test_parameters_are_those_of_the_paper_to_the_unit() -> None:
    networks = MultiScaleDiscriminator.from_preset("paper").networks
    # Origin: the table of the paper's networks.
    assert [sum(p.numel() for p in network.parameters()) for network in networks] == [
        271_873,
        1_280_769,
        7_226_881,
        11_860_865,
    ]


def test_the_finest_scale_alone_pools_and_by_the_maximum() -> None:
    networks = MultiScaleDiscriminator.from_preset("paper").networks
    pools = [[m for m in network if "Pool" in type(m).__name__] for network in networks]
    assert [len(found) for found in pools] == [0, 0, 0, 1]
    pixels = torch.arange(16.0).view(1, 1, 4, 4)
    assert pools[3][0](pixels).flatten().tolist() == [5, 7, 13, 15]


def test_features_are_the_maxima_of_every_map_on_a_grid() -> None:
    discriminator = MultiScaleDiscriminator.from_preset("small")
    context, candidates = clip()
    found = discriminator.features(context, candidates)
    maps = sum(width for scale in discriminator.scales for width in scale.maps)
    assert found.shape == (3, maps * 4 * 4)
    first = discriminator.networks[-1][:2]
    finest = first(torch.cat([context, candidates[-1]], dim=1).flatten(1, 2))
    assert (found.amax(1) >= finest.amax((1, 2, 3))).all()


@pytest.mark.parametrize("preset", list(DISCRIMINATOR_PRESETS))
def test_every_preset_judges(preset: str) -> None:
    frames = 8 if preset == "paper_8to8" else 4
    discriminator = MultiScaleDiscriminator.from_preset(preset)
    context, candidates = clip(frames=frames, outputs=8 if frames == 8 else 1)
    logits = discriminator(context, candidates[-discriminator.num_scales :])
    assert [tuple(k.shape) for k in logits] == [(3, 1)] * discriminator.num_scales


def test_64_pixel_patches_need_a_rebuilt_network() -> None:
    context, candidates = clip(64)
    with pytest.raises(ValueError, match="64 x 64 pixels; a fully connected discriminator"):
        MultiScaleDiscriminator.from_preset("small")(context, candidates)
    rebuilt = MultiScaleDiscriminator.from_preset("small", patch_size=64)
    assert [tuple(k.shape) for k in rebuilt(context, candidates)] == [(3, 1)] * 4


@pytest.mark.parametrize("size", [32, 64, 96])
def test_a_fully_convolutional_one_is_free_of_the_patch_size(size: int) -> None:
    discriminator = MultiScaleDiscriminator.from_preset("small", head="fully_convolutional")
    logits = discriminator(*clip(size))
    # 3 x 3 without padding on the eighth-size patch leaves size / 8 - 2 rows and columns.
    assert logits[0].shape == (3, (size // 8 - 2) ** 2)
    # 7, 7, 5, 5 without padding, then pooling.
    assert logits[-1].shape == (3, ((size - 20) // 2) ** 2)


def test_patches_too_small_for_the_kernels_are_refused() -> None:
    with pytest.raises(ValueError, match="patch_size 16 does not fit scale 1/8"):
        MultiScaleDiscriminator.from_preset("small", patch_size=16)
    with pytest.raises(ValueError, match="patch_size 20 does not fit"):
        MultiScaleDiscriminator.from_preset("small", patch_size=20)


def test_every_logit_depends_on_every_past_frame_and_on_the_candidate() -> None:
    discriminator = MultiScaleDiscriminator.from_preset("small")
    context, candidates = clip()
    context.requires_grad_()
    for candidate in candidates:
        candidate.requires_grad_()
    for k, logits in enumerate(discriminator(context, candidates)):
        inputs = [context, candidates[k]]
        past, present = torch.autograd.grad(logits.sum(), inputs, retain_graph=True)
        assert (past.abs().sum(dim=(0, 2, 3, 4)) > 0).all()
        assert present.abs().sum() > 0


def test_wrong_scales_and_contexts_are_refused() -> None:
    discriminator = MultiScaleDiscriminator.from_preset("small")
    context, candidates = clip()
    with pytest.raises(ValueError, match="3 candidates; expected one for each of"):
        discriminator(context, candidates[1:])
    with pytest.raises(ValueError, match=r"expected \(B, 4, 3, H, W\)"):
        discriminator(context[:, 1:], candidates)
    with pytest.raises(ValueError, match="unknown preset 'tiny'"):
        MultiScaleDiscriminator.from_preset("tiny")


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ValueError, match="context_frames is 0"):
        MultiScaleDiscriminator.from_preset("small", context_frames=0)
    with pytest.raises(ValueError, match="head is 'nosuch'; expected fully_connected or"):
        MultiScaleDiscriminator.from_preset("small", head="nosuch")
