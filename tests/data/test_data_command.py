import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from vidpred.cli.data import add_data_parser
from vidpred.data import UCF101DataModule
from vidpred.errors import DataError


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    add_data_parser(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["data", *words])
    status: int = arguments.run(arguments)
    return status


SMALL = ("--height=32", "--width=40", "--frames=6", "--groups=3", "--clips-per-group=1")


def test_toy_writes_the_set_and_prints_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "toy"
    assert run("toy", str(root), *SMALL, "--seed=3") == 0
    assert capsys.readouterr().out == f"{root}\n"
    data = UCF101DataModule(root, num_workers=0)
    data.setup("test")
    batches = list(data.test_dataloader())
    assert len(batches) == 4
    assert batches[0]["frames"].shape == (1, 6, 3, 32, 40)


def test_the_users_mistakes_are_data_errors(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="something else"):
        run("toy", str(tmp_path), "--overwrite")
    with pytest.raises(DataError, match="num_groups is 1"):
        run("toy", str(tmp_path / "toy"), "--groups=1")
    with pytest.raises(DataError, match="at least 16 x 16"):
        run("toy", str(tmp_path / "toy"), "--groups=3", "--height=4")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_parser_brings_no_torch() -> None:
    code = "import sys, vidpred.cli.data; print('torch' in sys.modules, 'av' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
