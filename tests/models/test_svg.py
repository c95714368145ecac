"""SVG with a learned and a fixed prior, and the autoencoder that bounds it."""

import math
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
from vidpred.models import SVG, Autoencoder
from vidpred.models.svg import Prior
from vidpred.storage import load_predictor
from vidpred.tasks import ReconstructionTask, VariationalTask

TINY = {"width": 2, "code_size": 6, "hidden_size": 5, "latent_size": 3, "image_size": 16}
PRIORS: tuple[Prior, ...] = ("learned", "fixed")


def network(prior: Prior = "learned", **options: Any) -> SVG:
    torch.manual_seed(0)
    return SVG(prior, **{**TINY, "context_frames": 3, **options})


def clips(frames: int = 5, count: int = 2) -> Tensor:
    return torch.rand(count, frames, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_faithful_has_the_layers_of_the_authors() -> None:
    """Counted from models/dcgan_64.py and models/lstm.py of edenton/svg."""

    def convolution(inputs: int, outputs: int, batch_norm: bool = True) -> int:
        return 16 * inputs * outputs + outputs + 2 * outputs * batch_norm

    def linear(inputs: int, outputs: int) -> int:
        return inputs * outputs + outputs

    cell = 4 * 256 * (256 + 256) + 2 * 4 * 256
    widths = (1, 64, 128, 256, 512, 128)
    encoder = sum(convolution(widths[k], widths[k + 1]) for k in range(5))
    decoder = convolution(128, 512) + convolution(2 * 64, 1, batch_norm=False)
    decoder += sum(convolution(2 * w, w // 2) for w in (512, 256, 128))
    predictor = linear(128 + 10, 256) + 2 * cell + linear(256, 128)
    gaussian = linear(128, 256) + cell + 2 * linear(256, 10)
    for prior, recurrences in (("learned", 2), ("fixed", 1)):
        built = SVG.from_preset("faithful", prior, channels=1)  # type: ignore[arg-type]
        count = sum(parameter.numel() for parameter in built.parameters())
        assert count == encoder + decoder + predictor + recurrences * gaussian


def by_hand(model: SVG, frames: Tensor, known: int) -> tuple[Tensor, Tensor]:
    """Predict and take divergences one frame after the other, from posterior means.

    The divergence is the closed form of two normal distributions, Kingma and Welling 2014.
    """
    encoded = [model.encoder(frame) for frame in frames.unbind(1)]
    codes = [code[:, None] for code, _ in encoded]
    states: list[Any] = [None, None, None]
    preds, divergences = [], []
    for t in range(1, len(codes)):
        (mean, log_variance), states[0] = model.posterior_recurrence(codes[t], states[0])
        if model.prior_recurrence is None:
            prior_mean, prior_log_variance = torch.zeros_like(mean), torch.zeros_like(mean)
        else:
            prior, states[1] = model.prior_recurrence(codes[t - 1], states[1])
            prior_mean, prior_log_variance = prior
        ratio = (log_variance - prior_log_variance).exp()
        distance = (mean - prior_mean).square() / prior_log_variance.exp()
        divergence = 0.5 * (ratio + distance - 1 - log_variance + prior_log_variance)
        (code,), states[2] = model.predictor(torch.cat([codes[t - 1], mean], 2), states[2])
        if t >= known:
            divergences.append(divergence.sum(2))
            pred = model.decoder(torch.tanh(code[:, 0]), encoded[known - 1][1])
            preds.append(torch.sigmoid(pred)[:, None])
    return torch.cat(preds, 1), torch.cat(divergences, 1)


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("known", [1, 3])
def test_posterior_frame_by_frame(
    prior: Prior, known: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network(prior, context_frames=known).eval()
    # Of distributions far from each other, so that a wrong direction or time shows.
    for part in (model.posterior_recurrence, model.prior_recurrence, model.predictor):
        for parameter in part.parameters() if part else ():
            nn.init.uniform_(parameter, -1, 1)
    monkeypatch.setattr(torch.distributions.Normal, "rsample", lambda self: self.mean)
    frames = clips(known + 2)
    pred, kl = model.posterior(frames[:, :known], frames[:, known:])
    expected_pred, expected_kl = by_hand(model, frames, known)
    torch.testing.assert_close(pred, expected_pred)
    torch.testing.assert_close(kl, expected_kl)
    assert kl.shape == (2, 2)
    assert (kl > 0.1).all()


def test_the_answer_comes_through_the_latents_alone() -> None:
    model = network().eval()
    frames = clips(4).requires_grad_()

    def influence() -> Tensor:  # of each frame on the prediction of the fourth
        pred, _ = model.posterior(frames[:, :3], frames[:, 3:])
        gradient = torch.autograd.grad(pred.sum(), frames)[0]
        return gradient.abs().sum(dim=(0, 2, 3, 4))

    assert (influence() > 0).all()
    nn.init.zeros_(model.posterior_recurrence.embed.weight)  # a posterior that sees nothing
    assert influence()[3] == 0
    assert (influence()[:3] > 0).all()


@pytest.mark.parametrize("prior", PRIORS)
def test_one_future_is_the_recurrence_continued(prior: Prior) -> None:
    """The future that it predicts, taken for the truth, is predicted again from posterior means."""
    model = network(prior).eval()
    with torch.no_grad():
        context = clips(3)
        future = model(context, 4)
        assert future.shape == (2, 4, 3, 16, 16)
        torch.testing.assert_close(model(context, 2), future[:, :2])
        torch.testing.assert_close(model.step(context), future[:, :1])
        if prior == "fixed":  # the prior's mean is 0: as if the posterior said so
            for head in model.posterior_recurrence.heads:
                nn.init.zeros_(head.weight)
                nn.init.zeros_(head.bias)
            again, _ = by_hand(model, torch.cat([context, future], 1), 3)
            torch.testing.assert_close(again, model(context, 4), atol=1e-3, rtol=0)


def test_the_prior_has_read_all_known_frames() -> None:
    """What it says of the next frame is the last output of its recurrence over all of them."""
    model, context = network().eval(), clips(4)
    assert model.prior_recurrence is not None
    for parameter in model.prior_recurrence.parameters():
        nn.init.uniform_(parameter, -1, 1)
    seen: list[Tensor] = []
    model.predictor.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        model(context, 1)
        codes, _ = model.encoder(context[:, 1:].flatten(0, 1))
        (mean, _), _ = model.prior_recurrence(codes.unflatten(0, (2, 3)))
    torch.testing.assert_close(seen[-1][:, -1, -3:], mean[:, -1])


@pytest.mark.parametrize("prior", PRIORS)
def test_samples(prior: Prior) -> None:
    model = network(prior).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0, 0.3)
    with torch.no_grad():
        one = model.sample(clips(3), 2, num_samples=4, generator=seeded())
        assert one.shape == (4, 2, 2, 3, 16, 16)
        assert torch.equal(one, model.sample(clips(3), 2, num_samples=4, generator=seeded()))
        assert not torch.equal(one, model.sample(clips(3), 2, num_samples=4, generator=seeded(1)))
        for k in range(3):
            assert not torch.allclose(one[k], one[k + 1], atol=1e-4)
        step = model.sample_step(clips(3), generator=seeded())
        torch.testing.assert_close(step, model.sample(clips(3), 1, generator=seeded())[0])
    with pytest.raises(ValueError, match="num_samples is 0"):
        model.sample(clips(3), 2, num_samples=0)


def test_futures_of_a_clip_are_its_own_whatever_the_batch() -> None:
    model = network().eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    for part in (model.posterior_recurrence, model.prior_recurrence):
        assert part is not None
        nn.init.constant_(part.heads[1].bias, -1e3)  # draws are the means of the latents
        nn.init.zeros_(part.heads[1].weight)
    context = clips(3) * torch.tensor([0.1, 1.0]).view(2, 1, 1, 1, 1)
    with torch.no_grad():
        drawn = model.sample(context, 2, num_samples=3, generator=seeded())
        alone = torch.cat([model(context[k : k + 1], 2) for k in range(2)])
    assert (alone[0] - alone[1]).abs().mean() > 0.05
    torch.testing.assert_close(drawn, alone.expand(3, *alone.shape), atol=2e-3, rtol=0)


def test_a_fixed_prior_is_the_standard_normal() -> None:
    model = network("fixed", context_frames=1).eval()
    seen: list[Tensor] = []
    model.predictor.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        model.sample(clips(1, count=1), 1, num_samples=2000, generator=seeded())
    latents = seen[0][..., -3:]
    assert latents.mean().abs() < 0.05  # 6000 values: the deviation of the mean is 0.013
    assert (latents.std() - 1).abs() < 0.05


def test_batch_norm_is_in_evaluation_mode_at_test(tmp_path: Path) -> None:
    """A mistake of public code: statistics of the test batch, so that scores depend on it."""
    model = network(image_size=32)
    task = VariationalTask(model, horizon=2, optimizer=partial(Adam, lr=1e-3))
    worlds = moving_squares(8, frames=5)
    engine = trainer(default_root_dir=tmp_path)
    engine.fit(task, loader(worlds, 4))
    engine.save_checkpoint(tmp_path / "last.ckpt")
    before = {name: buffer.clone() for name, buffer in task.named_buffers()}
    engine.validate(task, loader(worlds, 2), verbose=False)
    assert all(torch.equal(before[name], buffer) for name, buffer in task.named_buffers())
    loaded = load_predictor(tmp_path / "last.ckpt")
    assert isinstance(loaded, SVG)
    assert not any(module.training for module in loaded.modules())
    many = torch.stack([clip["frames"][:3] for clip in worlds[:4]]) / 255
    with torch.no_grad():
        torch.testing.assert_close(loaded(many, 2)[:1], loaded(many[:1], 2))
        torch.testing.assert_close(task.predictor.eval()(many, 2), loaded(many, 2))


@pytest.mark.filterwarnings("ignore:health at batch")  # twelve batches teach the code nothing yet
@pytest.mark.parametrize("prior", PRIORS)
def test_it_is_certified_and_trains(prior: Prior, tmp_path: Path) -> None:
    task = VariationalTask(
        network(prior, image_size=32), horizon=2, optimizer=partial(Adam, lr=1e-2)
    )
    certificate, health = GradientCertificate(), TrainingHealth(every_n_batches=1)
    engine = trainer(callbacks=[certificate, health], default_root_dir=tmp_path, max_epochs=12)
    squares = moving_squares(8, frames=5)
    first = task.objective(next(iter(loader(squares, 8)))).loss.item()
    engine.fit(task, loader(squares, 8))
    assert set(certificate.paths["predictor"]) == {("lp_loss", 0), ("kl", 0)}
    assert task.objective(next(iter(loader(squares, 8)))).loss.item() < 0.8 * first
    assert health.signs is not None
    assert math.isfinite(health.signs.overall["kl"])


@pytest.mark.parametrize("prior", PRIORS)
def test_a_divergence_is_named_and_not_a_wrong_argument(prior: Prior) -> None:
    task = VariationalTask(network(prior), horizon=2)
    nn.init.constant_(task.predictor.get_parameter("posterior_recurrence.embed.bias"), math.nan)
    frames = torch.zeros(2, 5, 3, 16, 16, dtype=torch.uint8)
    terms = task.objective({"frames": frames}).terms
    assert all(term.isnan() for term in terms.values())
    assert task.predictor.eval().sample(clips(3), 1).isnan().all()


def test_refusals() -> None:
    with pytest.raises(
        SettingError, match=r"24 x 16 pixels; SVG .*set data.resize \[16, 16\]"
    ) as said:
        network()(torch.rand(1, 3, 3, 24, 16), 1)
    assert "ffmpeg -i VIDEO -vf scale=16:16 small.mp4" in str(said.value)
    with pytest.raises(SettingError, match="24 x 24 pixels"):
        network().posterior(torch.rand(1, 3, 3, 24, 24), torch.rand(1, 2, 3, 24, 24))
    with pytest.raises(ValueError, match="image_size is 48; expected 8, 16"):
        network(image_size=48)
    with pytest.raises(ValueError, match="prior is 'none'; expected one of learned, fixed"):
        SVG("none")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="latent_size is 0"):
        network(latent_size=0)
    with pytest.raises(ValueError, match="context has 2 frames; expected at least 3"):
        network().sample(clips(2), 1)
    with pytest.raises(ValueError, match="unknown preset 'huge'; expected one of faithful, cpu"):
        SVG.from_preset("huge")  # type: ignore[arg-type]


def test_presets_rebuild_from_their_configuration() -> None:
    for model in (SVG.from_preset("cpu", latent_size=4), Autoencoder.from_preset("cpu")):
        again = type(model).from_config(model.config())
        shapes = [(name, p.shape) for name, p in model.named_parameters()]
        assert [(name, p.shape) for name, p in again.named_parameters()] == shapes
        assert again.config() == model.config()


class TestAutoencoder:
    def build(self, image_size: int = 16) -> Autoencoder:
        torch.manual_seed(0)
        return Autoencoder(width=2, code_size=6, image_size=image_size, context_frames=3)

    def test_it_draws_each_frame_from_its_own_code(self) -> None:
        model = self.build().eval()
        for parameter in model.parameters():
            nn.init.normal_(parameter, 0, 0.3)
        frames = clips(5).requires_grad_()
        pred = model(frames[:, :3], 2, condition={"true_frames": frames})
        assert pred.shape == (2, 2, 3, 16, 16)
        for k in range(2):
            gradient = torch.autograd.grad(pred[:, k].sum(), frames, retain_graph=True)[0]
            seen = gradient.abs().sum(dim=(0, 2, 3, 4)) > 0
            assert seen.tolist() == [t in (2, 3 + k) for t in range(5)]

    def test_training_and_validation_show_it_the_truth(self) -> None:
        model = self.build(image_size=32)
        task = ReconstructionTask(model, horizon=2, optimizer=partial(Adam, lr=0.02))
        squares = moving_squares(8, frames=5)
        batch = next(iter(loader(squares, 8)))
        assert "condition" not in batch
        first = task.objective(batch).loss.item()
        trainer(max_epochs=15).fit(task, loader(squares, 8))
        assert task.objective(batch).loss.item() < 0.5 * first
        task.eval()
        shown = task.evaluate(batch, "val")["pred"]
        frames = batch["frames"] / 255
        torch.testing.assert_close(
            shown, model(frames[:, :3], 2, condition={"true_frames": frames})
        )

    def test_without_the_truth_it_refuses(self) -> None:
        with pytest.raises(ValueError, match="Autoencoder needs the condition true_frames"):
            self.build()(clips(3), 2)
        frames = torch.rand(1, 5, 3, 32, 32)
        with pytest.raises(SettingError, match="Autoencoder with image_size 16 takes 16 x 16"):
            self.build()(frames[:, :3], 2, condition={"true_frames": frames})
