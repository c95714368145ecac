"""The entry point: finds the command, shows help at once, and turns mistakes into sentences."""

import argparse
import codecs
import errno
import io
import os
import re
import shlex
import sys
import threading
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

from vidpred._version import __version__
from vidpred.cli import (
    ablate,
    benchmark,
    compare,
    data,
    export,
    predict,
    probe_features,
    quickstart,
    score,
    serve,
    test,
)
from vidpred.cli.common import say, with_dashes, with_underscores
from vidpred.errors import VidpredError, did_you_mean
from vidpred.prefetch import BACKGROUND
from vidpred.resources import packaged_configurations

# Nothing above imports torch: `--help` has to answer at once.

USER_MISTAKE = 2
READER_GONE = 141  # 128 + SIGPIPE, as a shell gives it

_SYSTEM = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE),
        *(errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENAMETOOLONG),
    }
)
"""Errors of the system that the user can mend, wherever a path meets them."""

FIT_HELP = """\
usage: vidpred fit -c FILE [-c FILE ...] [--KEY VALUE ...]

Train a predictor. A killed training resumes with --resume auto, to the bit on a CPU.

options:
  -c FILE            configuration; later files and options replace earlier ones. A file is
                     looked for here, then among the configurations of the package:
                     {experiments}
  --run-dir DIR      folder of the run (default: runs/<configuration>/<date and time>)
  --ckpt-path FILE   checkpoint to resume from, or "last" for the latest of run-dir
  --resume auto      resume from the latest checkpoint of run-dir, or begin when there is none
  --accept-changes true
                     resume although data, batch size or seed are not those of the run
  --data FILE        another kind of data set, such as data/video_folder.yaml
  --data.root DIR    folder of the data set
  --data.KEY VALUE, --model.KEY VALUE, --trainer.KEY VALUE
                     any key of the configuration, such as --trainer.max_epochs 10
  --wandb.KEY VALUE  enabled (true), project (vidpred), name, group; offline unless logged in
  --print-config     show the resulting configuration, and exit
  --help-all         every key, with its type and default

examples:
  vidpred fit -c experiment/adv_gdl.yaml --data.root data/ucf101
  vidpred fit -c experiment/adv_gdl.yaml --data data/video_folder.yaml --data.root FOLDER
"""

VALIDATE_HELP = """\
usage: vidpred validate -c FILE [-c FILE ...] --ckpt-path FILE [--split SPLIT] [--KEY VALUE ...]

Score a checkpoint on the clips of a run's own data module, against copying the last frame. For
numbers to compare with others, see vidpred test.

options:
  -c FILE            configuration, such as that of the run
  --ckpt-path FILE   checkpoint to score (required), or "last" for the latest of run-dir
  --split SPLIT      val (default) or test
  --run-dir DIR      folder of the run (default: that of its configuration)
  --data.KEY VALUE, --model.KEY VALUE, --trainer.KEY VALUE
                     any key of the configuration
  --print-config     show the resulting configuration, and exit
  --help-all         every key, with its type and default

example:
  vidpred validate -c runs/NAME/config.yaml --ckpt-path runs/NAME/checkpoints/best.ckpt --split test
"""

TRAINER_COMMANDS = {
    "fit": ("train a predictor", FIT_HELP),
    "validate": ("score a checkpoint on the clips of a run's own data module", VALIDATE_HELP),
}
"""Commands of `vidpred.cli.trainer`, by their line in the help and their own help."""

_CONFIGURING = ("-c", "--config", "--model", "--help_all")
"""Beginnings of options without one of which `vidpred fit` has nothing to train."""

_SHOWING = ("--print_config", "--help_all")
"""Options with which `vidpred fit` trains nothing, and needs no data."""

SPLITS = {"val": "validate", "test": "test"}
"""What the trainer calls the scoring of a split."""


def run() -> NoReturn:
    """Run the command of the process, and end it."""
    in_full = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        """Show what users are warned of as a sentence, without the line of code that says it."""
        file = where[2] if len(where) > 2 else more.get("file")
        if issubclass(category, UserWarning) and file is None:
            say(f"warning: {message}")
        else:
            in_full(message, category, *where, **more)

    # Not `formatwarning`, which Lightning replaces.
    warnings.showwarning = show
    try:
        status = main()
    except SystemExit as left:  # by SIGTERM, or argparse
        if not isinstance(left.code, int):
            raise
        status = left.code
    if any(thread.name == BACKGROUND for thread in threading.enumerate()):
        # A stage that is still inside PyTorch or FFmpeg while Python ends would abort the process.
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, OSError, ValueError):  # closed, or full
                stream.flush()
        os._exit(status)
    sys.exit(status)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments after the program's name; None takes those of the process.

    Returns:
        Exit status: 0; 2 for what the user can mend; 128 + the number of a signal, such as 130
        after Ctrl-C, or 141 when the reader of the output is gone; 1 when `vidpred quickstart` does
        not beat copying the last frame. Any other exception is a bug of ours and leaves with its
        traceback, which Python makes status 1.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    _print_any_name()
    try:
        if arguments and arguments[0] in TRAINER_COMMANDS:
            return _run_trainer_command(arguments[0], with_underscores(arguments[1:]))
        _require_protocol_meaning(arguments)
        parsed = _parser().parse_args(arguments)
        return int(parsed.run(parsed))
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except VidpredError as error:
        return _refuse(error)
    except BrokenPipeError:
        # Whoever read the results has gone, as `head` does; Python would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except OSError as error:
        if error.errno in _SYSTEM and error.filename is not None:
            return _refuse(
                f"{os.fsdecode(error.filename)}: the system does not give it ({error.strerror}); "
                "look after permissions, the disk or the network drive, and try again"
            )
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        return _refuse(
            f"no space left on the disk ({error.filename or 'while writing'}); what was saved "
            "before is whole: free some space and run the same command again"
            + (_RESUMES if arguments and arguments[0] in TRAINER_COMMANDS else "")
        )


_RESUMES = "; a training resumes from its latest checkpoint with --run-dir DIR --resume auto"


class _Parser(argparse.ArgumentParser):
    """Takes options in dashes, as they are declared, or underscores; its commands do as well."""

    _given: Sequence[str] = ()

    def error(self, message: str) -> NoReturn:
        """Explain names that begin with a dash, which argparse takes for options."""
        for name in self._given:
            if re.match(r"-[^-\d]", name) and name not in self._option_string_actions:
                message += (
                    f"; a name that begins with a dash is written ./{name} or --OPTION={name}"
                )
                break
        super().error(message)

    def parse_known_args(  # type: ignore[override] # argparse's own overloads say no more
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parse, whatever the spelling; commands with `fit_options` take what follows `--`.

        What a command does not know it refuses itself: its usage helps, the whole program's does
        not.
        """
        own, given = None if args is None else with_dashes(args), None
        self._given = own or []
        if own is not None and "--" in own and self.get_default("fit_options") is not None:
            end = own.index("--")
            own, given = own[:end], own[end + 1 :]
        parsed, left = super().parse_known_args(own, namespace)
        if left:
            name = left[0].partition("=")[0]
            near = did_you_mean(name, self._option_string_actions)
            self.error(f"unrecognized arguments: {shlex.join(left)}{near}")
        if given is not None:
            parsed.fit_options = given
        return parsed, left


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(
        prog="vidpred", description="Train, evaluate and use next-frame video predictors."
    )
    parser.add_argument("--version", action="version", version=f"vidpred {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    quickstart.add_quickstart_parser(commands)
    predict.add_predict_parser(commands)
    serve.add_serve_parser(commands)
    for command, (summary, _) in TRAINER_COMMANDS.items():
        commands.add_parser(command, help=summary)
    test.add_test_parser(commands)
    score.add_score_parser(commands)
    compare.add_compare_parser(commands)
    export.add_export_parser(commands)
    probe_features.add_probe_parser(commands)
    benchmark.add_benchmark_parser(commands)
    ablate.add_ablate_parser(commands)
    data.add_data_parser(commands)
    return parser


def _require_protocol_meaning(arguments: Sequence[str]) -> None:
    """Refuse what `vidpred test` meant in 0.1 when it was given a configuration."""
    keys = {argument.partition("=")[0] for argument in with_underscores(arguments)}
    if arguments[:1] == ["test"] and keys & {"-c", "--config", "--ckpt_path", "--print_config"}:
        raise VidpredError(
            "vidpred test scores by a protocol, and takes no configuration. For the test clips of "
            f"a run's own data module: vidpred validate {shlex.join(arguments[1:])} --split test"
        )


def _run_trainer_command(command: str, options: list[str]) -> int:
    if {"-h", "--help"} & set(options):
        experiments = ("\n" + " " * 21).join(_experiments())
        print(TRAINER_COMMANDS[command][1].format(experiments=experiments), end="")
        return 0
    if command == "validate":
        command, options = _split_of(options)
    elif not any(option.startswith(_CONFIGURING) for option in options):
        names = "\n".join(f"  {name:<42} {what}" for name, what in _experiments().items())
        raise VidpredError(
            "vidpred fit needs a configuration: vidpred fit -c FILE --data.root DIR, such as one "
            f"of the experiments of the package:\n{names}\nvidpred fit --help shows the options"
        )
    # Here and not above, as `--help` has to answer at once: these bring yaml, and the last torch.
    from vidpred.cli.configuration_parser import resolve_configurations
    from vidpred.cli.fit_refusals import require_data_of_fit, require_new_run, require_values

    require_values(options)
    options = resolve_configurations(options)
    if command == "fit" and not any(option.startswith(_SHOWING) for option in options):
        require_new_run(options)
        require_data_of_fit(options)
    from vidpred.cli import trainer

    return trainer.run([command, *("--help" if a == "--help_all" else a for a in options)])


def _split_of(options: Sequence[str]) -> tuple[str, list[str]]:
    """Take `--split` from the options of `vidpred validate`; gives the trainer's command."""
    parser = argparse.ArgumentParser(prog="vidpred validate", add_help=False, allow_abbrev=False)
    parser.add_argument("--split", choices=tuple(SPLITS), default="val")
    parsed, left = parser.parse_known_args(options)
    return SPLITS[parsed.split], left


def _experiments() -> dict[str, str]:
    """Give the experiments of the package, by their first comment."""
    folder = packaged_configurations() / "experiment"
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        first = path.read_text(encoding="utf-8").partition("\n")[0]
        found[f"experiment/{path.name}"] = re.split("[,;:]", first.removeprefix("#"))[0].strip()
    return found


def _print_any_name() -> None:
    """Let any file name be printed, whatever the encoding of a terminal or pipe.

    Bytes that are no text in any encoding come out as they are, for programs that read them; what
    the encoding lacks, escaped.
    """
    codecs.register_error("vidpred", _as_bytes_or_escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="vidpred")


def _as_bytes_or_escaped(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    part = error.object[error.start : error.end]
    if all("\udc80" <= character <= "\udcff" for character in part):
        return part.encode("ascii", "surrogateescape"), error.end
    escaped = part.encode("ascii", "backslashreplace")
    return escaped.decode("ascii"), error.end


def _refuse(problem: object) -> int:
    say(f"error: {problem}")
    return USER_MISTAKE
