"""`vidpred ablate`: equal budgets, a table, and going on where it stopped."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from test_runs import ENVIRONMENT

from vidpred.benchmark import load_benchmark
from vidpred.benchmark.trainings import fit_command, trainings
from vidpred.cli.ablate import ROWS, as_benchmark
from vidpred.cli.main import _parser, main
from vidpred.data.moving_shapes import write_moving_shapes
from vidpred.storage.checkpoint import read_checkpoint


def words_of(*options: str) -> dict[str, list[str]]:
    """Command lines of the trainings by name."""
    arguments = _parser().parse_args(["ablate", "--root=data", *options])
    benchmark = as_benchmark(arguments)
    return {
        each.name: fit_command(benchmark, each, arguments.output, arguments.fit_options)
        for each in trainings(benchmark)
    }


def test_its_rows_are_those_of_the_benchmark() -> None:
    benchmark = load_benchmark("mathieu2016")
    assert tuple(row.name for row in benchmark.experiments) == ROWS
    defaults = as_benchmark(_parser().parse_args(["ablate", "--root=data/ucf101"]))
    assert defaults == benchmark


def test_every_row_gets_as_many_clips_for_a_generator_step() -> None:
    words_by_name = words_of(
        "--batches=100", "--validations=4", "--seeds=7", "--", "--trainer.devices=2"
    )
    for row, size in (("l2", 8), ("adv_gdl", 16)):
        words = words_by_name[f"{row}-seed7"]
        assert f"--data.batch_size={size}" in words
        assert f"--data.samples_per_epoch={25 * size}" in words
        assert {"--trainer.max_epochs=4", "--seed_everything=7", "--resume=auto"} <= set(words)
        assert words[-1] == "--trainer.devices=2"


@pytest.mark.parametrize(
    ("options", "files"),
    [
        ({"row": "single_scale_l2"}, ["model/paper_single_scale.yaml", "model/adam.yaml"]),
        ({"row": "gdl_l1"}, ["model/paper.yaml", "model/adam.yaml"]),
        ({"row": "adv"}, ["model/paper_adversarial.yaml", "model/adam_adversarial.yaml"]),
    ],
)
def test_width_and_optimizer_are_files_that_are_there(
    options: dict[str, str], files: list[str]
) -> None:
    from vidpred.resources import packaged_configurations

    words = words_of("--width=paper", "--optimizer=adam")[f"{options['row']}-seed1"]
    given = [words[k + 1] for k, word in enumerate(words) if word == "-c"]
    assert given == [f"experiment/{options['row']}.yaml", *files]
    assert all((packaged_configurations() / name).is_file() for name in given)


def test_batches_have_to_be_shared_evenly(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ablate", "--root=data", "--batches=10", "--validations=4"]) == 2
    assert "cannot be shared evenly" in capsys.readouterr().err


@pytest.mark.slow
def test_the_rows_are_trained_once_scored_together_and_put_into_a_table(tmp_path: Path) -> None:
    root = write_moving_shapes(
        tmp_path / "shapes", num_groups=3, clips_per_group=1, num_frames=16, height=48, width=64
    )
    command = [
        *(sys.executable, "-m", "vidpred", "ablate", f"--root={root}"),
        *(f"--output={tmp_path / 'ablation'}", "--rows", "l2", "adv", "--seeds", "1", "2"),
        *("--batches=4", "--validations=2", "--batch_size=4", "--protocol=quick"),
        *("--", "--data.num_workers=0", "--trainer.accelerator=cpu", "--wandb.enabled=false"),
    ]
    first = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert first.returncode == 0, first.stderr
    assert "vidpred ablate is deprecated" in first.stderr
    runs = tmp_path / "ablation" / "runs"
    for cell in ("l2-seed1", "l2-seed2", "adv-seed1", "adv-seed2"):
        last = runs / cell / "checkpoints" / "last.ckpt"
        assert read_checkpoint(last)["vidpred"]["batches_seen"] == 4
    assert (tmp_path / "ablation" / "ablation.md").read_text() == first.stdout
    for row, seeds in (("l2", 2), ("adv", 2), ("copy_last", 1)):
        assert f"| {row} | {seeds} |" in first.stdout
    content = json.loads((tmp_path / "ablation" / "ablation.json").read_text())
    assert content["facts"]["batches"] == 4

    # A training that was lost is made again; the others are left alone.
    lost = runs / "adv-seed2" / "checkpoints"
    kept = (runs / "l2-seed1" / "checkpoints" / "last.ckpt").stat().st_mtime
    for file in lost.iterdir():
        file.unlink()
    again = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert again.returncode == 0, again.stderr
    assert (runs / "l2-seed1" / "checkpoints" / "last.ckpt").stat().st_mtime == kept
    assert (lost / "last.ckpt").is_file()
    assert again.stdout == first.stdout  # trained alike, to the bit
