"""Whole runs in processes of their own: interrupted, resumed, on a full disk, from a wheel."""

import csv
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from wandb_file import find_run

import vidpred
from vidpred.storage.checkpoint import read_checkpoint

REPOSITORY = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "WANDB_MODE": "offline", "COLUMNS": "200"}

pytestmark = pytest.mark.slow


def command(toy_root: Path, run: Path, *arguments: str) -> list[str]:
    return [
        *(sys.executable, "-m", "vidpred", *arguments),
        f"--data.root={toy_root}",
        "--data.batch_size=4",
        "--data.samples_per_epoch=40",
        "--data.num_workers=1",
        f"--run_dir={run}",
        "--trainer.enable_progress_bar=false",
        "--trainer.log_every_n_steps=1",
        "--trainer.accelerator=cpu",
    ]


def adversarial(toy_root: Path, run: Path, *arguments: str) -> list[str]:
    return command(toy_root, run, "fit", "-c", "experiment/adv_gdl.yaml", *arguments)


def run_to_end(arguments: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        arguments, capture_output=True, text=True, env=ENVIRONMENT, timeout=300, **options
    )


def rows_with(path: Path, column: str) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row.get(column)]


def test_ctrl_c_leaves_a_checkpoint_from_which_training_goes_on(
    toy_root: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = adversarial(toy_root, run, "--wandb.enabled=false", "--trainer.max_epochs=1000")
    process = subprocess.Popen(
        arguments, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not (run / "checkpoints" / "last.ckpt").exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "Traceback" not in told
    saved = run / "checkpoints" / "interrupted.ckpt"
    assert f"--ckpt-path {saved}" in told
    seen = read_checkpoint(saved)["vidpred"]["batches_seen"]
    assert seen >= 10
    assert (run / "curves.html").is_file()
    assert (run / "metrics_tidy.csv").is_file()

    epochs = seen // 10 + 2
    resume = adversarial(toy_root, run, "--wandb.enabled=false", f"--trainer.max_epochs={epochs}")
    done = run_to_end([*resume, f"--ckpt_path={saved}"])
    assert done.returncode == 0, done.stderr
    steps = [int(row["step"]) for row in rows_with(run / "metrics.csv", "train/loss_g")]
    # One curve over both processes, on the axis of batches.
    assert steps[0] == 1
    assert steps[-1] > seen
    last = read_checkpoint(run / "checkpoints" / "last.ckpt")
    assert last["vidpred"]["batches_seen"] == steps[-1]


def test_a_run_is_tested_from_its_own_files(toy_root: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = run_to_end(adversarial(toy_root, run, "--trainer.max_epochs=1", "--wandb.detail=all"))
    assert done.returncode == 0, done.stderr
    require_logged_run(run)
    best = run / "checkpoints" / "best.ckpt"
    scoring = ("-c", str(run / "config.yaml"), f"--ckpt_path={best}")
    for split in ("test", "val"):
        validate = [sys.executable, "-m", "vidpred", "validate", f"--split={split}"]
        done = run_to_end([*validate, *scoring])
        assert done.returncode == 0, done.stderr
    assert (run / "test_metrics.json").is_file()
    assert (run / "config.yaml").is_file()
    with torch.no_grad():
        assert vidpred.load(best)(torch.rand(1, 4, 3, 48, 64), 2).shape == (1, 2, 3, 48, 64)

    other = command(toy_root, tmp_path / "x", "validate", "-c", "experiment/l2.yaml")
    overlay = ["-c", "model/paper.yaml", f"--ckpt_path={best}"]
    done = run_to_end([*other, *overlay])
    assert done.returncode == 2
    assert "another architecture" in done.stderr
    assert "Traceback" not in done.stderr


def require_logged_run(run: Path) -> None:
    """The offline run of W&B holds the configuration, the loss terms, the metrics and a video."""
    logged = find_run(run)
    assert logged.config["model"]["class_path"] == "vidpred.tasks.AdversarialTask"
    assert logged.config["data"]["init_args"]["batch_size"] == 4
    for term in ("lp_loss", "gradient_difference_loss", "adversarial_loss", "real_loss"):
        for scale in (8, 4, 2, 1):
            assert len(logged.series(f"train/{term}_scale_{scale}")) == 10
    for score in ("real_score_scale_1", "fake_score_scale_8"):
        assert len(logged.series(f"train/{score}")) == 10
    for metric in ("psnr", "ssim_moving_t+01", "sharpness_copy_last"):
        assert [step for step, _ in logged.series(f"val/{metric}")] == [10]
    ((_, video),) = logged.series("val/video_0/path")
    assert video in logged.files
    # A table of what the health monitor reported may be another one.
    (artifact,) = (found for found in logged.artifacts if found["type"] == "model")
    assert "best" in artifact["aliases"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 MB; making one takes root."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no small file system can be mounted here: {error}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_stops_with_a_sentence_and_keeps_what_was_saved(
    toy_root: Path, small_disk: Path
) -> None:
    run = small_disk / "run"
    first = run_to_end(
        adversarial(toy_root, run, "--wandb.enabled=false", "--trainer.max_epochs=1")
    )
    assert first.returncode == 0, first.stderr
    before = (run / "checkpoints" / "last.ckpt").read_bytes()
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        file.writelines(bytes(1 << 16) for _ in itertools.count())
    resume = adversarial(toy_root, run, "--wandb.enabled=false", "--trainer.max_epochs=3")
    done = run_to_end([*resume, f"--ckpt_path={run / 'checkpoints' / 'last.ckpt'}"])
    assert done.returncode == 2, done.stderr
    assert "no space left on the disk" in done.stderr
    assert "Traceback" not in done.stderr
    assert (run / "checkpoints" / "last.ckpt").read_bytes() == before


def test_a_wheel_works_away_from_a_checkout(toy_root: Path, tmp_path: Path) -> None:
    # Without `--wheel` the wheel is built of the source distribution, and not of the checkout.
    build = ["-m", "build", "--no-isolation", "--outdir", str(tmp_path)]
    subprocess.run(
        [sys.executable, *build, str(REPOSITORY)], check=True, capture_output=True, timeout=300
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert list(tmp_path.glob("vidpred-*.tar.gz"))
    site = tmp_path / "site"
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run([sys.executable, *install], check=True, capture_output=True, timeout=300)
    # The wheel holds vidpred alone, and the configurations inside it.
    assert {path.name for path in site.iterdir() if path.suffix != ".dist-info"} <= {
        "vidpred",
        "bin",
    }
    names = {path.relative_to(REPOSITORY) for path in (REPOSITORY / "configs").glob("**/*.yaml")}
    assert all((site / "vidpred" / name).is_file() for name in names)
    assert (site / "vidpred" / "kernels" / "kernels.c").is_file()

    arguments = command(
        *(toy_root, tmp_path / "run", "fit", "-c", "experiment/adv_gdl.yaml"),
        *("--trainer.max_epochs=1", "--wandb.enabled=false"),
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {**ENVIRONMENT, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [*arguments, "--trainer.limit_train_batches=1"],
        **{"capture_output": True, "text": True, "cwd": elsewhere, "env": environment},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    located = subprocess.run(
        [sys.executable, "-c", "import vidpred; vidpred.load('small'); print(vidpred.__file__)"],
        **{"capture_output": True, "text": True, "cwd": elsewhere, "env": environment},
        check=True,
    )
    assert Path(located.stdout.strip()).is_relative_to(site)
