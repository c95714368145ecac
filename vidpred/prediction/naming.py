"""Which file or folder each input's prediction goes to."""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from vidpred.errors import PredictionError
from vidpred.files import PIPE, is_irregular, written_place

Format = Literal["mp4", "webm", "gif", "png", "npy"]

FORMATS = get_args(Format)

EXPECTED = ".mp4, .webm, .gif, .npy, or a name without ending for a folder of PNG frames"


def output_paths(
    inputs: Sequence[Path], output: Path, form: Format | None
) -> tuple[list[Path], Format]:
    """Name the output of each input.

    Several inputs go into a folder, each under its own name; so does one when `form` is given and
    `output` has no ending.

    Args:
        inputs: At least one.
        output: As the user gave it.
        form: As the user gave it; None takes that of the ending.

    Returns:
        Paths that differ, and the form of all of them.

    Raises:
        PredictionError: For an ending that we cannot write, or that does not suit.
    """
    if output == PIPE:
        raise PredictionError(
            f"{PIPE}: predictions are not written to the standard output; expected {EXPECTED}"
        )
    ending = output.suffix.lower().removeprefix(".")
    known = ending in FORMATS and ending != "png"
    if len(inputs) == 1 and (known or form in (None, "png")):
        if known and form not in (None, ending):
            raise PredictionError(f"{output}: ends in .{ending}, and --format is {form}; drop one")
        if not known and ending and not output.is_dir():
            raise PredictionError(f"{output}: .{ending} cannot be written; expected {EXPECTED}")
        return [output], next(f for f in FORMATS if f == (ending if known else "png"))
    if known:
        raise PredictionError(
            f"{output}: {len(inputs)} inputs need a folder; expected a name without ending, and "
            f"--format {ending}"
        )
    form = form or "mp4"
    names: list[str] = []
    for path in inputs:
        stem = "stdin" if path == PIPE else (path.absolute().name if path.is_dir() else path.stem)
        name, number = stem, 1
        while name in names:
            number += 1
            name = f"{stem}_{number}"
        names.append(name)
    return [output / (name if form == "png" else f"{name}.{form}") for name in names], form


def future_name(index: int) -> str:
    """Name one of several futures, counted from 0: "future_1"."""
    return f"future_{index + 1}"


def future_paths(path: Path, futures: int) -> list[Path]:
    """Name the files of several futures: "out.npy" gives "out_future_1.npy" and so on."""
    if futures == 1:
        return [path]
    return [path.with_name(f"{path.stem}_{future_name(k)}{path.suffix}") for k in range(futures)]


def later_futures(path: Path, futures: int | None, *, kept: Sequence[Path]) -> list[Path]:
    """Find files of further futures, which an earlier prediction drew.

    Args:
        path: The output.
        futures: How many are drawn now; one alone has the name of the output itself. None: nothing
            is drawn, and what was drawn before is left alone.
        kept: Outputs of the same command, none of which is such a file, whatever its name.
    """
    if futures is None:
        return []
    name = re.compile(rf"{re.escape(path.stem)}_future_([1-9]\d*){re.escape(path.suffix)}")
    matches = (name.fullmatch(entry.name) for entry in path.parent.glob("*"))
    numbers = sorted(int(match[1]) for match in matches if match)
    last = 0 if futures == 1 else futures
    later = [path.with_name(f"{path.stem}_{future_name(n - 1)}{path.suffix}") for n in numbers]
    return [file for n, file in zip(numbers, later, strict=True) if n > last and file not in kept]


def require_free(path: Path, form: Format, *, overwrite: bool, inputs: Sequence[Path]) -> None:
    """Refuse an output that exists, or whose folder cannot be written.

    Args:
        path: The output.
        form: Its form.
        overwrite: Whether an output of that form may be replaced.
        inputs: What is read: never replaced.

    Raises:
        PredictionError: Saying what to do.
    """
    try:
        there = path.exists()
    except OSError as error:
        raise PredictionError(
            f"{path}: no file can be written under this name ({error.strerror}); choose another "
            "--output, or a shorter name for the input"
        ) from error
    if there:
        if any(other.exists() and path.samefile(other) for other in inputs):
            raise PredictionError(f"{path}: is an input; choose another --output")
        if is_irregular(path):
            raise PredictionError(f"{path}: is a pipe or a device; choose another --output")
        if path.name in ("", ".."):
            raise PredictionError(
                f"{path}: is a folder that cannot be replaced; choose the name of a new one with "
                "--output"
            )
        if path.is_dir() and form != "png":
            raise PredictionError(f"{path}: is a folder; choose another --output for a file")
        if path.is_dir() and not _only_frames(path):
            raise PredictionError(
                f"{path}: holds more than PNG frames, so it is not replaced; choose another "
                "--output"
            )
        if path.is_file() and form == "png":
            raise PredictionError(f"{path}: is a file; choose another --output for a folder")
        if not overwrite:
            raise PredictionError(f"{path}: exists and is kept; --overwrite replaces it")
    folder = written_place(path).absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise PredictionError(f"{path}: {folder} is a file; choose another --output")
    try:
        # Not `os.access`, which grants all to root, also on file systems that take no files.
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise PredictionError(
            f"{path}: nothing can be written in {folder} ({error.strerror}); choose another "
            "--output"
        ) from error


def _only_frames(folder: Path) -> bool:
    """Say whether a folder is one that a prediction wrote, judging by its names."""
    return all(
        _only_frames(entry)
        if entry.is_dir() and not entry.is_symlink()
        else entry.suffix.lower() == ".png"
        for entry in folder.iterdir()
    )
