"""The arrows between the packages never turn; drawn in docs/architecture.md."""

import ast
import graphlib
import importlib
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from vidpred.moved import MOVED

PACKAGE = Path(__file__).parents[1] / "vidpred"
FOUNDATION = {
    "_version",
    "batch",
    "errors",
    "files",
    "frame_rates",
    "moved",
    "plain",
    "prefetch",
    "provenance",
    "ranges",
    "resources",
    "seen_videos",
}
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
    "models": FOUNDATION | {"flow", "kernels", "ops"},
    "storage": FOUNDATION | {"kernels", "models", "ops"},
    "runs": FOUNDATION | {"loggers", "models", "ops", "storage"},
    "diagnostics": FOUNDATION | {"loggers", "losses", "models", "ops", "storage"},
    "tasks": FOUNDATION
    | {"diagnostics", "flow", "kernels", "losses", "models", "ops", "runs", "storage"},
    "callbacks": FOUNDATION
    | {"diagnostics", "kernels", "losses", "loggers", "metrics", "models", "ops", "runs", "video"}
    | {"viz"},
    "prediction": FOUNDATION | {"kernels", "metrics", "models", "ops", "video", "viz"},
    "page": FOUNDATION | {"metrics", "models", "ops", "prediction", "storage", "video", "viz"},
    "evaluation": FOUNDATION
    | {"data", "flow", "kernels", "metrics", "models", "ops", "storage", "video", "viz"},
    "benchmark": FOUNDATION
    | {"evaluation", "kernels", "metrics", "models", "ops", "runs", "storage"},
    "export": FOUNDATION | {"evaluation", "models", "ops", "storage"},
    "cli": FOUNDATION
    | {"benchmark", "callbacks", "data", "diagnostics", "evaluation", "export", "kernels"}
    | {
        "loggers",
        "metrics",
        "models",
        "ops",
        "page",
        "prediction",
        "runs",
        "storage",
        "tasks",
        "video",
    },
}
IN_EVALUATION: dict[str, set[str]] = {
    "sources": set(),
    "results": set(),
    "scoring": {"sources", "results"},
    "compare": {"results"},
    "report": {"compare", "results"},
}
"""Packages of `evaluation`; all of them use its files that are in none: protocol, clips, ..."""
WITHOUT_LIGHTNING = (
    *("ops", "kernels", "video", "flow", "models", "storage", "losses", "metrics", "viz"),
    *("prediction", "page"),
)


MOST_LINES = 400
SAME_IDEA = {
    "base": "what the classes of its package share",
    "adversarial": "the loss, and the task that trains by it",
    "multiscale": "the networks, the loss over their scales, and the task that trains them",
    "likelihood": "the contract of a predictor, the metric, and the task that maximizes it",
    "variational": "the contract of a predictor, and the task that trains it",
    "recurrent": "the contract of a predictor, and the task that trains it",
    "progress": "what a user sees of it, in a command and in a training",
    "curves": "the training curves, as they are drawn and as they are written",
    "disk": "what is on a disk: files that the system gives, videos that a data set has",
    "pictures": "pictures that are made of clips",
    "winograd": "the convolution, and its alias of 0.1",
}
"""File names in several packages, and the one thing that each means."""


def imports(file: Path) -> set[str]:
    """Modules that a file names in its imports, those inside functions included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def files_imported() -> dict[str, set[str]]:
    """By module of the package, the modules that its file imports anywhere."""
    files = {module_of(file): file for file in PACKAGE.glob("**/*.py")}
    graph: dict[str, set[str]] = {}
    for module, file in files.items():
        named = imports(file) & files.keys()
        # `from vidpred.a import b` also names the package `vidpred.a`, when b is a module of it.
        packages = {name.rpartition(".")[0] for name in named}
        graph[module] = {
            name
            for name in named - {module}
            if name not in packages or name not in packages_of_modules(file, files)
        }
    return graph


def packages_of_modules(file: Path, files: Mapping[str, Path]) -> set[str]:
    """Packages of which a file imports modules alone, no names."""
    modules: dict[str, bool] = {}
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module in files:
            alone = all(f"{node.module}.{alias.name}" in files for alias in node.names)
            modules[node.module] = modules.get(node.module, True) and alone
    return {module for module, alone in modules.items() if alone}


def module_of(file: Path) -> str:
    """Name a file as it is imported."""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_files_import_each_other_in_a_circle() -> None:
    graph = files_imported()
    assert len(graph) > 200
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("folder", ["vidpred", "tests", "tools", "examples", "docs"])
def test_no_file_is_long(folder: str) -> None:
    files = [
        path
        for path in (PACKAGE.parent / folder).glob("**/*")
        if path.suffix in (".py", ".c", ".js", ".css", ".html", ".md")
        and "_build" not in path.parts
    ]
    assert files
    lengths = {str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_files_of_one_name_mean_one_thing() -> None:
    names = Counter(file.stem for file in PACKAGE.glob("**/*.py") if file.stem != "__init__")
    assert {name for name, count in names.items() if count > 1} <= SAME_IDEA.keys()


def test_classes_of_one_name_are_one_class() -> None:
    defined: dict[str, list[str]] = {}
    for file in PACKAGE.glob("**/*.py"):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                defined.setdefault(node.name, []).append(module_of(file))
    assert {name: files for name, files in defined.items() if len(files) > 1} == {}


@pytest.mark.parametrize("package", sorted(PACKAGE.glob("**/__init__.py")), ids=module_of)
def test_a_package_gives_what_it_lists(package: Path) -> None:
    assert ast.get_docstring(ast.parse(package.read_text()))
    found = importlib.import_module(module_of(package))
    for name in getattr(found, "__all__", ()):
        assert hasattr(found, name), name


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


@pytest.mark.parametrize("folder", IN_EVALUATION)
def test_arrows_within_evaluation_never_turn(folder: str) -> None:
    files = list((PACKAGE / "evaluation" / folder).glob("*.py"))
    assert files
    for file in files:
        for name in imports(file):
            part = name.removeprefix("vidpred.evaluation.").split(".")[0]
            if name.startswith("vidpred.evaluation.") and part in IN_EVALUATION:
                assert part in IN_EVALUATION[folder] | {folder}, f"{file.name} imports {name}"
    for file in (PACKAGE / "evaluation").glob("*.py"):
        if file.stem != "__init__":
            parts = {name.split(".")[2] for name in imports(file) if name.count(".") > 1}
            assert not parts & IN_EVALUATION.keys(), file.name


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


@pytest.mark.slow
def test_scores_are_compared_and_measured_without_lightning() -> None:
    """Lightning and torchmetrics take longer than all else that these commands import."""
    code = (
        "import sys, vidpred.benchmark.cost_process, vidpred.evaluation.report, "
        "vidpred.evaluation.scoring.scoring_pass; "
        "sys.exit(str({'pytorch_lightning', 'torchmetrics', 'torchvision'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "set()"


@pytest.mark.slow
def test_nothing_happens_at_import(tmp_path: Path) -> None:
    code = "import vidpred.cli.trainer, vidpred.data, vidpred.evaluation.report, vidpred.tasks"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    assert not list(tmp_path.iterdir())
