import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import vidpred
from vidpred.cli.configurations import resolve_configurations
from vidpred.cli.main import main
from vidpred.errors import VidpredError

FIT = ["fit", "-c", "experiment/l2.yaml", "--wandb.enabled=false"]


@pytest.mark.parametrize("command", [[], ["fit"], ["test"], ["quickstart"], ["data", "toy"]])
def test_help_answers_at_once(command: list[str]) -> None:
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "vidpred", *command, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    # Two seconds on a busy machine; importing torch alone takes longer.
    assert time.perf_counter() - start < 2
    assert done.stdout.startswith("usage: vidpred")
    assert not done.stderr


def test_every_key_can_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--help-all"]) == 0
    assert "--trainer.max_epochs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-c", "experiment/none.yaml"], "no configuration experiment/none.yaml"),
        (["--data.root=/no/such/folder"], "/no/such/folder: there is no such folder"),
        (["--model.generator.name=huge"], "huge"),
        (["--model.loss.lp_weight=-1"], "lp_weight"),
        (["--model.loss.lp_weight=nan"], "lp_weight"),
        (["--model.nonsense=1"], "nonsense"),
        (["--data.horizon=0"], "horizon"),
        (["--data.batch_size=0"], "batch_size"),
        (["--trainer.max_epoch=1"], "max_epoch"),
        (["--ckpt_path=none.ckpt"], "none.ckpt: no such checkpoint"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*FIT, *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_keys_that_do_not_exist_in_a_file_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "typo.yaml"
    path.write_text("model:\n  init_args:\n    los: 1\n")
    assert main([*FIT, "-c", str(path)]) == 2
    assert "los" in capsys.readouterr().err
    path.write_text("model: [unclosed\n")
    assert main([*FIT, "-c", str(path)]) == 2
    assert "typo.yaml" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["test", "validate"])
def test_scoring_needs_weights(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, *FIT[1:]]) == 2
    assert "needs weights to score; expected --ckpt_path" in capsys.readouterr().err


@pytest.mark.parametrize("batches", ["0", "-3"])
def test_a_quickstart_without_training_is_refused(
    batches: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["quickstart", "--batches", batches]) == 2
    assert f"--batches is {batches}" in capsys.readouterr().err


def test_files_here_come_before_those_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    packaged = resolve_configurations(["fit", "-c", "experiment/l2.yaml"])[2]
    assert Path(packaged).is_file()
    assert resolve_configurations(["--config=configs/experiment/l2.yaml"]) == [
        f"--config={packaged}"
    ]
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/l2.yaml").write_text("{}")
    assert resolve_configurations(["-c", "experiment/l2.yaml"]) == ["-c", "experiment/l2.yaml"]
    with pytest.raises(VidpredError, match="expected a YAML file or one of"):
        resolve_configurations(["--model=other.yaml"])


def test_our_mistakes_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(arguments: object) -> int:
        return int("not a number")

    monkeypatch.setattr("vidpred.cli.quickstart.run_quickstart", broken)
    # argparse holds the function from before, so reach it through the parser's default.
    monkeypatch.setattr("vidpred.cli.main.quickstart.run_quickstart", broken)
    with pytest.raises(ValueError, match="invalid literal"):
        main(["quickstart"])


def test_a_run_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").write_bytes(b"weeks of work")
    assert main([*FIT, f"--run_dir={tmp_path}"]) == 2
    assert "holds the checkpoints of a run already" in capsys.readouterr().err
    assert (tmp_path / "checkpoints" / "last.ckpt").read_bytes() == b"weeks of work"


def test_tables_of_networks_are_configuration(
    tmp_path: Path, toy_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(
        "class_path: vidpred.models.MultiScaleGenerator\n"
        "init_args:\n"
        "  scales:\n"
        "    - {hidden: [4], kernels: [3, 3]}\n"
        "    - {hidden: [4, 8], kernels: [5, 3, 3]}\n"
        "  context_frames: 3\n"
    )
    status = main(
        [
            *(*FIT, "--model.generator=tiny.yaml", "--run_dir=run", f"--data.root={toy_root}"),
            *("--data.context_frames=3", "--data.batch_size=2", "--data.num_workers=0"),
            *("--trainer.limit_train_batches=1", "--trainer.limit_val_batches=1"),
            *("--trainer.max_epochs=1", "--trainer.accelerator=cpu"),
        ]
    )
    assert status == 0
    predictor = vidpred.load("run/checkpoints/last.ckpt")
    assert predictor.size_multiple == 2
    assert predictor(torch.rand(1, 3, 3, 9, 9), 2).shape == (1, 2, 3, 9, 9)
