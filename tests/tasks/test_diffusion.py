"""The diffusion task: its weights, its noise, its validation."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from worlds import loader, moving_squares, trainer

from vidpred.errors import SettingError
from vidpred.models import CopyLastFrame, EDMPredictor
from vidpred.tasks import DiffusionTask


def tiny(**options: Any) -> EDMPredictor:
    return EDMPredictor((8,), blocks=1, features=8, attention=False, **options)


def clips(count: int = 4) -> Any:
    return {"frames": torch.randint(0, 256, (count, 5, 3, 16, 16), dtype=torch.uint8)}


def test_the_loss_of_a_network_that_says_nothing_is_that_of_its_target() -> None:
    # Closed form: the network learns (y - skip x) / out; for an output of 0 and data of deviation
    # sigma_data its mean square is 1 at every noise level.
    network = tiny(sigma_data=0.25)
    data = 0.25 * torch.randn(64, 1, 3, 16, 16)
    network.signal = lambda context, target: data  # type: ignore[method-assign]
    for median in (0.1, 1.0, 10.0):
        torch.manual_seed(1)
        task = DiffusionTask(network, noise_median=median, noise_spread=1e-6)
        loss = task.objective(clips(64)).loss
        assert loss.item() == pytest.approx(1.0, abs=0.03)


def test_noise_levels_are_log_normal(monkeypatch: pytest.MonkeyPatch) -> None:
    network, levels = tiny(sigma_data=0.5), []

    def denoise(noisy: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        levels.append(sigma)
        return noisy

    monkeypatch.setattr(network, "denoise", denoise)
    task = DiffusionTask(network, noise_median=2.0, noise_spread=0.7)
    for _ in range(40):
        task.objective(clips(64))
    logarithms = torch.cat(levels).log()
    assert logarithms.mean().item() == pytest.approx(0.0, abs=0.05)  # 2 x 0.5
    assert logarithms.std().item() == pytest.approx(0.7, abs=0.04)


def test_noise_is_that_of_diamond_where_nothing_else_is_said() -> None:
    # Origin: SigmaDistributionConfig of the authors' code, loc -0.4 and scale 1.2 for sigma_data
    # of 0.5; here the median is relative to sigma_data.
    task = DiffusionTask(tiny())
    assert task.noise_median * 0.5 == pytest.approx(math.exp(-0.4))
    assert task.noise_spread == 1.2


def test_a_perfect_denoiser_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network, batch = tiny(), clips()
    truth = batch["frames"][:, 4:].float() / 255 * 2 - 1
    monkeypatch.setattr(network, "denoise", lambda *_: truth)
    assert DiffusionTask(network).objective(batch).loss < 1e-9


def test_validation_draws_the_same_noise_each_time() -> None:
    task = DiffusionTask(tiny())
    data = loader(moving_squares(4, frames=6, size=20), 2)
    engine = trainer()
    torch.manual_seed(1)
    first = engine.validate(task, data, verbose=False)[0]
    torch.manual_seed(2)
    second = engine.validate(task, data, verbose=False)[0]
    assert first["val/denoising"] == second["val/denoising"]
    assert first["val/denoising"] > 0


def test_the_noise_of_a_clip_does_not_depend_on_its_batch() -> None:
    task, frames = DiffusionTask(tiny()), moving_squares(8, frames=6, size=20)
    losses = [
        trainer().validate(task, loader(frames, size), verbose=False)[0]["val/denoising"]
        for size in (1, 3, 8)
    ]
    assert losses[1:] == pytest.approx([losses[0]] * 2, rel=1e-4)


def test_clips_of_one_video_have_noise_of_their_own() -> None:
    task = DiffusionTask(tiny())
    (clip,) = moving_squares(1, frames=6, size=20)
    losses = [
        trainer().validate(task, loader([{**clip, "start": torch.tensor(k)}], 1), verbose=False)[0]
        for k in (0, 7, 0)
    ]
    assert losses[0] == losses[2] != losses[1]


def test_it_trains_every_weight() -> None:
    network = tiny()
    before = {name: value.clone() for name, value in network.named_parameters()}
    trainer(max_epochs=3).fit(DiffusionTask(network), loader(moving_squares(8, size=20), 4))
    for name, value in network.named_parameters():
        assert not torch.equal(value, before[name]), name


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(SettingError, match="CopyLastFrame has no methods signal and denoise"):
        DiffusionTask(CopyLastFrame())
    with pytest.raises(ValueError, match="noise_median is 0"):
        DiffusionTask(tiny(), noise_median=0.0)
    with pytest.raises(ValueError, match="noise_spread is -1"):
        DiffusionTask(tiny(), noise_spread=-1.0)
