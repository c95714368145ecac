"""The entry point: finds the command, shows help at once, and turns mistakes into sentences."""

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from vidpred._version import __version__
from vidpred.cli import ablate, compare, data, export, predict, quickstart, score, test
from vidpred.errors import VidpredError

# Nothing above imports torch: `--help` has to answer at once.

USER_MISTAKE = 2
OUR_MISTAKE = 1
READER_GONE = 141  # 128 + SIGPIPE, as a shell gives it

TRAINER_COMMANDS = {
    "fit": "train a predictor",
    "validate": "score a checkpoint on the validation clips",
    "test": "score a checkpoint on the test clips, beside copying the last frame",
}

TRAINER_HELP = """\
usage: vidpred {command} -c FILE [-c FILE ...] [--KEY VALUE ...]

{summary}

options:
  -c FILE            configuration; later files and options replace what came before. A file is
                     looked for here, then among the configurations of the package:
                     {experiments}
  --run_dir DIR      folder of the run (default: runs/<configuration>/<date and time>)
  --ckpt_path FILE   checkpoint to {purpose}
  --data.root DIR    folder of the data set
  --data.KEY VALUE, --model.KEY VALUE, --trainer.KEY VALUE
                     any setting of the configuration, such as --trainer.max_epochs 10
  --wandb.KEY VALUE  enabled (true), project (vidpred), name, group; offline unless logged in
  --print_config     show the configuration that results, and stop
  --help-all         every key, with its type and default

example:
  vidpred {example}
"""

RESUME_HELP = """\
resume from, or "last" for the latest of run_dir
  --resume auto      go on from the latest checkpoint of run_dir, or begin when there is none
  --accept_changes true
                     resume although data, batch size or seed are not those of the run"""

EXAMPLES = {
    "fit": "fit -c experiment/adv_gdl.yaml --data.root data/ucf101",
    "validate": "validate -c runs/NAME/config.yaml --ckpt_path runs/NAME/checkpoints/best.ckpt",
    "test": "test -c runs/NAME/config.yaml --ckpt_path runs/NAME/checkpoints/best.ckpt",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments after the program's name; None takes those of the process.

    Returns:
        Exit status: 0, 1 for our mistake, 2 for the user's, 130 after Ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments and _is_for_trainer(arguments):
            return _run_trainer_command(arguments)
        parsed = _parser().parse_args(arguments)
        return int(parsed.run(parsed))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except VidpredError as error:
        return _refuse(error)
    except (ValueError, TypeError) as error:
        if not _raised_by_us(error):
            raise
        return _refuse(error)
    except BrokenPipeError:
        # Whoever read the results has gone, as `head` does; Python would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        return _refuse(
            f"no space left on the disk ({error.filename or 'while writing'}); what was saved "
            "before is whole: free some space and run the same command again; a training goes on "
            "from its latest checkpoint with --run_dir DIR --resume auto"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vidpred", description="Train, evaluate and use next-frame video predictors."
    )
    parser.add_argument("--version", action="version", version=f"vidpred {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    quickstart.add_quickstart_parser(commands)
    predict.add_predict_parser(commands)
    for command, summary in TRAINER_COMMANDS.items():
        if command != "test":
            commands.add_parser(command, help=summary)
    test.add_test_parser(commands)
    score.add_score_parser(commands)
    compare.add_compare_parser(commands)
    export.add_export_parser(commands)
    ablate.add_ablate_parser(commands)
    data.add_data_parser(commands)
    return parser


def _is_for_trainer(arguments: list[str]) -> bool:
    """Tell Lightning's commands; `test` is one of them when it is given a configuration."""
    if arguments[0] != "test":
        return arguments[0] in TRAINER_COMMANDS
    keys = {argument.partition("=")[0] for argument in arguments[1:]}
    return bool(keys & {"-c", "--config", "--ckpt_path", "--print_config", "--help-all"})


def _run_trainer_command(arguments: list[str]) -> int:
    command = arguments[0]
    if {"-h", "--help"} & set(arguments[1:]):
        print(_trainer_help(command), end="")
        return 0
    from vidpred.cli import trainer  # imports torch

    return trainer.run(["--help" if a == "--help-all" else a for a in arguments])


def _trainer_help(command: str) -> str:
    from vidpred.resources import packaged_configurations

    experiments = sorted(
        f"experiment/{path.name}"
        for path in (packaged_configurations() / "experiment").glob("*.yaml")
    )
    return TRAINER_HELP.format(
        command=command,
        summary=TRAINER_COMMANDS[command],
        experiments=("\n" + " " * 21).join(experiments),
        purpose=RESUME_HELP if command == "fit" else "score (required)",
        example=EXAMPLES[command],
    )


def _refuse(problem: object) -> int:
    print(f"error: {problem}", file=sys.stderr)
    return USER_MISTAKE


def _raised_by_us(error: BaseException) -> bool:
    """Tell a refusal of ours from a failure inside a library, whose traceback is worth showing."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    package = Path(__file__).parents[1]
    return traceback is not None and package in Path(traceback.tb_frame.f_code.co_filename).parents
