"""Real runs that are killed, stopped by signals, or cannot write, and what they leave."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from same_checkpoints import require_same
from wandb_file import read_run

from vidpred.storage.checkpoint import read_checkpoint

pytestmark = pytest.mark.slow

ENVIRONMENT = {**os.environ, "WANDB_MODE": "offline", "COLUMNS": "200"}
BATCHES = 120
FIRST_SAVED = 4  # as `RunCheckpoints` has it below
CONFIGURATION = """
model:
  init_args:
    generator_optimizer: {class_path: torch.optim.Adam, init_args: {lr: 0.001}}
    discriminator_optimizer: {class_path: torch.optim.Adam, init_args: {lr: 0.001}}
    generator_lr_scheduler:
      class_path: torch.optim.lr_scheduler.CosineAnnealingLR
      init_args: {T_max: 50}
    discriminator_lr_scheduler:
      class_path: torch.optim.lr_scheduler.StepLR
      init_args: {step_size: 7, gamma: 0.9}
    generator_accumulate_batches: 3
    discriminator_accumulate_batches: 2
trainer:
  max_epochs: 3
  log_every_n_steps: 1
  val_check_interval: 25
  enable_progress_bar: false
  accelerator: cpu
  callbacks:
    - class_path: vidpred.callbacks.WeightAverage
      init_args: {decay: 0.99}
    - class_path: vidpred.callbacks.FrameQuality
    - class_path: vidpred.callbacks.Pictures
    - class_path: pytorch_lightning.callbacks.ModelCheckpoint
      init_args: {monitor: val/selection, mode: max, filename: best, enable_version_counter: false}
    - class_path: vidpred.callbacks.RunCheckpoints
      init_args: {every_n_batches: 4}
    - class_path: vidpred.callbacks.InterruptCheckpoint
data:
  init_args:
    batch_size: 4
    samples_per_epoch: 160
    num_workers: 1
    max_val_videos: 2
"""


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory, toy_root: Path) -> Callable[..., list[str]]:
    configuration = tmp_path_factory.mktemp("configuration") / "small.yaml"
    configuration.write_text(CONFIGURATION)

    def make(run: Path, *arguments: str) -> list[str]:
        return [
            *(sys.executable, "-m", "vidpred", "fit"),
            *("-c", "experiment/adv_gdl.yaml", "-c", str(configuration)),
            *(f"--data.root={toy_root}", f"--run_dir={run}", "--resume=auto", *arguments),
        ]

    return make


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, command: Callable[..., list[str]]) -> Path:
    """A run that nothing has broken off."""
    run = tmp_path_factory.mktemp("whole") / "run"
    status, told = run_to_end(command(run))
    assert status == 0, told
    return run


def start(arguments: list[str], **options: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        arguments,
        **{"env": ENVIRONMENT, "stderr": subprocess.PIPE, "text": True, **options},
        start_new_session=True,
    )


def run_to_end(arguments: list[str], **options: object) -> tuple[int, str]:
    process = start(arguments, **options)
    _, told = process.communicate(timeout=400)
    return process.returncode, told


def wait_for_batch(process: "subprocess.Popen[str]", run: Path, batch: int) -> None:
    """Wait until a batch is logged, by looking at the curves as they grow."""
    deadline = time.monotonic() + 240
    position = 0
    while True:
        curves = run / "metrics.csv"
        if curves.exists():
            lines = curves.read_text().splitlines()
            position = lines[0].split(",").index("step") if lines else 0
            steps = [row[position] for row in (line.split(",") for line in lines[1:]) if row]
            if any(step.isdecimal() and int(step) >= batch for step in steps[-1:]):
                return
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.002)


def last(run: Path) -> Path:
    return run / "checkpoints" / "last.ckpt"


def test_five_kills_change_nothing(
    tmp_path: Path, whole: Path, command: Callable[..., list[str]]
) -> None:
    killed = tmp_path / "killed"
    seed = int(os.environ.get("VIDPRED_KILL_SEED", time.time_ns() % 1000))
    batches = sorted(random.Random(seed).sample(range(1, BATCHES), 5))
    print(f"VIDPRED_KILL_SEED={seed}: killed at the batches {batches}")
    for batch in batches:
        process = start(command(killed))
        wait_for_batch(process, killed, batch)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    status, told = run_to_end(command(killed))
    assert status == 0, told
    assert read_checkpoint(last(killed))["vidpred"]["batches_seen"] == BATCHES
    require_same(last(whole), last(killed))
    require_same(whole / "checkpoints" / "best.ckpt", killed / "checkpoints" / "best.ckpt")
    assert (killed / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
    # One run, but for parts of which nothing was saved: the try after them began anew.
    steps: dict[str, set[int]] = defaultdict(set)
    for path in killed.glob("wandb/*/run-*.wandb"):
        steps[path.stem] |= {step for step, _ in read_run(path).series("train/loss_g")}
    *lost, kept = sorted(steps.values(), key=len)
    assert kept == {*range(1, BATCHES + 1)}
    assert all(max(part, default=0) <= FIRST_SAVED + 4 for part in lost)


@pytest.mark.parametrize(
    ("number", "to_all"),
    [
        (signal.SIGTERM, False),
        (signal.SIGTERM, True),
        (signal.SIGUSR1, False),
        (signal.SIGHUP, True),
    ],
)
def test_the_end_of_a_job_is_waited_for_between_two_batches(
    number: signal.Signals,
    to_all: bool,
    tmp_path: Path,
    whole: Path,
    command: Callable[..., list[str]],
) -> None:
    stopped = tmp_path / "stopped"
    queue = tmp_path / "bin" / "scontrol"
    queue.parent.mkdir()
    queue.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path / "queued"}\n')
    queue.chmod(0o755)
    slurm = {
        **{"SLURM_JOB_ID": "17", "SLURM_NTASKS": "1", "SLURM_JOB_NAME": "train"},
        **{"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"},
        "PATH": f"{queue.parent}:{os.environ['PATH']}",
    }
    for batch in (7, 60):
        process = start(command(stopped), env={**ENVIRONMENT, **slurm})
        wait_for_batch(process, stopped, batch)
        (os.killpg if to_all else os.kill)(process.pid, number)
        _, told = process.communicate(timeout=100)
        assert process.returncode == 128 + number, told
        assert "Traceback" not in told
        saved = stopped / "checkpoints" / "interrupted.ckpt"
        assert f"--ckpt-path {saved}" in told
        assert batch <= read_checkpoint(saved)["vidpred"]["batches_seen"] <= batch + 5
    queued = (tmp_path / "queued").read_text() if (tmp_path / "queued").exists() else ""
    assert queued == ("requeue 17\n" * 2 if number == signal.SIGUSR1 else "")
    assert run_to_end(command(stopped))[0] == 0
    require_same(last(whole), last(stopped))
    assert (stopped / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()


@pytest.mark.parametrize("to_all", [False, True])
def test_two_processes_end_at_the_same_batch(
    to_all: bool, tmp_path: Path, command: Callable[..., list[str]]
) -> None:
    run = tmp_path / "run"
    two = (
        *("--trainer.devices=2", "--trainer.strategy=ddp", "--wandb.enabled=false"),
        "--data.samples_per_epoch=320",
    )
    process = start(command(run, *two))
    wait_for_batch(process, run, 7)
    (os.killpg if to_all else os.kill)(process.pid, signal.SIGTERM)
    _, told = process.communicate(timeout=100)
    assert process.returncode == 128 + signal.SIGTERM, told
    assert "Traceback" not in told
    saved = read_checkpoint(run / "checkpoints" / "interrupted.ckpt")
    assert 7 <= saved["vidpred"]["batches_seen"] < BATCHES
    status, told = run_to_end(command(run, *two))
    assert status == 0, told
    assert read_checkpoint(last(run))["vidpred"]["batches_seen"] == BATCHES


def test_ctrl_c_twice_stops_at_once(tmp_path: Path, command: Callable[..., list[str]]) -> None:
    run = tmp_path / "run"
    # A batch that takes long.
    large = ("--data.batch_size=256", "--data.samples_per_epoch=4096")
    process = start(command(run, *large, "--trainer.val_check_interval=1.0"))
    wait_for_batch(process, run, 5)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert "once more stops at once" in told
    assert read_checkpoint(last(run))["vidpred"]["batches_seen"] >= 4


def test_a_limit_on_files_leaves_the_checkpoint_before(
    tmp_path: Path, command: Callable[..., list[str]]
) -> None:
    run = tmp_path / "run"
    status, told = run_to_end(command(run, "--trainer.max_epochs=1", "--wandb.enabled=false"))
    assert status == 0, told
    before = {path: path.read_bytes() for path in (run / "checkpoints").iterdir()}

    def limit() -> None:
        # A checkpoint is larger; what workers share is a file too, of 8 MB.
        resource.setrlimit(resource.RLIMIT_FSIZE, (10 << 20, 10 << 20))

    assert all(len(content) > 10 << 20 for content in before.values())
    status, told = run_to_end(command(run, "--wandb.enabled=false"), preexec_fn=limit)
    assert status == 2, told
    assert "no space left" in told
    assert "Traceback" not in told
    assert before == {path: path.read_bytes() for path in (run / "checkpoints").iterdir()}
    status, told = run_to_end(command(run, "--wandb.enabled=false"))
    assert status == 0, told


def test_two_processes_do_not_train_in_one_folder(
    tmp_path: Path, command: Callable[..., list[str]]
) -> None:
    run = tmp_path / "run"
    process = start(command(run, "--wandb.enabled=false"))
    wait_for_batch(process, run, 1)
    os.kill(process.pid, signal.SIGSTOP)
    status, told = run_to_end(command(run, "--wandb.enabled=false"))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert status == 2
    assert "another process trains in" in told
    status, told = run_to_end(command(run, "--wandb.enabled=false"))
    assert status == 0, told
