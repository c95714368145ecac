"""The pages on extending are run as they are: their files are written, then used."""

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vidpred.cli.main import main

DOCS = Path(__file__).parents[2] / "docs"
MODULES = ("my_networks", "my_tasks", "my_critic", "my_losses", "my_data", "my_metrics")
QUICK = (
    *("--data.batch_size=2", "--data.num_workers=0", "--wandb.enabled=false"),
    *("--trainer.max_epochs=1", "--trainer.limit_train_batches=1", "--trainer.limit_val_batches=1"),
    *("--trainer.num_sanity_val_steps=0", "--trainer.enable_progress_bar=false"),
    "--trainer.accelerator=cpu",
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in MODULES:
        sys.modules.pop(name, None)


def write_files(page: str, here: Path) -> list[str]:
    """Write the blocks that name a file in their first line; give the Python blocks that do not."""
    text = (DOCS / page).read_text(encoding="utf-8")
    rest: list[str] = []
    for kind, block in re.findall(r"^```(python|yaml)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        named = re.match(r"# (\w+\.(?:py|yaml))\n", block)
        if named is not None:
            (here / named[1]).write_text(block)
        elif kind == "python":
            rest.append(block)
    return rest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "configuration"),
    [
        ("own-network.md", "my_network.yaml"),
        ("own-task.md", "my_task.yaml"),
        ("own-loss.md", "my_loss.yaml"),
    ],
)
def test_what_a_page_defines_is_trained(
    page: str, configuration: str, here: Path, toy_root: Path
) -> None:
    for use in write_files(page, here):
        exec(compile(use, page, "exec"), {})  # with assertions of its own
    run = (f"--data.root={toy_root}", "--run-dir=run", *QUICK)
    assert main(["fit", "-c", configuration, *run]) == 0
    assert (here / "run/checkpoints/last.ckpt").is_file()


def two_optimizers(here: Path, toy_root: Path) -> list[str]:
    """Write the page's task with a critic, and give the command that trains by it."""
    write_files("own-task.md", here)
    model = ("-c", "my_task.yaml", "--model=my_critic.CriticTask")
    return ["fit", *model, f"--data.root={toy_root}", "--run-dir=run", *QUICK]


def test_a_task_with_two_optimizers_keeps_its_checkpoints(here: Path, toy_root: Path) -> None:
    command = two_optimizers(here, toy_root)
    assert main(command) == 0
    assert main([*command, "--resume=auto", "--trainer.max_epochs=2"]) == 0
    assert sorted(path.name for path in (here / "run/checkpoints").iterdir()) == [
        *("batch_00000001.ckpt", "batch_00000002.ckpt", "best.ckpt", "last.ckpt")
    ]


@pytest.mark.filterwarnings("ignore:stopped within a batch")
def test_a_step_that_does_not_count_is_refused(
    here: Path, toy_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = two_optimizers(here, toy_root)
    task = here / "my_critic.py"
    task.write_text(task.read_text().replace("self.batches_seen += 1", "pass"))
    assert main(command) == 2
    assert "CriticTask.training_step left batches_seen at 0; expected 1" in capsys.readouterr().err


@pytest.mark.slow
def test_a_network_of_one_s_own_takes_the_place_of_an_experiment_s(
    here: Path, toy_root: Path
) -> None:
    write_files("own-network.md", here)
    files = ("-c", "experiment/l2.yaml", "-c", "my_network.yaml")
    assert main(["fit", *files, f"--data.root={toy_root}", "--run-dir=run", *QUICK]) == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The number of training batches")
@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
def test_a_plain_trainer_of_lightning_trains_as_well(here: Path, toy_root: Path) -> None:
    (code,) = write_files("train.md", here)
    exec(compile(code.replace('"toy"', repr(str(toy_root))), "train.md", "exec"), {})
    assert list(here.rglob("checkpoints/*.ckpt"))
    assert (here / "stop_early.yaml").is_file()


def test_a_metric_of_one_s_own_is_averaged(
    here: Path, long_toy_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use, on_predictions = write_files("own-metric.md", here)
    exec(compile(use, "own-metric.md", "exec"), {})  # with assertions of its own
    video = min(long_toy_root.rglob("*.avi"))
    on_predictions = on_predictions.replace("my.mp4", str(video))
    exec(compile(on_predictions, "own-metric.md", "exec"), {})
    assert "dtype=torch.float64" in capsys.readouterr().out


def test_methods_are_scored_in_python(
    here: Path, long_toy_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = write_files("evaluate.md", here)
    exec(compile(code.replace('"toy"', repr(str(long_toy_root))), "evaluate.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in printed]
    assert names == ["copy_last", "linear", "optical_flow", "optical_flow_dup", "small"]
    assert (here / "results/quick/small.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["quick", "clean-subset"])
def test_predictions_of_another_program_are_scored(
    protocol: str, here: Path, long_toy_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page's program predicts as many frames as the protocol has: 4 or 8."""
    _, program = write_files("evaluate.md", here)
    assert (
        main(["data", "clips", "truth", f"--protocol={protocol}", f"--root={long_toy_root}"]) == 0
    )
    exec(compile(program, "evaluate.md", "exec"), {})
    scored = ("--pred", "my_predictions", "--target", "truth", "--protocol", protocol)
    assert main(["score", *scored]) == 0, capsys.readouterr().err


def test_a_data_set_of_one_s_own_lists_its_splits(here: Path) -> None:
    write_files("own-data.md", here)
    people = here / "people"
    people.mkdir()
    for person in (1, 16, 17, 20, 25):
        (people / f"person{person:02}_walking.avi").touch()
    module = importlib.import_module("my_data")
    data = module.PeopleDataModule(root=str(people))
    groups = {
        split: [video.group for video in data.list_split(split).videos]
        for split in ("train", "val", "test")
    }
    assert groups == {
        "train": ["person01", "person16"],
        "val": ["person17"],
        "test": ["person20", "person25"],
    }


@pytest.mark.slow
def test_a_data_set_of_one_s_own_is_taken_by_fit(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_files("own-data.md", here)
    data = ("--data", "my_data.PeopleDataModule", "--data.root", "people")
    assert main(["fit", "-c", "experiment/l2.yaml", *data, "--print-config"]) == 0
    assert "class_path: my_data.PeopleDataModule" in capsys.readouterr().out


def test_the_first_hour_writes_only_what_it_says(here: Path) -> None:
    """The video that it predicts is one that `vidpred data toy` writes."""
    text = (DOCS / "first-hour.md").read_text(encoding="utf-8")
    (video,) = set(re.findall(r"toy/\S+\.avi", text))
    assert main(["data", "toy", "toy", "--seed", "7", "--groups", "3", "--frames", "8"]) == 0
    assert (here / video).is_file()


@pytest.mark.slow
def test_a_reader_s_own_network_is_a_row_of_the_benchmark(
    here: Path, long_toy_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two pages followed in an empty folder: one network file, one entry."""
    write_files("own-network.md", here)
    assert write_files("benchmark.md", here) == []
    quick = ("--batches=2", "--batch-size=2", "--seeds=1", "--rows", "my_network")
    words = ["benchmark", "my_benchmark.yaml", "--module=my_networks", *quick]
    options = [option for option in QUICK if "epochs" not in option and "limit" not in option]
    options = [option for option in options if "batch_size" not in option]
    assert main([*words, f"--root={long_toy_root}", "--", *options]) == 0
    assert "| my_network | 1 |" in capsys.readouterr().out
    assert (here / "runs/benchmark/mine/quick.html").is_file()
