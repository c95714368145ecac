"""Symptoms that validations show: worse than copying, brightness and colors that drift."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer
from torch import Tensor

from vidpred.callbacks import PredictionHealth
from vidpred.callbacks.prediction_health import PredictionSigns, _signs, _sums, symptoms
from vidpred.models import FlowRefiner, MultiScaleGenerator, SimVP
from vidpred.tasks import FlowRefinementTask, ReconstructionTask


def evaluation(pred: Tensor, target: Tensor, last: Tensor) -> Any:
    return {"context": last, "target": target, "pred": pred}


def said(task: Any = None, **signs: float) -> dict[str, str]:
    plain = {"error_ratio": 0.5, "brightness_drift": 0.0, "color_drift": 0.0}
    found = symptoms(PredictionSigns(**{**plain, **signs}), task)
    return {name: text for name, text in found.items() if text}


def named(**signs: float) -> list[str]:
    return list(said(**signs))


def test_each_symptom_has_its_sign() -> None:
    assert named() == []
    assert named(error_ratio=1.01) == ["worse than copying"]
    assert named(brightness_drift=-0.03) == ["brightness drifts"]
    assert named(color_drift=0.03) == ["colors drift"]
    assert named(brightness_drift=0.019, color_drift=-0.019) == []


def test_only_options_are_named_that_the_task_has() -> None:
    by_scale = ReconstructionTask(MultiScaleGenerator.from_preset("small"))
    (text,) = said(by_scale, color_drift=0.03).values()
    assert text.endswith(
        "; lower the learning rate, or raise model.unrolled_steps so that training unrolls several "
        "steps"
    )
    (text,) = said(ReconstructionTask(SimVP(context_frames=4)), brightness_drift=0.03).values()
    assert "model.horizon" in text
    (text,) = said(FlowRefinementTask(FlowRefiner()), brightness_drift=0.03).values()
    assert text.endswith("; lower the learning rate")


def test_signs_counted_by_hand() -> None:
    target = torch.full((2, 3, 3, 4, 4), 0.5)
    last = torch.full((2, 1, 3, 4, 4), 0.3)
    pred = target.clone()
    pred[:, 0] += 0.1  # squared error 0.01 where a copy has 0.04
    pred[:, -1] += torch.tensor([0.09, 0.03, 0.03]).view(3, 1, 1)
    signs = _signs(_sums(evaluation(pred, target, last)) / 2)
    assert signs.error_ratio == pytest.approx(0.25, abs=1e-5)
    assert signs.brightness_drift == pytest.approx(0.05, abs=1e-6)
    assert signs.color_drift == pytest.approx(0.04, abs=1e-6)


def test_grey_frames_have_no_color_to_drift() -> None:
    target = torch.full((1, 1, 1, 4, 4), 0.5)
    signs = _signs(_sums(evaluation(target + 0.1, target, target - 0.1)))
    assert signs.color_drift == pytest.approx(0.0, abs=1e-6)
    assert signs.error_ratio == pytest.approx(1.0, abs=1e-5)


class Task:
    """What `finish` asks of a task."""

    batches_seen = 0


def validate(
    health: PredictionHealth, trainer: Trainer, offset: float, batches_seen: int = 600
) -> None:
    target = torch.full((2, 2, 3, 4, 4), 0.5)
    health.start("val", trainer)
    health.watch("val", trainer, evaluation(target + offset, target, target - 0.2), 0, 0)
    task: Any = Task()
    task.batches_seen = batches_seen
    health.finish("val", trainer, task)


def test_a_training_that_has_hardly_begun_is_not_warned_of(tmp_path: Path) -> None:
    """Warnings are errors in tests: `vidpred quickstart --batches 60` is well."""
    from pytorch_lightning.trainer.states import TrainerFn

    trainer = Trainer(accelerator="cpu", logger=False, default_root_dir=tmp_path)
    trainer.state.fn = TrainerFn.FITTING
    health = PredictionHealth()
    for batches in (10, 20, 30, 599):
        validate(health, trainer, 0.3, batches)
    assert not (tmp_path / "health.jsonl").exists()
    validate(health, trainer, 0.3, 600)
    validate(health, trainer, 0.3, 800)
    with pytest.warns(UserWarning, match="for 3 validations predictions were"):
        validate(health, trainer, 0.3, 1000)


def test_what_lasts_is_reported_once_and_again_when_it_returns(tmp_path: Path) -> None:
    from pytorch_lightning.trainer.states import TrainerFn

    trainer = Trainer(accelerator="cpu", logger=False, default_root_dir=tmp_path)
    trainer.state.fn = TrainerFn.FITTING
    health = PredictionHealth(patience=2)
    validate(health, trainer, 0.1)
    again = PredictionHealth(patience=2)
    again.load_state_dict(health.state_dict())
    with pytest.warns(UserWarning, match="brighter than the truth by 10.0%"):
        validate(again, trainer, 0.1)
    validate(again, trainer, 0.1)  # said already
    validate(again, trainer, 0.0)
    validate(again, trainer, 0.1)
    with pytest.warns(UserWarning, match="for 2 validations predictions were brighter"):
        validate(again, trainer, 0.1)
    lines = (tmp_path / "health.jsonl").read_text().splitlines()
    assert [json.loads(line)["symptom"] for line in lines] == ["brightness drifts"] * 2
