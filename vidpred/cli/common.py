"""What all commands share: spelling of options, devices, modules, messages, early refusals."""

import argparse
import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from vidpred.cli.value_types import not_empty
from vidpred.errors import VidpredError
from vidpred.files import expand_home, require_folder
from vidpred.resources import no_such_checkpoint

if TYPE_CHECKING:
    import torch


class HelpWithDefaults(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults that say something: no None, no False, no empty list."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        unsaid = action.default is None or action.default is False or action.default == []
        if unsaid or "(default" in (action.help or ""):
            return action.help
        if isinstance(action.default, (list, tuple)):  # as it is typed
            return f"{action.help} (default: {' '.join(map(str, action.default))})"
        return super()._get_help_string(action)


def say(line: str) -> None:
    """Print a message that is no result on stderr, at once; where that is closed, nowhere."""
    if sys.stderr is not None:  # else it would go to stdout
        with suppress(OSError):
            print(line, file=sys.stderr, flush=True)


@contextmanager
def cleaned_up_after_sigterm() -> Iterator[None]:
    """Let SIGTERM leave as an exit does, so that unfinished files are removed; status 143."""
    if threading.current_thread() is not threading.main_thread():
        yield  # no signal arrives there
        return
    before = signal.signal(signal.SIGTERM, end_by_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def end_by_signal(number: int, _: object) -> None:
    """Leave with the status that a shell gives for a signal."""
    sys.exit(128 + number)


def require_no_folder(path: Path, ending: str) -> None:
    """Refuse to write a file where a folder is, before work is done.

    Args:
        path: The file, as an option named it.
        ending: Of its name, for the message.

    Raises:
        VidpredError: When it is a folder; an empty name is the folder that one is in.
    """
    if path.is_dir():
        raise VidpredError(f"{path}: this is a folder; expected the name of a {ending} file")


def with_dashes(arguments: Iterable[str]) -> list[str]:
    """Spell options with dashes, as all are declared; underscores are accepted as well.

    Args:
        arguments: Command line after the program's name. What follows `--` is left alone.
    """
    return _respelled(arguments, "_", "-")


def with_underscores(arguments: Iterable[str]) -> list[str]:
    """Spell options as the keys of a YAML file, for commands whose options are such keys.

    Args:
        arguments: As for `with_dashes`.
    """
    return _respelled(arguments, "-", "_")


def _respelled(arguments: Iterable[str], old: str, new: str) -> list[str]:
    arguments = list(arguments)
    end = arguments.index("--") if "--" in arguments else len(arguments)
    respelled = []
    for argument in arguments[:end]:
        name, equals, value = argument.partition("=")
        if name.startswith("--"):
            name = "--" + name[2:].replace(old, new)
        respelled.append(name + equals + value)
    return respelled + arguments[end:]


def require_data_folder(root: Path) -> None:
    """Refuse the root of a data set that is not there, before anything heavy is imported.

    Raises:
        DataError: When it is not there, is a file, or the system does not give it.
    """
    require_folder(
        root,
        "the folder of a data set (`vidpred data prepare` fetches UCF101, `vidpred data toy` "
        "writes a small one)",
    )


def require_checkpoint_there(name: str | Path, *, others: Iterable[str] = ()) -> None:
    """Refuse a checkpoint by path that is not there, before anything heavy is imported.

    Args:
        name: As given; names without an ending of such a file are left to the loader.
        others: Names that the command takes as well, for the error.

    Raises:
        CheckpointError: When it is not there.
    """
    is_file = str(name).endswith((".ckpt", ".safetensors")) and "://" not in str(name)
    if is_file and not os.path.lexists(expand_home(name)):
        raise no_such_checkpoint(name, others=others)


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Add `--device`, which `device_of` takes."""
    parser.add_argument(
        "--device",
        type=not_empty,
        default="auto",
        help="auto (CUDA if there is one), cpu, cuda, cuda:1 or mps (default: %(default)s)",
    )


def device_of(name: str) -> "torch.device":
    """Give the device of that name.

    Raises:
        VidpredError: When this machine has none.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise VidpredError(
            f"--device {name} cannot be used here ({str(error).splitlines()[0]}); expected auto, "
            "cpu, or a device that this machine has"
        ) from error
    return device


def add_module_option(parser: argparse.ArgumentParser) -> None:
    """Add `--module`, which `import_modules` takes."""
    parser.add_argument(
        "--module",
        action="append",
        default=[],
        metavar="NAME",
        help="Python module that defines the checkpoint's network, when it is your own; repeatable",
    )


def import_modules(names: Sequence[str]) -> list[ModuleType]:
    """Import the modules of `--module`.

    Raises:
        VidpredError: When one cannot be imported.
    """
    return [_import(name) for name in names]


def _import(name: str) -> ModuleType:
    look_for_modules_here()
    if not all(name.split(".")) or "/" in name:
        raise VidpredError(f"--module {name!r}: expected the name of a module, such as my_networks")
    try:
        return importlib.import_module(name)
    except SystemExit as error:
        raise VidpredError(
            f"--module {name}: it ends the program when it is imported ({error!r}); expected "
            "classes, and what is to be run below `if __name__ == '__main__':`"
        ) from error
    except ImportError as error:
        raise VidpredError(
            f"--module {name}: {error}; expected the name of a module, as Python imports it here"
        ) from error


def look_for_modules_here() -> None:
    """Let modules of the current folder be imported, which a console script does not do."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
