"""The result files that a user names, singly or by folder."""

import json
from collections.abc import Iterable
from pathlib import Path

from vidpred.errors import ResultError
from vidpred.evaluation.results.reading import read_result
from vidpred.evaluation.results.result import FORMAT, Result
from vidpred.files import is_irregular, read_text, split_name


def read_results(arguments: Iterable[str | Path]) -> dict[str, Result]:
    """Read result files.

    Args:
        arguments: Files, `NAME=FILE` to give a method another name, and folders whose result files
            (`*.json`) are taken; other JSON in a folder, such as a comparison, is left alone.

    Returns:
        By path, as given. What is given twice is taken once: a file, under its name if one is
        given, and a method with the same scores, as the baselines of two evaluations of the same
        clips are.

    Raises:
        ResultError: For a file that is missing, damaged, no result or given two names, and a
            folder without any.
    """
    files: dict[Path, tuple[Path, str | None]] = {}
    for argument in map(str, arguments):
        name, place = split_name(argument)
        path = Path(place)
        for file in _results_in(path) if path.is_dir() else [path]:
            known = files.setdefault(file.resolve(), (file, name))[1]
            if name is not None and known not in (None, name):
                raise ResultError(
                    f"{file}: it has two names, {known!r} and {name!r}; expected one NAME= a file"
                )
            files[file.resolve()] = (file, name or known)
    found: dict[str, Result] = {}
    for file, name in files.values():
        result = read_result(file)
        if name is not None:
            result["method"]["name"] = name
        if not any(_same(result, other) for other in found.values()):
            found[str(file)] = result
    return found


def _same(one: Result, other: Result) -> bool:
    """Recognize equal scores, whichever files they were read from."""
    alike = all(one[key] == other[key] for key in ("method", "protocol_digest", "mask"))
    scores = [{row["clip"]: row["values"] for row in result["rows"]} for result in (one, other)]
    return alike and scores[0] == scores[1]


def _results_in(folder: Path) -> list[Path]:
    found = [path for path in sorted(folder.glob("*.json")) if _may_be_result(path)]
    if not found:
        raise ResultError(
            f"{folder}: there is no result file in this folder; expected *.json that "
            "`vidpred test` or `vidpred score` wrote"
        )
    return found


def _may_be_result(path: Path) -> bool:
    """Distinguish other JSON from results; what cannot be read is for `read_result` to refuse."""
    if path.name.startswith(".") or is_irregular(path):  # a pipe would be waited for
        return False
    try:
        content = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError):
        return True
    kind = FORMAT.rsplit(" ", 1)[0]
    return isinstance(content, dict) and str(content.get("format", "")).startswith(kind)
