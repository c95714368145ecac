"""The arrows between the packages never turn; see the map in the README."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from vidpred.moved import MOVED

PACKAGE = Path(__file__).parents[1] / "vidpred"
FOUNDATION = {"_version", "batch", "errors", "files", "moved", "plain", "provenance", "resources"}
ALLOWED = {
    "ops": FOUNDATION,
    "kernels": FOUNDATION,
    "loggers": FOUNDATION,
    "video": FOUNDATION | {"ops"},
    "flow": FOUNDATION | {"ops"},
    "losses": FOUNDATION | {"ops"},
    "metrics": FOUNDATION | {"ops"},
    "viz": FOUNDATION | {"ops", "video"},
    "data": FOUNDATION | {"ops", "video"},
    "models": FOUNDATION | {"flow", "ops"},
    "storage": FOUNDATION | {"models", "ops"},
    "runs": FOUNDATION | {"loggers", "models", "ops", "storage"},
    "diagnostics": FOUNDATION | {"loggers", "losses", "models", "ops", "storage"},
    "tasks": FOUNDATION | {"diagnostics", "kernels", "losses", "models", "ops", "runs", "storage"},
    "callbacks": FOUNDATION
    | {"diagnostics", "kernels", "losses", "loggers", "metrics", "models", "ops", "runs", "video"}
    | {"viz"},
    "prediction": FOUNDATION | {"kernels", "metrics", "models", "ops", "video", "viz"},
    "evaluation": FOUNDATION
    | {"data", "flow", "kernels", "metrics", "models", "ops", "storage", "video", "viz"},
    "export": FOUNDATION | {"evaluation", "models", "ops", "storage"},
    "cli": FOUNDATION
    | {"callbacks", "data", "diagnostics", "evaluation", "export", "kernels", "loggers", "metrics"}
    | {"models", "ops", "prediction", "runs", "storage", "tasks", "video"},
}
WITHOUT_LIGHTNING = (
    *("ops", "kernels", "video", "flow", "models", "storage", "losses", "metrics", "viz"),
    "prediction",
)


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


def test_no_file_inside_imports_the_facade() -> None:
    parts = {path.stem if path.suffix else path.name for path in PACKAGE.iterdir()}
    for file in PACKAGE.glob("**/*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                assert "vidpred" not in {alias.name for alias in node.names}, file
            elif isinstance(node, ast.ImportFrom) and node.module == "vidpred":
                assert {alias.name for alias in node.names} <= parts, file


@pytest.mark.parametrize("file", sorted(PACKAGE.glob("*.py")), ids=lambda file: file.name)
def test_what_all_packages_use_is_below_them(file: Path) -> None:
    if file.stem in {"__init__", "__main__"}:  # the facade, and the command line's door
        return
    for name in imports(file):
        root, _, rest = name.partition(".")
        assert root != "vidpred" or rest.split(".")[0] in FOUNDATION, f"{file.name} imports {name}"


def test_every_folder_has_a_place() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == set(ALLOWED)


@pytest.mark.parametrize(("package", "name"), [(p, n) for p in MOVED for n in MOVED[p]])
def test_names_that_moved_are_found_with_a_warning(package: str, name: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"{package}.{name} is vidpred"):
        found = getattr(importlib.import_module(package), name)
    new, _, attribute = MOVED[package][name].rpartition(".")
    assert found is getattr(importlib.import_module(new), attribute)


@pytest.mark.parametrize("package", MOVED)
def test_names_that_never_were_are_refused(package: str) -> None:
    with pytest.raises(AttributeError, match=f"'{package}' has no attribute 'nothing'"):
        importlib.import_module(package).nothing  # noqa: B018


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
