"""The arrows between the packages never turn; see the map in the README."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "vidpred"
FOUNDATION = {"allocator", "batch", "errors", "files", "configurations", "provenance"}
ALLOWED = {
    "ops": FOUNDATION,
    "video": FOUNDATION | {"ops"},
    "flow": FOUNDATION | {"ops"},
    "models": FOUNDATION | {"flow", "ops"},
    "losses": FOUNDATION | {"ops"},
    "metrics": FOUNDATION | {"ops"},
    "viz": FOUNDATION | {"ops", "video"},
    "data": FOUNDATION | {"ops", "video"},
    "tasks": FOUNDATION | {"ops", "models", "losses"},
    "loggers": FOUNDATION,
    "callbacks": FOUNDATION | {"ops", "video", "losses", "loggers", "metrics", "models", "viz"},
    "evaluation": FOUNDATION | {"ops", "video", "data", "flow", "metrics", "models", "viz"},
    "export": FOUNDATION | {"ops", "models", "evaluation"},
    "prediction": FOUNDATION | {"ops", "video", "metrics", "models", "viz"},
    "cli": FOUNDATION
    | {"callbacks", "data", "evaluation", "export", "loggers", "metrics", "models", "ops"}
    | {"prediction", "tasks", "video"},
}
WITHOUT_LIGHTNING = ("ops", "video", "flow", "models", "losses", "metrics", "viz", "prediction")


def imports(file: Path) -> set[str]:
    """Modules that a file names in its imports, those inside functions included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("folder", ALLOWED)
def test_arrows_never_turn(folder: str) -> None:
    files = list((PACKAGE / folder).glob("**/*.py"))
    assert files
    parts = {path.stem if path.suffix else path.name for path in PACKAGE.iterdir()}
    for file in files:
        for name in imports(file):
            root, _, rest = name.partition(".")
            part = rest.split(".")[0]
            if root == "vidpred" and part in parts - {folder}:
                assert part in ALLOWED[folder], f"{file.name} imports {name}"


def test_every_folder_has_a_place() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == set(ALLOWED)


@pytest.mark.parametrize("folder", WITHOUT_LIGHTNING)
def test_a_notebook_needs_no_lightning(folder: str) -> None:
    for file in (PACKAGE / folder).glob("**/*.py"):
        assert not {name for name in imports(file) if "lightning" in name}, file.name


def test_the_command_line_imports_no_torch_before_it_is_needed() -> None:
    code = "import sys, vidpred, vidpred.cli.main; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_nothing_happens_at_import(tmp_path: Path) -> None:
    code = "import vidpred.cli.trainer, vidpred.data, vidpred.evaluation.report, vidpred.tasks"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    assert not list(tmp_path.iterdir())
