"""The result files that a user names, singly or by folder."""

import json
from collections.abc import Iterable
from pathlib import Path

from vidpred.errors import ResultError
from vidpred.evaluation.results import FORMAT, Result, read_result


def read_results(paths: Iterable[str | Path]) -> dict[str, Result]:
    """Read result files.

    Args:
        paths: Files, and folders whose result files (`*.json`) are taken; other JSON in a folder,
            such as a comparison, is left alone.

    Returns:
        By path, as given; a file that is named twice stands once.

    Raises:
        ResultError: For a file that is missing, damaged or no result, a folder without any.
    """
    files: dict[Path, Path] = {}
    for path in map(Path, paths):
        found = _results_in(path) if path.is_dir() else [path]
        for file in found:
            files.setdefault(file.resolve(), file)
    return {str(file): read_result(file) for file in files.values()}


def _results_in(folder: Path) -> list[Path]:
    found = [path for path in sorted(folder.glob("*.json")) if _may_be_result(path)]
    if not found:
        raise ResultError(
            f"{folder}: there is no result file in this folder; expected *.json that "
            "`vidpred test` or `vidpred score` wrote"
        )
    return found


def _may_be_result(path: Path) -> bool:
    """Tell other JSON from results; what cannot be read is for `read_result` to refuse."""
    if path.name.startswith("."):
        return False
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True
    kind = FORMAT.rsplit(" ", 1)[0]
    return isinstance(content, dict) and str(content.get("format", "")).startswith(kind)
