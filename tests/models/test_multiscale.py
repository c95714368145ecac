import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vidpred.models import GeneratorScale, MultiScaleGenerator
from vidpred.models.multiscale import GENERATOR_PRESETS
from vidpred.ops import pyramid


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# Origin: the table of the paper's networks, confirmed by two independent re-implementations.
@pytest.mark.parametrize(
    ("preset", "by_scale"),
    [
        ("paper", [607_619, 647_939, 3_008_003, 8_306_179]),
        ("small", [11_443, 16_483, 53_443, 142_275]),
    ],
)
def test_parameters_are_those_of_the_paper_to_the_unit(preset: str, by_scale: list[int]) -> None:
    generator = MultiScaleGenerator.from_preset(preset)
    assert [count(network) for network in generator.networks] == by_scale
    assert count(generator) == {"paper": 12_569_740, "small": 223_644}[preset]


def test_single_scale_is_the_finest_network_without_a_guess() -> None:
    generator = MultiScaleGenerator.from_preset("single_scale")
    # The finest of `paper` less the 3 guess channels of its first 7 x 7 convolution.
    assert count(generator) == 8_306_179 - 3 * 128 * 49
    assert generator.size_multiple == 1


@pytest.mark.parametrize("preset", list(GENERATOR_PRESETS))
def test_every_preset_predicts(preset: str) -> None:
    generator = MultiScaleGenerator.from_preset(preset)
    frames = 8 if preset == "paper_8to8" else 4
    pred = generator(torch.rand(1, frames, 3, 16, 16), 1)
    assert pred.shape == (1, 1, 3, 16, 16)
    assert generator.output_frames == (8 if preset == "paper_8to8" else 1)


@pytest.mark.parametrize(
    ("context_frames", "channels", "output_frames"), [(1, 1, 1), (2, 3, 2), (5, 4, 3)]
)
def test_any_frames_and_channels(context_frames: int, channels: int, output_frames: int) -> None:
    generator = MultiScaleGenerator.from_preset(
        "small", context_frames=context_frames, channels=channels, output_frames=output_frames
    )
    context = torch.rand(2, context_frames, channels, 16, 24) * 2 - 1
    shapes = [tuple(pred.shape) for pred in generator.forward_scales(context)]
    assert shapes == [
        (2, output_frames, channels, 16 // factor, 24 // factor) for factor in (8, 4, 2, 1)
    ]


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_each_scale_corrects_the_enlarged_guess(upsampling: str) -> None:
    generator = MultiScaleGenerator.from_preset("small", upsampling=upsampling)
    context = torch.rand(2, 4, 3, 32, 32) * 2 - 1
    pasts = [past.flatten(1, 2) for past in pyramid(context, 4)]
    # The recursion of the paper, written out.
    expected = torch.tanh(generator.networks[0](pasts[0]))
    outputs = [expected]
    for past, network in zip(pasts[1:], generator.networks[1:], strict=True):
        enlarged = F.interpolate(outputs[-1], scale_factor=2, mode=upsampling)
        outputs.append(torch.tanh(network(torch.cat([past, enlarged], dim=1)) + enlarged))
    for pred, output in zip(generator.forward_scales(context), outputs, strict=True):
        torch.testing.assert_close(pred[:, 0], output)


def test_gradient_reaches_every_parameter_from_the_finest_scale() -> None:
    generator = MultiScaleGenerator.from_preset("small")
    generator.forward_scales(torch.rand(2, 4, 3, 16, 16))[-1].square().sum().backward()
    assert all(parameter.grad is not None for parameter in generator.parameters())
    for network in generator.networks:
        assert sum(float(p.grad.abs().sum()) for p in network.parameters() if p.grad is not None)


def test_wrong_input_is_refused() -> None:
    generator = MultiScaleGenerator.from_preset("small")
    with pytest.raises(ValueError, match=r"expected \(B, 4, 3, H, W\)"):
        generator.forward_scales(torch.rand(2, 5, 3, 16, 16))
    with pytest.raises(ValueError, match="cannot be reduced 8 times"):
        generator.forward_scales(torch.rand(2, 4, 3, 20, 16))


def test_unknown_preset_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown preset 'huge'; expected one of paper, small"):
        MultiScaleGenerator.from_preset("huge")


@pytest.mark.parametrize(
    ("hidden", "kernels", "problem"),
    [((8,), (3,), "one kernel more"), ((8,), (3, 4), "odd sizes")],
)
def test_impossible_tables_are_refused(hidden: tuple, kernels: tuple, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        GeneratorScale(hidden, kernels)


def test_config_builds_the_same_network() -> None:
    generator = MultiScaleGenerator.from_preset("small", context_frames=3, channels=1)
    twin = MultiScaleGenerator.from_config(generator.config())
    twin.load_state_dict(generator.state_dict())
    context = torch.rand(1, 3, 1, 16, 16)
    torch.testing.assert_close(twin(context, 2), generator(context, 2))


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ValueError, match="context_frames is 0"):
        MultiScaleGenerator.from_preset("small", context_frames=0)
    with pytest.raises(ValueError, match="upsampling is 'cubic'"):
        MultiScaleGenerator.from_preset("small", upsampling="cubic")
