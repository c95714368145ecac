"""Configurations on a command line: YAML files found, keys checked, mistakes in a sentence."""

import importlib
import re
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from vidpred.errors import VidpredError, did_you_mean
from vidpred.files import is_irregular
from vidpred.plain import python_number
from vidpred.resources import packaged_configurations, read_yaml

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

_NOT_CHOSEN = ("pytorch_lightning.LightningDataModule", "vidpred.tasks.PredictionTask")
"""Classes in the place of which a configuration names one of its own."""

_OPTIONS = ("-c", "--config")

_NO_HELP = (
    *("Does not validate against", "- Does not validate", "Subtypes: ", "Errors:", "Given value"),
    "- Expected a <class 'NoneType'>",
)
"""Beginnings of the lines of jsonargparse's messages that say nothing to a user."""


def explain(message: str, parser: "ArgumentParser") -> str:
    """Turn a message of jsonargparse into one that names the nearest key that exists.

    Args:
        message: Of jsonargparse 4.50 or later.
        parser: That refused; its subcommands' keys are known as well.
    """
    lines: list[str] = []
    built: str | None = None
    for line in message.splitlines():
        if line.strip().startswith(_NO_HELP):
            continue
        if found := re.search(r"class_path '([\w.]+)'", line):
            built = found[1]
        hint = ""
        if found and found[1] in _NOT_CHOSEN:
            line += "; give the file of -c first, its class decides which options there are"
        if found := re.search(r"Option '([\w.]+)' is not accepted", line):
            known = _arguments_of(built)
            # `los.init_args.epsilon`: the first key may be the wrong one.
            hint = did_you_mean(found[1], known) or did_you_mean(found[1].split(".")[0], known)
        elif found := re.search(r"(?:unrecognized arguments: --|accept option ')([\w.]+)", line):
            hint = did_you_mean(found[1], _keys_of(parser, found[1]))
        elif found := re.search(  # as Python says it, and lazy_loader
            r"module '([\w.]+)' has no attribute '(\w+)'", line
        ) or re.search(r"No ([\w.]+) attribute (\w+)", line):
            hint = did_you_mean(found[2], dir(importlib.import_module(found[1])))
        elif found := re.search(r"No module named '([\w.]+)'", line):
            hint = did_you_mean(found[1], [path.stem for path in Path.cwd().glob("*.py")])
            hint += "; expected a module of the current folder or an installed one"
        lines.append(line + hint)
    return "\n".join(lines)


def _arguments_of(class_path: str | None) -> list[str]:
    """Give what a class or function is built from, by its path in a configuration."""
    from jsonargparse import ArgumentParser

    try:
        found = _find(class_path or "")
        parser = ArgumentParser(exit_on_error=False)
        if isinstance(found, type):
            parser.add_class_arguments(found)
        else:
            parser.add_function_arguments(found)
        return list(parser.get_defaults().keys())
    except (ImportError, AttributeError, TypeError, ValueError):
        return []  # the message alone has to do


def _find(path: str) -> Any:
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError:
        return getattr(_find(module), name)  # a method of a class


def _keys_of(parser: "ArgumentParser", wrong: str) -> list[str]:
    """Give the keys of all commands that are as deep as a wrong one."""
    parsers = [parser]
    for action in parser._actions:
        if isinstance(choices := getattr(action, "choices", None), dict):
            parsers += [choice for choice in choices.values() if hasattr(choice, "_actions")]
    keys = {str(action.dest) for each in parsers for action in each._actions}
    parts = {".".join(key.split(".")[: wrong.count(".") + 1]) for key in keys}
    first, _, rest = wrong.partition(".")
    tops = {key.split(".")[0] for key in keys}
    if rest and first not in tops:  # `--modle.x`: the rest may be right
        return [f"{top}.{rest}" for top in tops]
    return sorted(parts)


def with_python_numbers(value: Any) -> Any:
    """Give a parsed configuration with Python's own numbers, in containers of its own.

    A class that replaces another keeps the options that both have, as the first has checked them:
    numbers of a class that YAML cannot write and no checkpoint may hold.
    """
    from jsonargparse import Namespace

    if isinstance(value, Namespace):
        items = {key: with_python_numbers(item) for key, item in vars(value).items()}
        return Namespace(items)  # type: ignore[no-untyped-call]  # jsonargparse leaves it untyped
    if isinstance(value, dict):
        return {key: with_python_numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(with_python_numbers(item) for item in value)
    return value if isinstance(value, Enum) else python_number(value)


def resolve_configurations(arguments: Sequence[str]) -> list[str]:
    """Replace each YAML file that is not here by the one of that name in the package.

    Args:
        arguments: Command line, with `-c FILE`, `--KEY FILE` or `--KEY=FILE`.

    Returns:
        The same command line with paths that exist.

    Raises:
        VidpredError: When a file is in neither place or is no YAML.
    """
    resolved = []
    for before, whole in zip(["", *arguments], arguments, strict=False):
        key, equals, value = whole.partition("=")
        if before in _OPTIONS or (_is_yaml(whole) and not key.startswith("--")):
            resolved.append(_resolve(whole, configuration=before in _OPTIONS))
        elif equals and (key in _OPTIONS or (key.startswith("--") and _is_yaml(value))):
            resolved.append(f"{key}={_resolve(value, configuration=key in _OPTIONS)}")
        else:
            resolved.append(whole)
    return resolved


def _is_yaml(argument: str) -> bool:
    return argument.endswith((".yaml", ".yml"))


def _resolve(argument: str, *, configuration: bool) -> str:
    if argument.lstrip().startswith("{") or is_irregular(Path(argument)):
        return argument  # its content, or a pipe
    if argument.endswith(".ckpt"):
        raise VidpredError(f"{argument}: is a checkpoint; give it with --ckpt-path")
    if Path(argument).is_file():
        _require_yaml(Path(argument), configuration=configuration)
        return argument
    root = packaged_configurations()
    for candidate in (root / argument, root / argument.removeprefix("configs/")):
        if candidate.is_file():
            return str(candidate)
    available = [str(path.relative_to(root)) for path in sorted(root.glob("**/*.yaml"))]
    raise VidpredError(
        f"no configuration {argument}, neither here nor in the package"
        f"{did_you_mean(argument.removeprefix('configs/'), available)}; "
        f"expected a YAML file or one of {', '.join(available)}"
    )


def _require_yaml(path: Path, *, configuration: bool) -> None:
    try:
        content = read_yaml(path)
    except UnicodeDecodeError as error:
        raise VidpredError(
            f"{path}: expected UTF-8 text ({error}); save it as UTF-8, or in PowerShell write it "
            "by `| Out-File -Encoding utf8`"
        ) from error
    except OSError as error:
        raise VidpredError(f"{path}: {error.strerror}; expected a YAML file") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise VidpredError(f"{path}: not valid YAML: {error}") from error
    if configuration and not isinstance(content, dict):
        held = "nothing" if content is None else f"a {type(content).__name__}"
        raise VidpredError(
            f"{path}: holds {held}; expected keys and values, such as `trainer: {{max_epochs: 1}}`"
        )
