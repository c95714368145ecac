"""YAML files on a command line: found here, then in the package."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from vidpred.errors import VidpredError
from vidpred.resources import packaged_configurations


def resolve_configurations(arguments: Sequence[str]) -> list[str]:
    """Replace each YAML file that is not here by the one of that name in the package.

    Args:
        arguments: Command line, with `-c FILE`, `--KEY FILE` or `--KEY=FILE`.

    Returns:
        The same command line with paths that exist.

    Raises:
        VidpredError: When a file is in neither place or is no YAML.
    """
    return [
        f"{key}={_resolve(value)}" if key.startswith("--") and _is_yaml(value) else _resolve(whole)
        for whole in arguments
        for key, _, value in [whole.partition("=")]
    ]


def _is_yaml(argument: str) -> bool:
    return argument.endswith((".yaml", ".yml"))


def _resolve(argument: str) -> str:
    if not _is_yaml(argument):
        return argument
    if Path(argument).is_file():
        _require_yaml(Path(argument))
        return argument
    root = packaged_configurations()
    for candidate in (root / argument, root / argument.removeprefix("configs/")):
        if candidate.is_file():
            return str(candidate)
    available = ", ".join(str(path.relative_to(root)) for path in sorted(root.glob("**/*.yaml")))
    raise VidpredError(
        f"no configuration {argument}, neither here nor in the package; "
        f"expected a YAML file or one of {available}"
    )


def _require_yaml(path: Path) -> None:
    try:
        yaml.safe_load(path.read_bytes())
    except yaml.YAMLError as error:
        raise VidpredError(f"{path}: not valid YAML: {error}") from error
