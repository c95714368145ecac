"""What is refused at once: nothing heavy is imported before the arguments are checked."""

import subprocess
import sys
from pathlib import Path

import pytest

import vidpred.data
from vidpred.cli.configuration_parser import resolve_configurations
from vidpred.cli.fit_refusals import READ_FROM, require_data_of_fit
from vidpred.cli.main import main
from vidpred.resources import read_yaml


def run_without_torch(*arguments: str) -> str:
    """Give what a command that is refused says, having imported nothing heavy."""
    code = (
        f"import sys; from vidpred.cli.main import main; status = main({list(arguments)}); "
        "sys.exit(99 if 'torch' in sys.modules else status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    return done.stderr


@pytest.mark.parametrize(
    "command", [["test"], ["data", "clips", "out", "--protocol", "quick"], ["probe", "gan.ckpt"]]
)
def test_a_missing_data_set_is_refused_without_torch(command: list[str]) -> None:
    said = run_without_torch(*command, "--root=not/there")
    assert "not/there: there is no such folder; expected the folder of a data set" in said


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "a.mp4", "--model", "none.ckpt"],
        ["export", "none.ckpt", "--output", "a.onnx"],
        ["test", "best.ckpt=a.mp4", "mine=none.ckpt", "--root", "."],
        ["probe", "none.ckpt", "--root", "."],
    ],
)
def test_a_missing_checkpoint_is_refused_without_torch(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.mp4").touch()
    assert "none.ckpt: no such checkpoint; expected a file of" in run_without_torch(*command)


@pytest.mark.parametrize(
    "command",
    [
        ["data", "doctor", "none"],
        ["data", "index", "none"],
        ["score", "--pred", "none", "--target", ".", "--protocol", "quick"],
        ["score", "--pred", ".", "--target", "none", "--protocol", "quick"],
    ],
)
def test_a_missing_folder_is_refused_without_torch(command: list[str]) -> None:
    assert "none: there is no such folder; expected a folder" in run_without_torch(*command)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["none.mp4"], "none.mp4: there is no such file"),
        (["none.mp4", "--output", "there.mp4"], "none.mp4: there is no such file"),
        (["a.mp4", "--output", "there.mp4"], "there.mp4: exists and is kept; --overwrite replaces"),
        (["a.mp4", "--output", "frame.png"], "frame.png: .png cannot be written; expected .mp4"),
        (["https://a.org/b.mp4"], "it is an address; expected a file: download it, or pipe it"),
        (["none.mp4", "gone.mp4"], "2 of 2 inputs could not be predicted"),
    ],
)
def test_what_cannot_be_predicted_is_refused_without_torch(
    options: list[str], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.mp4").touch()
    Path("there.mp4").touch()
    assert problem in run_without_torch("predict", *options)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["predictors"], "data/ucf101: no such folder, which protocol clean-ucf101 reads"),
        (["predictors", "--root", "none"], "none: no such folder, which protocol"),
        (["predictor"], "there is no benchmark 'predictor' (did you mean predictors?); expected"),
        (["none.yaml"], "none.yaml: there is no such file"),
        (["mine.yaml"], "of/mine: no such folder, which protocol quick reads"),
        (["mine.yaml", "--protocol=kth"], "data/ucf101: no such folder, which protocol kth reads"),
    ],
)
def test_a_benchmark_without_data_is_refused_without_torch(
    options: list[str], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("protocols: [{protocol: quick, root: of/mine}]\n")
    assert problem in run_without_torch("benchmark", *options)


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ([], "data/ucf101: there is no such folder; expected the folder of UCF101"),
        (["--data.root", "nowhere"], "nowhere: there is no such folder"),
        (["--data.init_args.root=nowhere"], "nowhere: there is no such folder"),
        (["--data", "data/video_folder.yaml"], "data/videos: there is no such folder; expected a"),
        (["--data=data/moving_mnist.yaml", "--data.digits=nowhere"], "by --data.digits FOLDER"),
        (["--data", "KTHDataModule", "--data.root", "a.txt"], "a.txt: it is a file; expected the"),
        (["-c", "mine.yaml"], "of/mine: there is no such folder"),
    ],
)
def test_missing_data_of_a_training_are_refused_without_torch(
    options: list[str], missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").touch()
    Path("mine.yaml").write_text("data: {init_args: {root: of/mine}}\n")
    assert missing in run_without_torch("fit", "-c", "experiment/l2.yaml", *options)


@pytest.mark.parametrize(
    "options",
    [
        ["-c", "experiment/l2.yaml", "--data.root", "."],
        ["-c", "experiment/quickstart.yaml"],
        ["-c", "experiment/l2.yaml", "--data", "my_data.PeopleDataModule", "--data.root=none"],
        ["-c", "broken.yaml"],
        ["-c", "data.yaml", "--data={bad", "--data.root"],
    ],
)
def test_data_that_are_there_rendered_or_unknown_are_left_to_the_command(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.yaml").write_bytes(b"data: [\xff")
    Path("data.yaml").write_text("data: [1]\n")
    require_data_of_fit(resolve_configurations([o for o in options if o != "broken.yaml"]))
    require_data_of_fit(["-c", "broken.yaml"])


def test_a_run_that_is_there_is_refused_without_torch(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/last.ckpt").touch()
    fit = ("fit", "-c", "experiment/l2.yaml", f"--data.root={tmp_path}")
    said = run_without_torch(*fit, f"--run-dir={tmp_path}")
    assert "holds the checkpoints of a run already; resume it (--resume auto)" in said


def test_options_before_their_file_are_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--data.batch_size=2", "-c", "experiment/l2.yaml", f"--data.root={tmp_path}")
    assert main(["fit", *options]) == 2
    said = capsys.readouterr().err
    assert "give the file of -c first, its class decides which options there are" in said


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("los", "{class_path: vidpred.losses.LpLoss, init_args: {p: 1}}", "(did you mean loss?)"),
        (
            "loss",
            "{class_path: my_losess.Mine}",
            "(did you mean my_losses?); expected a module of the current folder",
        ),
    ],
)
def test_a_wrong_loss_in_a_file_is_refused_with_what_is_meant(
    key: str,
    value: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_losses.py").touch()
    (tmp_path / "mine.yaml").write_text(
        "model:\n  class_path: vidpred.tasks.ReconstructionTask\n  init_args:\n    "
        f"{key}: {value}\n"
    )
    assert main(["fit", "-c", "experiment/l2.yaml", "-c", "mine.yaml", "--data.root=."]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_configuration_that_is_no_utf_8_is_named(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "é.yaml"
    path.write_text("# é\nseed_everything: 1\n", encoding=encoding)
    said = run_without_torch("fit", "-c", str(path), "--data.root=.")
    assert f"{path}: expected UTF-8 text" in said


def test_the_data_that_are_looked_for_are_those_of_the_package() -> None:
    for path, (option, _) in READ_FROM.items():
        data = getattr(vidpred.data, path.removeprefix("vidpred.data."))
        assert option in data.__dataclass_fields__


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["-c", "a.avi"], "a.avi: expected UTF-8 text"),
        (["--config=a.avi"], "a.avi: expected UTF-8 text"),
        (["-c", "best.ckpt"], "best.ckpt: is a checkpoint; give it with --ckpt-path"),
        (["-c", "twice.yaml"], "twice.yaml: not valid YAML: the key lr is there twice"),
        (["-c", "endless.yaml"], "endless.yaml: not valid YAML: the value of this anchor"),
        (["-c", "nothing.yaml"], "nothing.yaml: holds nothing; expected keys and values"),
        (["--config=list.yaml"], "list.yaml: holds a list; expected keys and values"),
        (["-c", "none"], "no configuration none, neither here nor in the package"),
        (["-c", ""], "-c is empty; expected a path"),
        (["-c", "experiment/l2.yaml", "--data.root="], "--data.root is empty; expected a path"),
        (["-c", "experiment/l2.yaml", "--run-dir", ""], "--run-dir is empty; expected a path"),
    ],
)
def test_what_is_no_configuration_or_empty_is_refused_without_torch(
    options: list[str], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.avi").write_bytes(b"RIFF\xff\xfe")
    Path("twice.yaml").write_text("model: {lr: 1}\ndata: {lr: 2, seed: 1, lr: 3}\n")
    Path("endless.yaml").write_text("a: &a [*a]\n")
    Path("nothing.yaml").write_text("# data:\n#   batch_size: 4\n")
    Path("list.yaml").write_text("- 1\n")
    assert problem in run_without_torch("fit", *options)


def test_a_key_that_an_anchor_brings_may_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "merged.yaml"
    path.write_text(
        "a: {b: &b {x: 1}}\nc:\n  d: &d {<<: *b, x: 2}\ne: {<<: *d, x: 3}\n1: i\n'1': s\n"
    )
    read = {"a": {"b": {"x": 1}}, "c": {"d": {"x": 2}}, "e": {"x": 3}, 1: "i", "1": "s"}
    assert read_yaml(path) == read


def test_a_closed_standard_input_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)  # as Python has it after `<&-`
    assert main(["predict", "-"]) == 2
    assert "-: the standard input is closed; expected a video in it" in capsys.readouterr().err


def test_seeds_that_no_training_takes_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for seed in ("-1", "4294967296"):
        with pytest.raises(SystemExit):
            main(["benchmark", "smoke", "--seeds", seed])
        assert f"'{seed}'; expected a whole number from 0 to 4294967295" in capsys.readouterr().err


def test_a_configuration_is_shown_without_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "-c", "experiment/l2.yaml", "--print-config"]) == 0
    assert "root: data/ucf101" in capsys.readouterr().out


def test_fit_alone_names_the_experiments_without_torch() -> None:
    said = run_without_torch("fit")
    assert "needs a configuration: vidpred fit -c FILE" in said
    assert 'experiment/l2.yaml                         Row "l2" of Mathieu' in said


@pytest.mark.parametrize("value", ["2026-13-45", "2020-02-31", '!!int "abc"'])
def test_values_that_yaml_cannot_make_are_refused(
    value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(f"x: {value}\n")
    for command in (
        ["fit", "-c", "experiment/l2.yaml", "-c", str(path), "--data.root=."],
        ["test", "--root=.", f"--protocol={path}"],
        ["benchmark", str(path), "--root=."],
    ):
        assert main(command) == 2
        error = capsys.readouterr().err
        assert f"{path}: " in error
        assert "YAML" in error


@pytest.mark.parametrize(
    ("command", "usage", "said"),
    [
        (["export", "small", "--horizn", "3"], "vidpred export", "(did you mean --horizon?)"),
        (["data", "doctor", ".", "--wrkers=2"], "vidpred data doctor", "(did you mean --workers?)"),
        (["compare", "a.json", "--qqqq"], "vidpred compare", "unrecognized arguments: --qqqq\n"),
    ],
)
def test_an_unknown_option_is_refused_by_its_command(
    command: list[str], usage: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        main(command)
    assert refused.value.code == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"usage: {usage}")
    assert said in shown
