"""What a training is refused for before torch is imported: its data, and the run that is there."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vidpred.errors import VidpredError
from vidpred.files import expand_home, require_folder
from vidpred.runs.folder import require_no_checkpoints

READ_FROM = {
    "vidpred.data.UCF101DataModule": (
        "root",
        "the folder of UCF101; `vidpred data prepare ucf101 FOLDER` fetches it, `vidpred data toy "
        "FOLDER` writes a small set in its layout",
    ),
    "vidpred.data.VideoFolderDataModule": ("root", "a folder of videos"),
    "vidpred.data.KTHDataModule": ("root", "the folder of KTH's videos"),
    "vidpred.data.MovingMNISTDataModule": ("digits", "the folder of MNIST's IDX files"),
}
"""Data modules that read a folder, by their path: its option, and what it is expected to be.

Those that render what is missing are not in it, and neither are a user's own.
"""

_FOLDERS = frozenset(option for option, _ in READ_FROM.values())

_PATHS = ("-c", "--config", "--run_dir", "--ckpt_path")


def require_values(options: Sequence[str]) -> None:
    """Refuse empty paths, as an unset variable of the shell leaves them.

    Args:
        options: Command line after `fit` or `validate`, its keys with underscores.

    Raises:
        VidpredError: Naming the option.
    """
    for key, value in _pairs(options):
        if not value and (key in _PATHS or key.rpartition(".")[2] in _FOLDERS):
            raise VidpredError(
                f"{key.replace('_', '-')} is empty; expected a path: is a variable of the shell "
                "empty?"
            )


def require_new_run(options: Sequence[str]) -> None:
    """Refuse to begin where a run has left checkpoints, without anything heavy.

    Args:
        options: Command line after `fit`, its keys with underscores.

    Raises:
        VidpredError: When the folder of `--run_dir` holds some, and nothing says to resume.
    """
    given = dict(_pairs(options))
    if "--run_dir" in given and not given.keys() & {"--resume", "--ckpt_path"}:
        require_no_checkpoints(Path(given["--run_dir"]))


def require_data_of_fit(options: Sequence[str]) -> None:
    """Refuse a training whose data folder is not there, without anything heavy.

    What this cannot read, such as a data module of the user's own, is left to the command itself,
    which checks it again and more closely.

    Args:
        options: Command line after `fit`, its keys with underscores, its YAML files with paths that
            exist; see `resolve_configurations`.

    Raises:
        DataError: When the folder is not there, is a file, or the system does not give it.
    """
    class_path: str | None = None
    folders: dict[str, str] = {}
    for key, value in _settings(options):
        if key == "class_path":
            class_path = value if "." in value else f"vidpred.data.{value}"
        else:
            folders[key] = value
    if class_path not in READ_FROM:
        return
    option, expected = READ_FROM[class_path]
    if option in folders:
        require_folder(
            expand_home(folders[option]), f"{expected}. Give yours by --data.{option} FOLDER"
        )


def _settings(options: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Give what a command line says of the class and the folder of its data, in its order."""
    for key, value in _pairs(options):
        if key in ("-c", "--config"):
            yield from _of_file(Path(value))
        elif key == "--data":
            yield from _of_data(value, Path())
        elif key.startswith("--data."):
            name = key.removeprefix("--data.").removeprefix("init_args.")
            if name in _FOLDERS or name == "class_path":
                yield name, value


def _pairs(options: Sequence[str]) -> Iterator[tuple[str, str]]:
    for option, following in zip(options, [*options[1:], "--"], strict=True):
        key, equals, value = option.partition("=")
        if equals:
            yield key, value
        elif option.startswith("-") and not following.startswith("--"):
            yield key, following


def _of_file(path: Path) -> Iterator[tuple[str, str]]:
    content = _read(path)
    if isinstance(content, dict):
        yield from _of_data(content.get("data"), path.parent)


def _of_data(data: object, folder: Path) -> Iterator[tuple[str, str]]:
    """Read the value of `data`: a class path, a YAML file of that folder, or its content."""
    if isinstance(data, str) and data.endswith((".yaml", ".yml")):
        data = _read(folder / data)
    if isinstance(data, str):
        yield "class_path", data
    if not isinstance(data, dict):
        return
    arguments = data.get("init_args")
    named = {**(arguments if isinstance(arguments, dict) else {}), "class_path": None, **data}
    for key in ("class_path", *_FOLDERS):
        if isinstance(named.get(key), str):
            yield key, named[key]


def _read(path: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(path.read_bytes())
    except (OSError, ValueError, yaml.YAMLError):
        return None  # the command itself says what is wrong with it
