"""DCGAN as a next-frame predictor, and its discriminator."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam
from worlds import loader, moving_squares, trainer

from vidpred.diagnostics.certificate import GradientCertificate
from vidpred.diagnostics.health import TrainingHealth
from vidpred.errors import SettingError
from vidpred.losses import MultiScaleLoss
from vidpred.models import CopyLastFrame, DCGANDiscriminator, DCGANGenerator
from vidpred.storage import load_predictor
from vidpred.tasks import AdversarialTask

ADAM = partial(Adam, lr=2e-4, betas=(0.5, 0.999))


def networks(image_size: int = 16, **options: Any) -> tuple[DCGANGenerator, DCGANDiscriminator]:
    torch.manual_seed(0)
    shape: dict[str, Any] = {"width": 4, "image_size": image_size, "context_frames": 4}
    generator = DCGANGenerator(code_size=6, latent_size=5, **shape)
    return generator, DCGANDiscriminator(**shape, **options)


def task(image_size: int = 16, **options: Any) -> AdversarialTask:
    defaults: dict[str, Any] = {
        "loss": MultiScaleLoss(lp_weight=0.0),
        "adversarial_weight": 1.0,
        "drawn_predictions": True,
        "generator_optimizer": ADAM,
        "discriminator_optimizer": ADAM,
    }
    return AdversarialTask(*networks(image_size), **{**defaults, **options})


def frames(count: int = 4, number: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(256, (count, number, 3, 16, 16), generator=generator, dtype=torch.uint8)


def test_the_published_rules() -> None:
    """Radford et al. 2016, section 3: what has batch norm, which activation, how weights begin."""
    generator, discriminator = (
        DCGANGenerator.from_preset("faithful"),
        DCGANDiscriminator.from_preset("faithful"),
    )

    def kinds(network: nn.Module) -> list[str]:
        return [type(m).__name__ for m in network.modules() if not list(m.children())]

    block = ["ConvTranspose2d", "BatchNorm2d", "ReLU"]
    assert kinds(generator.decoder) == [*(block * 4), "ConvTranspose2d"]
    strided = ["Conv2d", "BatchNorm2d", "LeakyReLU"]
    assert kinds(discriminator.halving) == ["Conv2d", "LeakyReLU", *(strided * 3)]
    for network in (generator, discriminator):
        assert not any("Pool" in kind for kind in kinds(network))
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.weight.numel() > 5e4:
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.03)
                assert module.weight.mean().abs() < 1e-3
            if isinstance(module, nn.LeakyReLU):
                assert module.negative_slope == 0.2
    # tanh at the end: a large last bias gives white, not more.
    nn.init.constant_(generator.decoder.to_frames.bias, 99.0)  # type: ignore[arg-type]
    assert generator.eval().step(torch.zeros(1, 4, 3, 64, 64)).max() == 1


def test_futures_follow_the_latent_code() -> None:
    generator, _ = networks()
    generator.eval()
    for parameter in generator.parameters():
        nn.init.normal_(parameter, 0, 0.3)
    context = frames()[:, :4] / 255
    with torch.no_grad():
        drawn = generator.sample(
            context, 2, num_samples=3, generator=torch.Generator().manual_seed(0)
        )
        assert drawn.shape == (3, 4, 2, 3, 16, 16)
        assert not torch.allclose(drawn[0], drawn[1], atol=1e-3)
        again = generator.sample(
            context, 2, num_samples=3, generator=torch.Generator().manual_seed(0)
        )
        assert torch.equal(drawn, again)
        torch.testing.assert_close(
            generator(context, 1), generator.predict(context, torch.zeros(4, 5))
        )


def test_the_latent_code_is_that_of_the_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Radford et al. 2016, figure 1: 100 values; uniform, here on [-1, 1]."""
    generator = DCGANGenerator.from_preset("cpu").eval()
    latents: list[Tensor] = []
    monkeypatch.setattr(
        generator, "predict", lambda context, latent: latents.append(latent) or context[:, -1:]
    )
    generator.sample(torch.rand(50, 4, 3, 64, 64), 1)
    assert latents[0].shape == (50, 100)
    assert latents[0].min().item() == pytest.approx(-1, abs=0.01)
    assert latents[0].max().item() == pytest.approx(1, abs=0.01)
    assert latents[0].std().item() == pytest.approx(3**-0.5, rel=0.03)


def test_the_discriminator_sees_past_and_candidate() -> None:
    _, discriminator = networks()
    clip = (frames() / 127.5 - 1).requires_grad_()
    (logits,) = discriminator(clip[:, :4], [clip[:, 4:]])
    assert logits.shape == (4, 1)
    gradient = torch.autograd.grad(logits.square().sum(), clip)[0]
    assert (gradient.abs().sum(dim=(0, 2, 3, 4)) > 0).all()
    # Every layer's maxima on 4 x 4: 4 + 8 channels of 8 x 8 and 4 x 4.
    features = discriminator.features(clip[:, :4], [clip[:, 4:]])
    assert features.shape == (4, (4 + 8) * 16)
    large, _ = discriminator.feature_maps(clip[:, :4], [clip[:, 4:]])
    assert torch.equal(features[:, 0], large[:, 0, :2, :2].amax((1, 2)))


def test_real_and_fake_have_batch_statistics_of_their_own() -> None:
    """A mistake of public code: one batch of both, whose statistics give away which is which."""
    training = task()
    generator, discriminator = training.generator, training.discriminator
    clips = frames()
    torch.manual_seed(3)
    objective = training.discriminator_objective(clips)
    torch.manual_seed(3)
    context = clips[:, :4] / 255
    with torch.no_grad():
        (pred,) = generator.sample(context, 1)
    signed = clips / 127.5 - 1
    (real,) = discriminator(signed[:, :4], [signed[:, 4:]])
    (fake,) = discriminator(signed[:, :4], [2 * pred - 1])
    torch.testing.assert_close(objective.real_logits[0], real, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(objective.fake_logits[0], fake, atol=1e-4, rtol=1e-4)
    both = discriminator(
        signed[:, :4].repeat(2, 1, 1, 1, 1), [torch.cat([signed[:, 4:], 2 * pred - 1])]
    )[0]
    assert not torch.allclose(torch.cat([real, fake]), both, atol=1e-3)


def test_it_is_certified_and_each_optimizer_moves_its_network(tmp_path: Path) -> None:
    training = task(image_size=32)
    certificate, health = GradientCertificate(), TrainingHealth(every_n_batches=1)
    squares = moving_squares(16)
    engine = trainer(callbacks=[certificate, health], default_root_dir=tmp_path)
    before = [
        torch.cat([p.detach().flatten() for p in network.parameters()])
        for network in (training.generator, training.discriminator)
    ]
    engine.fit(training, loader(squares, 8))
    assert ("adversarial_loss", 0) in certificate.paths["generator"]
    for old, network in zip(before, (training.generator, training.discriminator), strict=True):
        new = torch.cat([p.detach().flatten() for p in network.parameters()])
        # Two steps of Adam move no weight by much more than twice its rate.
        assert 0 < (new - old).abs().max() < 5e-4
    engine.save_checkpoint(tmp_path / "last.ckpt")
    loaded = load_predictor(tmp_path / "last.ckpt")
    assert isinstance(loaded, DCGANGenerator)
    assert loaded.config() == training.generator.config()


def test_refusals() -> None:
    generator, discriminator = networks()
    with pytest.raises(SettingError, match="drawn_predictions is set, and CopyLastFrame gives one"):
        AdversarialTask(
            CopyLastFrame(),
            DCGANDiscriminator(context_frames=1, width=2),
            drawn_predictions=True,
        )
    with pytest.raises(ValueError, match="the generator has context_frames 4, the discriminator 2"):
        AdversarialTask(generator, DCGANDiscriminator(context_frames=2, width=2))
    with pytest.raises(SettingError, match=r"32 x 32 pixels; DCGANGenerator with image_size 16"):
        generator(torch.rand(2, 4, 3, 32, 32), 1)
    with pytest.raises(SettingError, match="batch norm is to learn from a single frame"):
        generator(torch.rand(1, 4, 3, 16, 16), 1)
    with pytest.raises(ValueError, match="2 candidates; expected one"):
        discriminator(torch.zeros(1, 4, 3, 16, 16), [torch.zeros(1, 1, 3, 16, 16)] * 2)
    with pytest.raises(ValueError, match=r"context has shape .*expected \(B, 4, 3, H, W\)"):
        discriminator(torch.zeros(1, 3, 3, 16, 16), [torch.zeros(1, 1, 3, 16, 16)])
    with pytest.raises(ValueError, match="unknown preset 'big'; expected one of faithful, cpu"):
        DCGANGenerator.from_preset("big")  # type: ignore[arg-type]
