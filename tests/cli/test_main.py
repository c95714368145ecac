import subprocess
import sys
from pathlib import Path

import pytest
import torch

import vidpred
from vidpred.cli.common import with_dashes, with_underscores
from vidpred.cli.configuration_parser import resolve_configurations
from vidpred.cli.main import main
from vidpred.errors import VidpredError
from vidpred.storage.checkpoint import read_checkpoint

FIT = ["fit", "-c", "experiment/l2.yaml", "--wandb.enabled=false"]

STOPS_EARLY = (
    "--trainer.callbacks+={'class_path': 'pytorch_lightning.callbacks.EarlyStopping', "
    "'init_args': {'monitor': 'val/none'}}"
)

BEST_TWICE = (
    "--trainer.callbacks+={'class_path': 'pytorch_lightning.callbacks.ModelCheckpoint', "
    "'init_args': {'monitor': 'val/selection', 'mode': 'max', 'save_top_k': 3}}"
)


@pytest.fixture
def with_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A current folder with the data folder of `FIT`, so that a mistake is the only one."""
    monkeypatch.chdir(tmp_path)
    Path("data/ucf101").mkdir(parents=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-c", "experiment/none.yaml"], "no configuration experiment/none.yaml"),
        (["--data.root=/no/such/folder"], "/no/such/folder: there is no such folder"),
        (["--model.predictor.name=huge"], "huge"),
        (["--model.loss.lp_weight=-1"], "lp_weight"),
        (["--model.loss.lp_weight=nan"], "lp_weight"),
        (["--model.nonsense=1"], "nonsense"),
        (["--data.horizon=0"], "horizon"),
        (["--data.batch_size=0"], "batch_size"),
        (["--trainer.max_epoch=1"], "max_epoch"),
        (["--ckpt_path=none.ckpt"], "none.ckpt: no such checkpoint"),
    ],
)
@pytest.mark.usefixtures("with_data")
def test_mistakes_are_told_in_a_sentence(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*FIT, *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--trainer.val_check_interval=100", "`val_check_interval` (100) must be less than"),
        ("--trainer.gradient_clip_algorithm=norms", "gradient_clip_algorithm"),
        (STOPS_EARLY, "Early stopping conditioned on metric `val/none` which is not available"),
        (BEST_TWICE, "Found more than one stateful callback of type `ModelCheckpoint`"),
    ],
)
def test_what_lightning_refuses_is_told_in_a_sentence(
    option: str, message: str, toy_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ("--data.batch_size=4", "--data.samples_per_epoch=8", "--data.num_workers=0")
    small += ("--trainer.limit_val_batches=1",)
    run = (f"--data.root={toy_root}", f"--run_dir={tmp_path}", "--wandb.enabled=false")
    assert main([*FIT, *small, *run, option]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


@pytest.mark.usefixtures("with_data")
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


@pytest.mark.parametrize("split", ["val", "test"])
def test_scoring_needs_weights(split: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", f"--split={split}", *FIT[1:]]) == 2
    assert "needs weights to score; expected --ckpt-path" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["-c", "--ckpt_path", "--ckpt-path", "--config"])
def test_test_has_one_meaning(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", key, "x.yaml"]) == 2
    expected = f"vidpred validate {key} x.yaml --split test"
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (["--data.batch_sise=4"], "batch_size"),
        (["--trainer.max_epoch=4"], "trainer.max_epochs"),
        (["--model.generater=small"], "generator"),
        (["--modle.x=3"], "model.x"),
        (["--model.predictor.contxt=3"], "context_frames"),
        (["--runn-dir=x"], "run_dir"),
        (["--data=vidpred.data.UCF101DataModul"], "UCF101DataModule"),
        (["-c", "experiment/adv_gld.yaml"], "experiment/adv_gdl.yaml"),
    ],
)
@pytest.mark.usefixtures("with_data")
def test_an_unknown_key_names_the_nearest_known_one(
    arguments: list[str], nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*FIT, *arguments]) == 2
    assert f"(did you mean {nearest}?)" in capsys.readouterr().err


def test_options_are_spelled_with_dashes_or_underscores() -> None:
    assert with_dashes(["test", "--no_baselines", "a_b", "--value_range=x_y", "--", "--a_b"]) == [
        *("test", "--no-baselines", "a_b", "--value-range=x_y", "--", "--a_b")
    ]
    assert with_underscores(["--run-dir=a-b", "-c", "x-y.yaml", "--ckpt-path", "z-z"]) == [
        *("--run_dir=a-b", "-c", "x-y.yaml", "--ckpt_path", "z-z")
    ]


@pytest.mark.parametrize("batches", ["0", "-3"])
def test_a_quickstart_without_training_is_refused(
    batches: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["quickstart", "--batches", batches]) == 2
    assert f"--batches is {batches}" in capsys.readouterr().err


def test_the_list_of_experiments_says_what_is_refined(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit"]) == 2
    (line,) = (x for x in capsys.readouterr().err.splitlines() if "experiment/flow_refiner.y" in x)
    assert line.endswith("Optical flow that a network refines pixel by pixel")


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
    with pytest.raises(ValueError, match="invalid literal"):
        main(["quickstart"])

    def refusing(arguments: object) -> int:
        return len(list(zip([1], [], strict=True)))

    monkeypatch.setattr("vidpred.cli.quickstart.run_quickstart", refusing)
    with pytest.raises(ValueError, match="shorter than"):
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
            *(*FIT, "--model.predictor=tiny.yaml", "--run_dir=run", f"--data.root={toy_root}"),
            *("--data.context_frames=3", "--data.batch_size=2", "--data.num_workers=0"),
            *("--trainer.limit_train_batches=1", "--trainer.limit_val_batches=1"),
            *("--trainer.max_epochs=1", "--trainer.accelerator=cpu"),
        ]
    )
    assert status == 0
    predictor = vidpred.load("run/checkpoints/last.ckpt")
    assert predictor.size_multiple == 2
    assert predictor(torch.rand(1, 3, 3, 9, 9), 2).shape == (1, 2, 3, 9, 9)


def fit_once(toy_root: Path, run: Path, *arguments: str) -> int:
    return main(
        [
            *(*FIT, *arguments, f"--run_dir={run}", f"--data.root={toy_root}"),
            *("--data.batch_size=2", "--data.num_workers=0", "--trainer.accelerator=cpu"),
            *("--trainer.limit_train_batches=1", "--trainer.limit_val_batches=1"),
            *("--trainer.max_epochs=1", "--trainer.enable_progress_bar=false"),
        ]
    )


@pytest.mark.parametrize(
    "options",
    [
        ["--data.eval_horizon=1"],
        ["--model.predictor.context_frames=1", "--data.context_frames=1"],
    ],
)
def test_one_frame_is_enough(options: list[str], tmp_path: Path, toy_root: Path) -> None:
    assert fit_once(toy_root, tmp_path / "run", *options) == 0
    names = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert names == {"best.ckpt", "last.ckpt", "batch_00000001.ckpt"}


@pytest.mark.parametrize(
    ("options", "quick"),
    [
        ([], True),
        (["--data.patch_size=null", "--data.resize=[32,32]"], False),
        (["--data.color=gray", "--model.predictor.channels=1"], False),
    ],
)
def test_what_follows_takes_the_frames_of_the_run(
    options: list[str],
    quick: bool,
    tmp_path: Path,
    toy_root: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Protocol quick shows color frames at the size they have."""
    run = tmp_path / "run"
    with caplog.at_level("INFO"):
        assert fit_once(toy_root, run, *options) == 0
    scored = f"{run}/checkpoints/best.ckpt"
    test = f"vidpred test {scored} --root {toy_root} --protocol quick"
    validate = f"vidpred validate -c {run}/config.yaml --ckpt-path {scored} --split test"
    assert f"next: {test if quick else validate}" in caplog.text


def test_a_training_without_a_validation_says_so(
    tmp_path: Path, toy_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Lightning's warning of a metric that was not logged would be an error here."""
    run = tmp_path / "run"
    with caplog.at_level("INFO"):
        assert fit_once(toy_root, run, "--trainer.check_val_every_n_epoch=2") == 0
    last = run / "checkpoints" / "last.ckpt"
    assert last.is_file()
    assert f"no best.ckpt, as no validation ran; the latest weights: {last}" in caplog.text
    assert "--trainer.val_check_interval N" in caplog.text


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_run_needs_a_folder_that_can_be_written(
    place: str, tmp_path: Path, toy_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert fit_once(toy_root, tmp_path / place) == 2
    assert "choose another folder with --run-dir" in capsys.readouterr().err


@pytest.mark.slow
def test_the_latest_checkpoint_is_found_or_refused(
    tmp_path: Path, toy_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert fit_once(toy_root, run, "--ckpt_path=last") == 2
    assert "to resume from" in capsys.readouterr().err
    assert fit_once(toy_root, run) == 0
    # The saved configuration knows its folder.
    again = ["fit", "-c", str(run / "config.yaml"), "--ckpt_path=last", "--trainer.max_epochs=2"]
    assert main(again) == 0
    saved = ["-c", str(run / "config.yaml")]
    assert read_checkpoint(run / "checkpoints" / "last.ckpt")["vidpred"]["batches_seen"] == 2
    assert main(["validate", "--split=test", *saved, "--ckpt-path=last"]) == 0
    assert {"test_config.yaml", "test_metrics.json"} <= {path.name for path in run.iterdir()}
    capsys.readouterr()
    assert main(["validate", *saved, "--ckpt_path=last"]) == 0
    assert "val: mean over" in capsys.readouterr().out
    assert (run / "val_metrics.json").is_file()
    # What a run began from is not part of its configuration.
    assert main(["validate", "--split", "test", *saved]) == 2


def test_an_error_in_validation_leaves_a_checkpoint(
    tmp_path: Path, toy_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a fault in a callback")

    monkeypatch.setattr("vidpred.callbacks.FrameQuality.finish", broken)
    with pytest.raises(RuntimeError, match="a fault"):
        fit_once(toy_root, tmp_path / "run")
    assert (tmp_path / "run" / "checkpoints" / "interrupted.ckpt").is_file()


@pytest.mark.slow
def test_a_network_of_ones_own_is_found_here(tmp_path: Path, toy_root: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from vidpred.models import MultiScaleGenerator\n\n\n"
        "class Mine(MultiScaleGenerator):\n"
        "    def __init__(self, *, context_frames: int = 4) -> None:\n"
        "        from vidpred.models import GeneratorScale\n\n"
        "        scale = GeneratorScale((4,), (3, 3))\n"
        "        super().__init__([scale], context_frames=context_frames)\n\n"
        "    def config(self) -> dict[str, int]:\n"
        "        return {'context_frames': self.context_frames}\n\n"
        "    @classmethod\n"
        "    def from_config(cls, config: dict[str, int]) -> 'Mine':\n"
        "        return cls(**config)\n"
    )
    script = Path(sys.executable).with_name("vidpred")
    arguments = ["--model.predictor=mine.Mine", f"--data.root={toy_root}", "--run_dir=run"]
    quick = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=1", "--data.num_workers=0"]
    done = subprocess.run(
        [str(script), *FIT, *arguments, *quick], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "this run's folder is run" in done.stderr
    following = f"vidpred test run/checkpoints/best.ckpt --root {toy_root} --protocol quick"
    assert f"next: {following} --module mine" in done.stderr
    tested = subprocess.run(
        [str(script), *following.split()[1:], "--module", "mine"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert tested.returncode == 0, tested.stderr


def test_divergence_is_told_and_kept_apart(
    tmp_path: Path, toy_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    options = ["--model.optimizer.init_args.lr=1e30", "--trainer.limit_train_batches=8"]
    root = f"--data.root={toy_root}"
    end = ["--data.num_workers=0", "--trainer.accelerator=cpu", f"--run_dir={run}", root]
    assert main([*FIT, *options, *end]) == 2
    assert "lp_loss at scale" in capsys.readouterr().err
    assert {path.name for path in (run / "checkpoints").iterdir()} == {
        "diverged.ckpt",
        "diverged_batch.pt",
    }


def test_a_wrong_path_leaves_nothing_behind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    caplog.set_level("INFO")
    assert main(["fit", "-c", "experiment/l2.yaml", "--data.root=/none", f"--run_dir={run}"]) == 2
    assert not run.exists()
    assert "this run's folder" not in caplog.text
