"""What a command line goes on from, and what it refuses to."""

import shutil
from pathlib import Path

import pytest
import torch

from vidpred.cli.main import main
from vidpred.storage.checkpoint import read_checkpoint


def fit(run: Path | None, root: Path, *arguments: str) -> int:
    return main(
        [
            *("fit", "-c", "experiment/l2.yaml", f"--data.root={root}"),
            *("--data.batch_size=4", "--data.samples_per_epoch=8", "--data.num_workers=0"),
            *("--data.max_val_videos=1", "--wandb.enabled=false", "--trainer.max_epochs=1"),
            *("--trainer.enable_progress_bar=false", "--trainer.accelerator=cpu"),
            *(() if run is None else (f"--run_dir={run}",)),
            *arguments,
        ]
    )


def contents(run: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in run.rglob("*") if path.is_file()}


@pytest.fixture
def run(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, toy_root: Path) -> Path:
    """A copy of a run of one epoch, which is made once."""
    finished = tmp_path_factory.getbasetemp() / "finished_run"
    if not finished.exists():
        assert fit(finished, toy_root) == 0
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_resume_auto_begins_and_goes_on(
    tmp_path: Path, toy_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.csv").write_text("step,train/loss_g\n1,17.25\n")  # killed before it could save
    assert fit(run, toy_root, "--resume=auto") == 0
    assert "17.25" not in (run / "metrics.csv").read_text()
    assert "17.25" in (run / "metrics.previous.csv").read_text()
    assert read_checkpoint(run / "checkpoints" / "last.ckpt")["vidpred"]["batches_seen"] == 2
    caplog.set_level("INFO")
    again = ("--resume=auto", "--trainer.max_epochs=2", "--model.optimizer.init_args.lr=0.01")
    assert fit(run, toy_root, *again) == 0
    assert read_checkpoint(run / "checkpoints" / "last.ckpt")["vidpred"]["batches_seen"] == 4
    (said,) = (text for text in caplog.messages if text.startswith("changed since the checkpoint"))
    assert sorted(said.partition(": ")[2].split("; ")) == [
        "model.init_args.optimizer.init_args.lr 0.02 -> 0.01",
        "trainer.max_epochs 1 -> 2",
    ]


def test_a_damaged_checkpoint_is_passed_over(
    run: Path, toy_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run / "checkpoints"
    before = read_checkpoint(folder / "last.ckpt")
    damaged = folder / "batch_00000009.ckpt"
    damaged.write_bytes((folder / "last.ckpt").read_bytes()[:5000])
    with pytest.warns(UserWarning, match=r"batch_00000009.ckpt: damaged.*\n.*one before"):
        assert fit(run, toy_root, "--resume=auto", "--trainer.max_epochs=2") == 0
    assert read_checkpoint(folder / "last.ckpt")["global_step"] > before["global_step"]
    for path in folder.iterdir():
        path.write_bytes(b"nothing")
    assert fit(run, toy_root, "--resume=auto") == 2
    message = capsys.readouterr().err
    assert "no checkpoint can be used" in message
    assert "batch_00000009.ckpt" in message


def test_weights_alone_are_nothing_to_resume_from(
    run: Path, toy_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run / "checkpoints"
    weights = folder / "weights.ckpt"
    checkpoint = read_checkpoint(folder / "last.ckpt")
    # As `ModelCheckpoint(save_weights_only=True)` leaves them out.
    for state in ("optimizer_states", "lr_schedulers", "callbacks"):
        checkpoint.pop(state)
    torch.save(checkpoint, weights)
    assert fit(run, toy_root, f"--ckpt-path={weights}") == 2
    message = capsys.readouterr().err
    assert "weights.ckpt: holds weights alone, from which no training can resume" in message
    with pytest.warns(UserWarning, match=r"weights alone.*\n.*one before"):
        assert fit(run, toy_root, "--resume=auto", "--trainer.max_epochs=2") == 0
    assert read_checkpoint(folder / "last.ckpt")["global_step"] > checkpoint["global_step"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("--data.batch_size=2", "batch_size was 4, is 2"),
        ("--seed_everything=7", "seed was 1, is 7"),
        ("--trainer.limit_train_batches=1", "limit_train_batches was 1.0, is 1"),
        ("--data.split=2", "train_videos was 4 (names"),
    ],
)
def test_other_samples_are_refused_unless_accepted(
    change: str,
    message: str,
    run: Path,
    toy_root: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    files = contents(run)
    assert fit(run, toy_root, "--resume=auto", change) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "--accept-changes true" in error
    assert "Traceback" not in error
    assert contents(run) == files
    if "batch_size" in change:
        caplog.set_level("INFO")
        more = ("--accept_changes=true", "--trainer.max_epochs=2")
        assert fit(run, toy_root, "--resume=auto", change, *more) == 0
        assert message in caplog.text
        assert "; accepted" in caplog.text


@pytest.mark.filterwarnings("ignore:health at batch")
def test_the_best_of_other_validation_clips_does_not_compete(
    run: Path, toy_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = run / "checkpoints"
    best = read_checkpoint(folder / "best.ckpt")
    (key,) = (name for name in best["callbacks"] if "val/selection" in name)
    # A score that no validation reaches.
    last = torch.load(folder / "last.ckpt", weights_only=True)
    state = last["callbacks"][key]
    state["best_model_score"] = state["kth_value"] = torch.tensor(99.0)
    state["best_k_models"] = dict.fromkeys(state["best_k_models"], torch.tensor(99.0))
    torch.save(last, folder / "last.ckpt")
    caplog.set_level("INFO")
    more = ("--resume=auto", "--trainer.max_epochs=2")
    other = ("--data.max_val_videos=2", "--accept_changes=true")
    assert fit(run, toy_root, *more, *other) == 0
    assert "chosen among those that follow" in caplog.text
    assert read_checkpoint(folder / "best.ckpt")["vidpred"]["batches_seen"] == 4
    kept = read_checkpoint(folder / "best_of_other_clips.ckpt")
    assert kept["vidpred"]["batches_seen"] == best["vidpred"]["batches_seen"]
    # And the next one does not replace it.
    more = ("--resume=auto", "--trainer.max_epochs=3", "--data.max_val_videos=3")
    assert fit(run, toy_root, *more, "--accept_changes=true") == 0
    kept = read_checkpoint(folder / "best_of_other_clips.ckpt")
    assert kept["vidpred"]["batches_seen"] == best["vidpred"]["batches_seen"]
    second = read_checkpoint(folder / "best_of_other_clips_2.ckpt")
    assert second["vidpred"]["batches_seen"] == 4


@pytest.mark.filterwarnings("ignore:health at batch")
def test_a_threshold_that_was_reached_ends_a_run_for_good(
    tmp_path: Path, toy_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "stop.yaml"
    path.write_text(
        "trainer:\n  callbacks+:\n"
        "    - class_path: pytorch_lightning.callbacks.EarlyStopping\n"
        "      init_args: {monitor: val/selection, mode: max, stopping_threshold: 1, patience: 9}\n"
    )
    run = tmp_path / "run"
    for _ in range(2):
        caplog.clear()
        caplog.set_level("INFO")
        assert fit(run, toy_root, "-c", str(path), "--trainer.max_epochs=9", "--resume=auto") == 0
        seen = read_checkpoint(run / "checkpoints/last.ckpt")["vidpred"]["batches_seen"]
        assert seen == 2
    assert "this run has ended: Stopping threshold reached" in caplog.text


@pytest.mark.filterwarnings("ignore:health at batch")
def test_a_run_that_stopped_early_stays_so(
    tmp_path: Path, toy_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def stop_early(patience: int) -> tuple[str, ...]:
        path = tmp_path / f"stop_early_{patience}.yaml"
        path.write_text(
            "trainer:\n  callbacks+:\n"
            "    - class_path: pytorch_lightning.callbacks.EarlyStopping\n"
            "      init_args: {monitor: val/selection, mode: max, min_delta: 50, "
            f"patience: {patience}}}\n"
        )
        return ("-c", str(path), "--trainer.max_epochs=9", "--resume=auto")

    run, seen = tmp_path / "run", []
    for patience in (0, 0, 2):
        caplog.clear()
        caplog.set_level("INFO")
        assert fit(run, toy_root, *stop_early(patience)) == 0
        seen.append(read_checkpoint(run / "checkpoints/last.ckpt")["vidpred"]["batches_seen"])
        if len(seen) == 2:
            assert "this run has ended: val/selection did not improve in 1 validation" in (
                caplog.text
            )
    # Two batches an epoch: the first validation sets the best, the next ones are no better.
    assert seen == [4, 4, 6]


def test_a_video_that_is_gone_or_changed_is_noticed(
    run: Path, toy_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(shutil.copytree(toy_root, tmp_path / "moved"))
    video = max(root.glob("UCF-101/*/*_g03_*.avi"))
    content = video.read_bytes()
    video.write_bytes(content + bytes(10))
    assert fit(run, root, "--resume=auto") == 2
    assert "sizes" in capsys.readouterr().err
    video.unlink()
    assert fit(run, root, "--resume=auto") == 2
    assert "train_videos was 4 (names" in capsys.readouterr().err
    video.write_bytes(content)  # the same data in another place
    assert fit(run, root, "--resume=auto") == 0


def test_a_checkpoint_of_a_later_version_is_refused(
    run: Path, toy_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run / "checkpoints" / "last.ckpt"
    checkpoint = read_checkpoint(path)
    checkpoint["vidpred"]["version"] = "99.1.0"
    later = run / "later.ckpt"
    torch.save(checkpoint, later)
    assert fit(run, toy_root, f"--ckpt_path={later}") == 2
    message = capsys.readouterr().err
    assert "vidpred 99.1.0" in message
    assert "pip install" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume=auto", "--ckpt_path=last"], "give one of them"),
        (["--resume=never"], '"resume"'),
        ([], "resume it (--resume auto)"),
    ],
)
def test_contradictions_are_refused(
    arguments: list[str],
    message: str,
    run: Path,
    toy_root: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert fit(run, toy_root, *arguments) == 2
    assert message in capsys.readouterr().err


def test_resume_needs_to_know_the_run(
    toy_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert fit(None, toy_root, "--resume=auto") == 2
    assert "--run-dir DIR" in capsys.readouterr().err
    assert fit(tmp_path / "none", toy_root, "--ckpt_path=last") == 2
    assert "holds no checkpoint to resume from" in capsys.readouterr().err
    assert main(["validate", "--resume=auto", "-c", "experiment/l2.yaml"]) == 2
    assert "--ckpt-path FILE" in capsys.readouterr().err
