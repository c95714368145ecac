"""The constraints of the job with the oldest dependencies."""

import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

TOOL = Path(__file__).parents[2] / "tools" / "oldest_dependencies.py"
PYPROJECT = """
[project]
name = "Some.Thing"
dependencies = ["torch>=2.11", "opencv-python-headless>=5", "jsonargparse[signatures]>=4.50"]

[project.optional-dependencies]
extra = ["onnxscript>=0.7.2", "Torch>=2.9", "ruff>=0.12"]
test = ["some-thing[extra]"]
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(TOOL), *arguments], capture_output=True, text=True, check=False
    )


def test_each_lower_bound_becomes_its_oldest_line_of_releases(tmp_path: Path) -> None:
    """Written by hand: the higher bound of two counts, extras and linters are left out."""
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    assert run(str(tmp_path / "pyproject.toml")).stdout.splitlines() == [
        "jsonargparse==4.50.*",
        "onnxscript==0.7.2.*",
        "opencv-python-headless==5.0.*",
        "torch==2.11.*",
    ]


def test_a_requirement_without_a_lower_bound_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "thing"\ndependencies = ["torch<3"]\n'
    )
    done = run(str(tmp_path / "pyproject.toml"))
    assert done.returncode != 0
    assert "torch<3 has 0 lower bounds; expected one, such as torch>=1.0" in done.stderr


@pytest.mark.parametrize("name", ["torch", "numpy", "pytorch-lightning"])
def test_our_own_constraints_allow_the_declared_bound(name: str) -> None:
    lines = [Requirement(line) for line in run().stdout.splitlines()]
    (found,) = (line for line in lines if line.name == name)
    (bound,) = found.specifier
    assert found.specifier.contains(bound.version.removesuffix(".*"))
