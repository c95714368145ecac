"""The multi-scale generator with a mixture a pixel."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Adam
from worlds import loader, moving_squares, trainer

from vidpred.diagnostics.certificate import GradientCertificate
from vidpred.models import GeneratorScale, Likelihood, MixtureGenerator
from vidpred.ops import downsample, unit_to_signed
from vidpred.ops.pixel_mixture import MixtureKind
from vidpred.tasks import LikelihoodTask

SCALES = (GeneratorScale((4,), (3, 3)), GeneratorScale((6,), (3, 3)))
KINDS: tuple[MixtureKind, ...] = ("logistic", "normal")


def network(distribution: MixtureKind = "logistic", **options: Any) -> MixtureGenerator:
    torch.manual_seed(0)
    return MixtureGenerator(SCALES, components=3, distribution=distribution, **options)


def clips(frames: int = 6, channels: int = 3, size: tuple[int, int] = (16, 16)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(256, (2, frames, channels, *size), generator=generator) / 255


def bits(model: MixtureGenerator, frames: torch.Tensor) -> torch.Tensor:
    found = model.log_prob(frames[:, :4], frames[:, 4:])
    assert found.shape == (2, 2)
    return -found / (math.log(2) * math.prod(frames.shape[2:]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_untrained_it_gives_8_bits_whatever_comes(kind: MixtureKind, channels: int) -> None:
    model = network(kind, channels=channels)
    for frames in (clips(channels=channels), torch.zeros(2, 6, channels, 16, 16)):
        torch.testing.assert_close(bits(model, frames), torch.full((2, 2), 8.0), atol=0.05, rtol=0)


def test_parameters_of_a_pixel_are_counted_as_published() -> None:
    """10 K for coupled logistics, 7 K for normal distributions of RGB, and the uniform weight."""
    assert sum(network("logistic")._parameters_of_a_pixel()) == 10 * 3 + 1
    assert sum(network("normal")._parameters_of_a_pixel()) == 7 * 3 + 1
    assert sum(network("logistic", channels=1)._parameters_of_a_pixel()) == 3 * 3 + 1


@pytest.mark.parametrize("kind", KINDS)
def test_futures(kind: MixtureKind) -> None:
    model = network(kind)
    assert isinstance(model, Likelihood)
    with torch.no_grad():
        context = clips(4, size=(13, 18))
        assert model(context, 3).shape == (2, 3, 3, 13, 18)
        drawn = model.sample(context, 2, num_samples=3, generator=torch.Generator().manual_seed(0))
        assert drawn.shape == (3, 2, 2, 3, 13, 18)
        torch.testing.assert_close(drawn * 255, (drawn * 255).round(), atol=1e-3, rtol=0)
        assert not torch.equal(drawn[0], drawn[1])
        padded = model.log_prob(context, clips(1, size=(13, 18)))
        assert padded.shape == (2, 1)


def test_each_frame_is_scored_after_the_true_frames_before_it() -> None:
    model = network()
    nn.init.normal_(model.finest[-1].weight, 0, 0.5)  # type: ignore[arg-type]
    frames = clips(6)
    with pytest.raises(ValueError, match="context has 3 frames; expected at least 4"):
        model.log_prob(frames[:, :3], frames[:, 3:])
    both = model.log_prob(frames[:, :4], frames[:, 4:])
    second = model.log_prob(frames[:, 1:5], frames[:, 5:])
    torch.testing.assert_close(both[:, 1:], second)
    # By the distribution that the frames before it give, which have not seen it.
    mixture = model.mixture(frames[:, :4])
    first = mixture.log_prob(unit_to_signed(frames[:, 4])).flatten(1).sum(1)
    torch.testing.assert_close(both[:, 0], first)


def test_couplings_of_colors_are_bounded_as_published() -> None:
    """Between -1 and 1 by tanh, as in the code of Salimans et al. 2017."""
    model = network()
    nn.init.normal_(model.finest[-1].weight, 0, 50.0)  # type: ignore[arg-type]
    couplings = model.mixture(clips(4)).couplings
    assert couplings is not None
    assert couplings.abs().max() == 1
    assert couplings.min() < 0 < couplings.max()


def test_the_enlarged_guess_of_coarser_scales_is_the_center_of_the_components() -> None:
    model = network()
    context = clips(4)
    assert model.coarser is not None
    nn.init.zeros_(model.finest[-1].weight)  # type: ignore[arg-type]
    nn.init.zeros_(model.finest[-1].bias)  # type: ignore[arg-type]
    guess = model.coarser.forward_scales(downsample(unit_to_signed(context), 2))[-1][:, 0]
    enlarged = guess.repeat_interleave(2, -1).repeat_interleave(2, -2)
    assert enlarged.std() > 0.01
    torch.testing.assert_close(
        model.mixture(context).means, enlarged[:, None].expand(-1, 3, -1, -1, -1)
    )


def test_it_is_certified_and_learns(tmp_path: Path) -> None:
    squares = moving_squares(8)
    task = LikelihoodTask(network(), optimizer=partial(Adam, lr=1e-2))
    batch = next(iter(loader(squares, 8)))
    certificate = GradientCertificate()
    engine = trainer(max_epochs=25, callbacks=[certificate], default_root_dir=tmp_path)
    engine.fit(task, loader(squares, 8))
    assert ("nats_per_frame", 0) in certificate.paths["predictor"]
    objective = task.objective(batch)
    assert objective.measures["bits_per_dim"] < 7.5


def test_it_is_rebuilt_from_its_configuration() -> None:
    model = MixtureGenerator.from_preset("small", distribution="normal")
    again = MixtureGenerator.from_config(model.config())
    assert again.config() == model.config()
    assert model.receptive_radius == 95  # as the small multi-scale generator


def test_refusals() -> None:
    with pytest.raises(ValueError, match="components is 0"):
        MixtureGenerator(SCALES, components=0)
    with pytest.raises(ValueError, match="distribution is 'laplace'; expected logistic or normal"):
        MixtureGenerator(SCALES, distribution="laplace")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown preset 'tiny'"):
        MixtureGenerator.from_preset("tiny")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="number of scales is 0"):
        MixtureGenerator(())
