"""Runs in two processes over gloo, started by Lightning and by torchrun."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_runs import ENVIRONMENT, adversarial, command, run_to_end

from vidpred.storage.checkpoint import read_checkpoint

pytestmark = pytest.mark.slow

TWO = ("--trainer.devices=2", "--trainer.strategy=ddp", "--trainer.max_epochs=1")


def rows(run: Path, column: str) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row.get(column)]


def test_two_processes_make_one_run_and_evaluate_each_clip_once(
    toy_root: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    # Three clips on two processes: one has more than the other.
    three = ("--data.max_val_videos=3", "--data.max_test_videos=3", "--wandb.enabled=false")
    done = run_to_end(adversarial(toy_root, run, *three, *TWO))
    assert done.returncode == 0, done.stderr
    checkpoint = run / "checkpoints" / "last.ckpt"
    # 40 samples an epoch are 5 batches of 4 on each of two processes.
    assert read_checkpoint(checkpoint)["vidpred"]["batches_seen"] == 5
    (validation,) = rows(run, "val/clips")
    assert float(validation["val/clips"]) == 3
    assert [float(row["step"]) for row in rows(run, "train/loss_g")] == [1, 2, 3, 4, 5]

    scores = {}
    for devices in (1, 2):
        folder = tmp_path / f"test{devices}"
        test = command(
            toy_root, folder, "validate", "--split=test", "-c", str(run / "config.yaml"), *three
        )
        done = run_to_end([*test, f"--trainer.devices={devices}", f"--ckpt_path={checkpoint}"])
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("copy last") == done.stdout.count("model") > 0  # told once
        scores[devices] = json.loads((folder / "test_metrics.json").read_text())
    assert scores[1]["clips"] == scores[2]["clips"] == 3
    for predictor, areas in scores[1]["scores"].items():
        for area, metrics in areas.items():
            for name, score in metrics.items():
                other = scores[2]["scores"][predictor][area][name]
                assert other["clips"] == score["clips"]
                assert other["per_frame"] == pytest.approx(score["per_frame"], rel=1e-5)

    done = run_to_end(
        adversarial(toy_root, run, *three, *TWO[:2], "--trainer.max_epochs=2", "--ckpt_path=last")
    )
    assert done.returncode == 0, done.stderr
    assert read_checkpoint(checkpoint)["vidpred"]["batches_seen"] == 10


def test_torchrun_starts_it_too(toy_root: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = adversarial(toy_root, run, *TWO, "--wandb.enabled=false")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*torchrun, "-m", "vidpred", *arguments[3:]],
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, "OMP_NUM_THREADS": "1"},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert read_checkpoint(run / "checkpoints" / "last.ckpt")["vidpred"]["batches_seen"] == 5


def test_fewer_clips_than_processes_are_refused(toy_root: Path, tmp_path: Path) -> None:
    arguments = adversarial(toy_root, tmp_path / "run", *TWO, "--data.max_val_videos=1")
    done = run_to_end([*arguments, "--wandb.enabled=false"])
    assert done.returncode != 0
    assert "1 clips to evaluate on 2 processes" in done.stderr
    assert "Traceback" not in done.stderr
    assert os.environ.get("LOCAL_RANK") is None


def test_processes_resume_with_what_each_had_accumulated(toy_root: Path, tmp_path: Path) -> None:
    """Between two steps every process has gradients of its own clips alone."""
    callbacks = tmp_path / "callbacks.yaml"
    callbacks.write_text(
        "trainer:\n  callbacks:\n"
        "    - class_path: vidpred.callbacks.RunCheckpoints\n"
        "      init_args: {every_n_batches: 1, keep: 30}\n"
    )
    options = (*TWO, "--wandb.enabled=false", "--trainer.accumulate_grad_batches=2")

    def reconstruction(run: Path, *more: str) -> list[str]:
        arguments = ("-c", "experiment/l2.yaml", "-c", str(callbacks), *options, *more)
        return command(toy_root, run, "fit", *arguments)

    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    done = run_to_end(reconstruction(whole))
    assert done.returncode == 0, done.stderr
    shutil.copytree(whole, resumed)
    third = resumed / "checkpoints" / "batch_00000003.ckpt"
    kept = read_checkpoint(third)["vidpred_resume"]["gradients"]
    assert len(kept) == 2
    assert any(not torch.equal(kept[0][name], kept[1][name]) for name in kept[0])
    done = run_to_end(reconstruction(resumed, f"--ckpt_path={third}"))
    assert done.returncode == 0, done.stderr
    ends = [read_checkpoint(run / "checkpoints" / "last.ckpt") for run in (whole, resumed)]
    assert ends[0]["vidpred"]["batches_seen"] == ends[1]["vidpred"]["batches_seen"] == 5
    for name, value in ends[0]["state_dict"].items():
        assert torch.equal(value, ends[1]["state_dict"][name]), name


def test_means_over_clips_are_those_of_one_process(toy_root: Path, tmp_path: Path) -> None:
    """Three clips in two processes: the mean of the processes' means is another number."""
    run = tmp_path / "run"
    three = ("--data.max_val_videos=3", "--wandb.enabled=false", "--data.eval_horizon=2")
    fit = command(toy_root, run, "fit", "-c", "experiment/mixture.yaml", *three)
    done = run_to_end([*fit, "--trainer.max_epochs=1", "--trainer.limit_train_batches=1"])
    assert done.returncode == 0, done.stderr
    found = []
    for devices in (1, 2):
        folder = tmp_path / f"val{devices}"
        validate = command(toy_root, folder, "validate", "-c", str(run / "config.yaml"), *three)
        checkpoint = f"--ckpt_path={run / 'checkpoints' / 'last.ckpt'}"
        more = ("--data.eval_batch_size=1", f"--trainer.devices={devices}")
        done = run_to_end([*validate, checkpoint, *more])
        assert done.returncode == 0, done.stderr
        (row,) = rows(folder, "val/bits_per_dim")
        found.append(float(row["val/bits_per_dim"]))
    assert found[1] == pytest.approx(found[0], rel=1e-5)
