"""The command line of each training, and when one is done."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from vidpred.benchmark import Benchmark, Budget, Experiment, load_benchmark
from vidpred.benchmark.sweep import sweep_configuration, sweep_yaml
from vidpred.benchmark.trainings import (
    Training,
    checkpoint_of,
    fit_command,
    is_done,
    train_missing,
    trainings,
)
from vidpred.cli.main import _parser
from vidpred.errors import BenchmarkError, VidpredError

OUTPUT = Path("runs/mine")


@pytest.fixture
def benchmark() -> Benchmark:
    return load_benchmark("mathieu2016")


def words_of(benchmark: Benchmark, row: str) -> list[str]:
    (found,) = [r for r in benchmark.experiments if r.name == row]
    return fit_command(benchmark, Training(found, 7), OUTPUT, ["--trainer.devices=2"])


def test_every_row_gets_as_many_clips_for_a_generator_step(benchmark: Benchmark) -> None:
    benchmark = replace(benchmark, budget=Budget(batches=100, batch_size=8, validations=4))
    for row, size in (("l2", 8), ("adv_gdl", 16)):
        words = words_of(benchmark, row)
        assert f"--data.batch_size={size}" in words
        assert f"--data.samples_per_epoch={25 * size}" in words
        assert {"--trainer.max_epochs=4", "--seed_everything=7", "--resume=auto"} <= set(words)
        assert words[-1] == "--trainer.devices=2"


def test_minutes_are_counted_by_a_clock(benchmark: Benchmark) -> None:
    words = words_of(replace(benchmark, budget=Budget(minutes=1.5)), "l2")
    assert "--trainer.max_epochs=-1" in words
    assert "--trainer.callbacks.init_args.minutes=1.5" in words
    assert not [word for word in words if "samples_per_epoch" in word]


def test_options_of_a_row_come_after_those_of_all(benchmark: Benchmark) -> None:
    options = {"model.lr_scheduler.total_steps": "${batches}", "data.patch_size": [16, 32]}
    row = Experiment("l2", name="l2", options=options, files=["model/adam.yaml"])
    benchmark = replace(
        benchmark, experiments=[row], options={"data.patch_size": 64, "wandb.enabled": False}
    )
    words = words_of(benchmark, "l2")
    assert words[1:5] == ["-c", "experiment/l2.yaml", "-c", "model/adam.yaml"]
    assert "--model.lr_scheduler.total_steps=10000" in words
    assert "--data.patch_size=[16, 32]" in words
    assert "--data.patch_size=64" not in words
    assert "--wandb.enabled=false" in words
    with pytest.raises(BenchmarkError, match="asks for the batches of the budget"):
        words_of(replace(benchmark, budget=Budget(minutes=1)), "l2")


def test_seeds_come_one_after_the_other_and_a_row_may_have_its_own(benchmark: Benchmark) -> None:
    rows = [Experiment("l2", name="l2"), Experiment("l1", name="l1", seeds=[2, 5])]
    names = [t.name for t in trainings(replace(benchmark, experiments=rows, seeds=[1, 2]))]
    assert names == ["l2-seed1", "l2-seed2", "l1-seed2", "l1-seed5"]


@pytest.fixture
def _small_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read files that hold no weights."""
    monkeypatch.setattr(
        "vidpred.benchmark.trainings.read_checkpoint",
        lambda path: torch.load(path, weights_only=True),
    )


def write_checkpoint(path: Path, *, batches: int, seconds: float, **more: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    clock = {"TrainingClock": {"seconds": seconds}}
    seen = {"format": 3, "batches_seen": batches}
    torch.save({"vidpred": seen, "callbacks": clock, **more}, path)


@pytest.mark.usefixtures("_small_checkpoints")
def test_a_training_is_done_when_its_budget_is_used_up(
    benchmark: Benchmark, tmp_path: Path
) -> None:
    training = trainings(benchmark)[0]
    assert not is_done(benchmark, training, tmp_path)
    write_checkpoint(checkpoint_of(tmp_path, training), batches=9, seconds=59.0)
    for budget, done in (
        (Budget(batches=9), True),
        (Budget(batches=10), False),
        (Budget(minutes=1), False),
        (Budget(minutes=0.5), True),
    ):
        assert is_done(replace(benchmark, budget=budget), training, tmp_path) is done
    with pytest.raises(BenchmarkError, match="was trained for 9 batches, more than the budget"):
        is_done(replace(benchmark, budget=Budget(batches=8)), training, tmp_path)


def test_nothing_is_trained_when_one_row_is_refused(benchmark: Benchmark, tmp_path: Path) -> None:
    said: list[str] = []

    def check(command: object) -> dict[str, Any]:
        if "experiment/adv.yaml" in str(command):
            raise VidpredError("no such key")
        return {}

    with pytest.raises(BenchmarkError, match="row adv: no such key"):
        train_missing(benchmark, trainings(benchmark), tmp_path, check=check, say=said.append)
    assert said == []


@pytest.mark.usefixtures("_small_checkpoints")
def test_a_training_of_another_configuration_is_refused(
    benchmark: Benchmark, tmp_path: Path
) -> None:
    training = trainings(benchmark)[0]
    benchmark = replace(benchmark, budget=Budget(batches=9))
    now = {"data": {"init_args": {"patch_size": 64, "root": "there"}}, "run_dir": "runs/a"}
    before = {"data": {"init_args": {"patch_size": 64, "root": "here"}}, "run_dir": None}
    path = checkpoint_of(tmp_path, training)
    for patch_size in (64, 32):
        before["data"]["init_args"]["patch_size"] = patch_size  # type: ignore[index]
        write_checkpoint(path, batches=9, seconds=1.0, vidpred_configuration=before)
        if patch_size == 64:
            assert train_missing(benchmark, [training], tmp_path, check=lambda _: now) == 0
            continue
        with pytest.raises(BenchmarkError, match=r"patch_size 32, now 64.*choose another --output"):
            train_missing(benchmark, [training], tmp_path, check=lambda _: now)


def test_a_sweep_has_a_training_for_each_agent(benchmark: Benchmark) -> None:
    sweep = sweep_configuration(benchmark, "mathieu2016", "runs/ours", ["--batches=20"])
    text = sweep_yaml(sweep)
    assert yaml.safe_load(text) == sweep
    assert "vidpred benchmark mathieu2016 --output=runs/ours --batches=20" in text
    names = sweep["parameters"]["trainings"]["values"]
    assert names == [training.name for training in trainings(benchmark)]
    # What an agent makes of it: ${program}, then each parameter of one cell as --name=value.
    own = [word for word in sweep["command"] if not word.startswith("$")]
    parsed = _parser().parse_args([*own, f"--trainings={names[3]}"])
    assert (parsed.file, parsed.trainings, parsed.train_only) == ("mathieu2016", [names[3]], True)
    assert (parsed.batches, parsed.output) == (20, Path("runs/ours"))
