"""Batches of loaders that are not of vidpred, and predictors that are none."""

from typing import Any

import pytest
import torch
from any_predictor import AnyNetwork
from torch import Tensor, nn
from worlds import loader, moving_squares, small_networks, trainer

from vidpred.errors import NetworkError, SettingError
from vidpred.models import EDMPredictor, MultiScaleGenerator
from vidpred.prediction.video_predictor import VideoPredictor
from vidpred.tasks import AdversarialTask, DiffusionTask, PredictionTask, ReconstructionTask


def tasks() -> list[PredictionTask]:
    return [
        ReconstructionTask(AnyNetwork()),
        ReconstructionTask(MultiScaleGenerator.from_preset("small")),
        AdversarialTask(*small_networks()),
    ]


def changed(change: Any, frames: int = 5) -> list[Any]:
    return [change(clip) for clip in moving_squares(4, frames=frames)]


FOREIGN = [
    (lambda clip: (clip["frames"], 0), "the loader gives a list; expected a dictionary"),
    (lambda clip: clip["frames"], "the loader gives a Tensor; expected a dictionary"),
    (lambda clip: {"video": clip["frames"]}, "gives a dictionary of video; expected .* frames"),
    (lambda clip: {"frames": clip["frames"][0]}, r"gives frames of shape \(4, 3, 32, 32\)"),
    (lambda clip: {"frames": clip["frames"].long()}, r"frames of torch.int64; expected uint8"),
    (lambda clip: {"frames": clip["frames"].float()}, r"values from 0 to 200; expected \[0, 1\]"),
    (lambda clip: {"frames": clip["frames"] / 100 - 1}, r"values from -1 to 1; expected \[0, 1\]"),
]


LAYOUTS = [
    (lambda clip: clip["frames"].permute(0, 2, 3, 1), r"32 channels, shape \(4, 5, 32, 32, 3\)"),
    (lambda clip: clip["frames"].repeat(1, 2, 1, 1), r"6 channels, shape \(4, 5, 6, 32, 32\)"),
]


@pytest.mark.parametrize(("layout", "said"), LAYOUTS)
def test_frames_of_another_layout_are_shown(layout: Any, said: str) -> None:
    task = ReconstructionTask(MultiScaleGenerator.from_preset("small"))
    clips = changed(lambda clip: {"frames": layout(clip)})
    with pytest.raises(SettingError, match=said + r".* expected \(B, T, 3, H, W\)"):
        trainer().fit(task, loader(clips, 4))


@pytest.mark.parametrize("task", range(3))
@pytest.mark.parametrize(("change", "said"), FOREIGN)
def test_batches_that_are_no_clips_are_refused(task: int, change: Any, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        trainer().fit(tasks()[task], loader(changed(change), 4))
    with pytest.raises(SettingError, match=said):
        trainer().validate(tasks()[task], loader(changed(change), 4), verbose=False)


def test_floats_in_0_to_1_train_as_uint8_do() -> None:
    def unit(clip: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"frames": clip["frames"].float() / 255}

    found = []
    for clips in (moving_squares(4), changed(unit)):
        torch.manual_seed(0)
        task = ReconstructionTask(AnyNetwork())
        trainer().fit(task, loader(clips, 4))
        found.append(torch.cat([weight.flatten() for weight in task.parameters()]))
    assert torch.equal(*found)


def test_a_validation_of_denoising_asks_for_names() -> None:
    task = DiffusionTask(EDMPredictor((4,), blocks=1, features=4, attention=False))
    nameless = changed(lambda clip: {"frames": clip["frames"]})
    with pytest.raises(SettingError, match="gives frames; expected video_id and start as well"):
        trainer().validate(task, loader(nameless, 4), verbose=False)


def test_what_is_no_predictor_is_refused() -> None:
    module: Any = nn.Conv2d(3, 3, 1)
    with pytest.raises(TypeError, match=r"predictor is a Conv2d; expected .*models\.Predictor"):
        ReconstructionTask(module)


def test_a_loaded_predictor_is_trained_as_its_network() -> None:
    loaded = VideoPredictor(AnyNetwork())
    with pytest.raises(NetworkError, match=r"expected its network, .*load\(path\)\.network"):
        trainer().fit(ReconstructionTask(loaded), loader(moving_squares(4), 4))
    assert isinstance(loaded.network, AnyNetwork)
    trainer().fit(ReconstructionTask(loaded.network), loader(moving_squares(4), 4))
