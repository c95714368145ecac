"""`vidpred benchmark`: refusals at once, and a whole one that is killed and resumes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from same_checkpoints import require_same
from test_runs import ENVIRONMENT

from vidpred.cli.main import main
from vidpred.storage.checkpoint import read_checkpoint

SMALL = {
    "name": "small",
    "description": "Two rows of seconds.",
    "protocols": ["quick"],
    "budget": {"batches": 12, "batch_size": 4},
    "seeds": [1],
    "experiments": ["l2", {"experiment": "adv_gdl", "draws": 2}],
    "options": {
        "data.num_workers": 0,
        "data.patch_size": 32,
        "trainer.accelerator": "cpu",
        "trainer.enable_progress_bar": False,
        "trainer.num_sanity_val_steps": 0,
        "trainer.log_every_n_steps": 1,
        "wandb.enabled": False,
    },
    "claims": [{"better": "adv_gdl", "worse": "l2", "metric": "sharpness", "claim": "is sharper"}],
    "cost": {"seconds": 0.1},
}


def write(path: Path, root: Path, **changed: Any) -> Path:
    path.write_text(yaml.safe_dump({**SMALL, "data": {"root": str(root)}, **changed}))
    return path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rows", "adw"], "no experiment of mathieu2016 (did you mean adv?)"),
        (["--trainings", "l2-seed9"], "no training of mathieu2016 (did you mean l2-seed"),
        (["--protocol", "quik"], "did you mean quick?"),
        (["--batches", "10"], "cannot be shared evenly by 4 validations"),
        (["--root", "/no/such/folder"], "/no/such/folder"),
        (["--root=.", "--", "--data.batch_sice=3"], "row single_scale_l2"),
        (["--root=.", "--module=my_netwrks"], "--module my_netwrks"),
    ],
)
def test_mistakes_end_with_status_2_before_anything_is_trained(
    options: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data" / "ucf101"
    data.mkdir(parents=True)
    monkeypatch.setattr(
        "vidpred.benchmark.trainings.subprocess.run", lambda *_, **__: pytest.fail("trains")
    )
    assert main(["benchmark", "mathieu2016", *options]) == 2
    assert said in capsys.readouterr().err
    assert [*tmp_path.rglob("*")] == [data.parent, data]


def test_a_network_of_one_s_own_needs_its_module_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    # The class itself is one that can be built; what counts is where it is.
    (tmp_path / "nets_of_mine.py").write_text("from vidpred.models import SimVP as Mine\n")
    options = {"model.predictor.class_path": "nets_of_mine.Mine", **SMALL["options"]}
    rows = [{"experiment": "simvp", "options": options}]
    file = write(tmp_path / "mine.yaml", tmp_path, experiments=rows, claims=[])
    trained: list[object] = []
    monkeypatch.setattr(
        "vidpred.benchmark.trainings._fit", lambda *_: trained.append(_) or -signal.SIGINT
    )
    assert main(["benchmark", str(file)]) == 2
    assert "expected --module nets_of_mine" in capsys.readouterr().err
    assert not trained
    for given in ("--module=nets_of_mine", "--train-only"):
        main(["benchmark", str(file), given])
        assert trained
        trained.clear()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_any_point_it_resumes(tmp_path: Path, long_toy_root: Path) -> None:
    """Killed in the second training, and while rows are measured: as if nothing had been."""
    file = write(tmp_path / "small.yaml", long_toy_root, baselines=["copy_last"])
    whole, killed = (tmp_path / name / "output" for name in ("whole", "killed"))
    # So that something is there when the kill comes.
    often = ["--", "--trainer.callbacks+=vidpred.callbacks.RunCheckpoints"]
    often += ["--trainer.callbacks.init_args.every_n_batches=2"]

    def command(output: Path, *options: str) -> list[str]:
        start = [sys.executable, "-m", "vidpred", "benchmark", str(file)]
        return [*start, f"--output={output}", *options, *often]

    def finish(*words: str) -> str:
        done = subprocess.run(
            words, capture_output=True, text=True, env=ENVIRONMENT, check=False, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        assert "next: vidpred test" not in done.stderr  # the benchmark itself tests what it trains
        return done.stdout

    finish(*command(whole, "--train-only"))
    for awaited in ("runs/adv_gdl-seed1/checkpoints/last.ckpt", "cost"):
        process = subprocess.Popen(
            command(killed),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
            cwd=tmp_path,
        )
        deadline = time.monotonic() + 400
        while not (killed / awaited).exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)  # itself alone: its training has to end as well
        process.wait()
    text = finish(*command(killed))
    for row in ("l2", "adv_gdl"):
        last = Path("runs", f"{row}-seed1", "checkpoints", "last.ckpt")
        assert read_checkpoint(killed / last)["vidpred"]["batches_seen"] == 12
        require_same(whole / last, killed / last)
    rows = json.loads((killed / "benchmark.json").read_text())["rows"]
    assert rows.keys() == {"copy_last", "l2", "adv_gdl"}
    for name, facts in rows.items():
        assert facts["cost"]["frames_per_second"] > 0, name
    (training,) = rows["adv_gdl"]["trainings"]
    assert training["batches"] == 12
    assert training["clips_per_second"] == pytest.approx(12 * 8 / training["seconds"])
    assert text == (killed / "benchmark.md").read_text()
    assert "| is sharper | Sharpness |" in text
    assert (killed / "quick.html").is_file()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_budget_of_time_ends_a_training_and_is_not_begun_again(
    tmp_path: Path, long_toy_root: Path
) -> None:
    file = write(tmp_path / "timed.yaml", long_toy_root, experiments=["l2"], claims=[], cost=None)
    output = tmp_path / "timed"
    command = [sys.executable, "-m", "vidpred", "benchmark", str(file), f"--output={output}"]
    command += ["--minutes=0.05", "--train-only"]
    for _ in range(2):
        done = subprocess.run(
            command, capture_output=True, text=True, env=ENVIRONMENT, check=False, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
    assert "l2-seed1" not in done.stderr  # it was done
    last = read_checkpoint(output / "runs" / "l2-seed1" / "checkpoints" / "last.ckpt")
    assert 3.0 <= last["callbacks"]["TrainingClock"]["seconds"] < 60
    assert last["vidpred"]["batches_seen"] >= 1
