"""Whole processes on damaged data, and processes that are killed."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from damaged_tree import EVERY_DAMAGE, damage_every_way

from vidpred.data import UCF101DataModule, write_moving_shapes
from vidpred.data.index.video_index import VideoIndex
from vidpred.storage.checkpoint import read_checkpoint

MakeVideo = Callable[..., Path]

pytestmark = pytest.mark.slow


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four classes, 6 groups, 2 clips of 12 frames, 48 x 64: 32 of 48 videos are to train on."""
    return write_moving_shapes(tmp_path / "set", num_groups=6, num_frames=12, height=48, width=64)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "vidpred", *map(str, arguments)]


def fit(root: Path, run: Path, *arguments: object) -> list[str]:
    return command(
        *("fit", "-c", "experiment/adv_gdl.yaml", f"--data.root={root}", f"--run_dir={run}"),
        *("--data.batch_size=4", "--data.samples_per_epoch=80", "--data.num_workers=2"),
        *("--trainer.enable_progress_bar=false", "--trainer.log_every_n_steps=1"),
        *("--wandb.enabled=false", "--trainer.accelerator=cpu", *arguments),
    )


def environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "VIDPRED_CACHE": str(cache), "COLUMNS": "200"}


def finish(arguments: list[str], cache: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments,
        capture_output=True,
        text=True,
        env=environment(cache),
        timeout=400,
        check=False,
    )


def batches_learned(run: Path) -> list[int]:
    with (run / "metrics.csv").open(newline="") as file:
        return [int(row["step"]) for row in csv.DictReader(file) if row.get("train/loss_g")]


def test_a_tree_with_every_damage_is_diagnosed_and_trained_on(
    root: Path, tmp_path: Path, make_video: MakeVideo
) -> None:
    tree = damage_every_way(root, make_video)

    # Nobody asked the doctor: what breaks on the way is named, set aside and replaced.
    cache, run = tmp_path / "unasked", tmp_path / "unasked_run"
    done = finish(fit(root, run, "--trainer.max_epochs=2"), cache)
    assert done.returncode == 0, done.stderr
    assert batches_learned(run)[-1] == 40
    unusable = {tree.empty, tree.text, tree.cut, tree.scribbled}
    to_train_on = {video.path for video in UCF101DataModule(root).list_split("train").videos}
    with VideoIndex(root, cache=cache) as index:
        aside = {root / name: entry.source for name, entry in index.quarantined().items()}
    # A block takes every video once.
    assert aside.keys() == unusable & to_train_on
    assert aside[tree.scribbled] == "training"
    assert "left out of this draw, another video is taken" in done.stderr

    cache, run = tmp_path / "asked", tmp_path / "asked_run"
    report = tmp_path / "report.json"
    doctor = finish(command("data", "doctor", root, "--full", "--json", report), cache)
    assert doctor.returncode == 2
    assert "Traceback" not in doctor.stderr
    told = json.loads(report.read_text())
    assert {finding["kind"] for finding in told["findings"]} == EVERY_DAMAGE
    assert all(f"[{kind}]" in doctor.stdout for kind in EVERY_DAMAGE)
    assert {root / name for name in told["quarantine"]} == unusable
    done = finish(fit(root, run, "--trainer.max_epochs=2"), cache)
    assert done.returncode == 0, done.stderr
    assert batches_learned(run)[-1] == 40
    assert "are in quarantine and left out" in done.stderr


@pytest.mark.parametrize("victim", ["worker", "trainer"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_killed_run_goes_on(root: Path, tmp_path: Path, victim: str, seed: int) -> None:
    cache, run = tmp_path / "cache", tmp_path / "run"
    last = run / "checkpoints" / "last.ckpt"
    with (tmp_path / "log").open("w+") as log:
        process = subprocess.Popen(
            fit(root, run, "--trainer.max_epochs=1000"),
            env=environment(cache),
            stderr=log,
            start_new_session=True,
        )
        deadline = time.monotonic() + 200
        while not last.exists():
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(random.Random(seed).uniform(0, 3))
        if victim == "worker":
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            if not children.exists():
                pytest.skip("this system does not list the children of a process")
            os.kill(random.Random(seed).choice([*map(int, children.read_text().split())]), 9)
        else:
            process.kill()
        assert process.wait(timeout=60) != 0
        log.seek(0)
        told = log.read()
    if victim == "worker":
        assert "killed by signal" in told
    while _is_alive(process.pid):  # workers see that nobody needs them any more
        assert time.monotonic() < deadline
        time.sleep(0.2)

    epochs = read_checkpoint(last)["vidpred"]["batches_seen"] // 20 + 2
    again = fit(root, run, f"--trainer.max_epochs={epochs}", "--ckpt_path=last")
    done = finish(again, cache)
    assert done.returncode == 0, done.stderr
    assert "damaged" not in done.stderr  # of the index
    assert batches_learned(run)[-1] == 20 * epochs


def _is_alive(group: int) -> bool:
    try:
        os.killpg(group, signal.SIG_DFL)
    except ProcessLookupError:
        return False
    return True
