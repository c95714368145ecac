"""`vidpred ablate`: the rows of the paper's table, trained alike, measured alike."""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vidpred.cli.common import HelpWithDefaults, device_of, say
from vidpred.cli.scoring import add_scoring_options, require_all_scored, score
from vidpred.errors import VidpredError

if TYPE_CHECKING:
    from vidpred.evaluation import Result

ROWS = ("single_scale_l2", "l2", "l1", "gdl_l1", "adv", "adv_gdl")
"""Training rows of Mathieu et al. 2016: names of files in `configs/experiment`."""

ADVERSARIAL = {"adv", "adv_gdl"}


class Training(NamedTuple):
    """One training.

    Attributes:
        row: Of the table.
        seed: Of weights and samples.
    """

    row: str
    seed: int

    @property
    def name(self) -> str:
        """Name of its run and of its results."""
        return f"{self.row}-seed{self.seed}"


def add_ablate_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Add `ablate`; parsing sets `run`, a function from arguments to exit status."""
    parser = subparsers.add_parser(
        "ablate",
        help="train the rows of the paper's table on equal budgets, and compare them",
        description="Train every row of the paper's table with every seed for the same number of "
        "generator steps on as many clips, score all last checkpoints and the baselines by one "
        "protocol in one pass, and write the table with intervals over videos and seeds. Each "
        "training is a `vidpred fit` of its own; the same command resumes where it stopped.",
        epilog="What follows -- goes to every `vidpred fit`, such as: -- --trainer.precision "
        "bf16-mixed --data.num_workers 8",
        formatter_class=HelpWithDefaults,
    )
    parser.add_argument(
        "--root", type=Path, required=True, help="folder of the data set, such as data/ucf101"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("runs/ablation"), help="folder of runs and results"
    )
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), help="what to train")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], help="one run for each")
    parser.add_argument("--batches", type=int, default=10_000, help="generator steps of each run")
    parser.add_argument(
        "--batch-size",
        type=int,
        default=8,
        help="clips of a generator step; the discriminator has as many of its own",
    )
    parser.add_argument(
        "--validations", type=int, default=4, help="validations, spread over each run"
    )
    parser.add_argument(
        "--width", choices=("small", "paper"), default="small", help="of the networks"
    )
    parser.add_argument(
        "--optimizer",
        choices=("sgd", "adam"),
        default="sgd",
        help="of the generator: the released script's, or Adam, which learns in minutes",
    )
    parser.add_argument(
        "--train-only", action="store_true", help="train what is missing, and compare nothing"
    )
    add_scoring_options(parser, protocol="mathieu2016-ucf101")
    parser.add_argument("fit_options", nargs="*", metavar="-- OPTION", help=argparse.SUPPRESS)
    parser.set_defaults(run=run_ablate)


def run_ablate(arguments: argparse.Namespace) -> int:
    """Run `vidpred ablate`: progress on stderr, the table on stdout.

    Raises:
        VidpredError: When an argument is out of range, or a training or the scoring failed.
    """
    for name in ("batches", "batch_size", "validations"):
        if getattr(arguments, name) < 1:
            raise VidpredError(f"--{name} is {getattr(arguments, name)}; expected at least 1")
    if arguments.batches % arguments.validations:
        raise VidpredError(
            f"--batches {arguments.batches} cannot be shared evenly by --validations "
            f"{arguments.validations}; expected a multiple"
        )
    trainings = [
        Training(row, seed) for seed in dict.fromkeys(arguments.seeds) for row in arguments.rows
    ]
    failed = {}
    for number, training in enumerate(trainings, start=1):
        say(f"{number}/{len(trainings)} {training.name}")
        status = _train(arguments, training)
        if status in (130, 143):
            return status  # the user or the scheduler ended it
        if status:
            failed[training.name] = status
    if failed:
        named = ", ".join(f"{name} (exit status {status})" for name, status in failed.items())
        raise VidpredError(
            f"{len(failed)} of {len(trainings)} trainings failed: {named}; see above. "
            "The others are done: run the same command again"
        )
    return 0 if arguments.train_only else _compare(arguments, trainings)


def fit_command(arguments: argparse.Namespace, training: Training) -> list[str]:
    """Give the command line of one training, after the program's name."""
    adversarial = training.row in ADVERSARIAL
    files = [f"experiment/{training.row}.yaml"]
    if arguments.width == "paper":
        single = "_single_scale" if training.row.startswith("single_scale") else ""
        files.append(f"model/paper{'_adversarial' if adversarial else single}.yaml")
    if arguments.optimizer == "adam":
        files.append(f"model/adam{'_adversarial' if adversarial else ''}.yaml")
    # The discriminator learns from clips of its own, half of each batch.
    batch_size = arguments.batch_size * (2 if adversarial else 1)
    return [
        "fit",
        *(word for file in files for word in ("-c", file)),
        f"--run_dir={_run_dir(arguments, training)}",
        "--resume=auto",
        f"--data.root={arguments.root}",
        f"--data.batch_size={batch_size}",
        f"--data.samples_per_epoch={batch_size * arguments.batches // arguments.validations}",
        f"--trainer.max_epochs={arguments.validations}",
        f"--seed_everything={training.seed}",
        f"--wandb.group={arguments.output.name}",
        f"--wandb.name={training.name}",
        *arguments.fit_options,
    ]


def _train(arguments: argparse.Namespace, training: Training) -> int:
    """Train one training, unless it is done; gives the exit status."""
    from vidpred.storage.checkpoint import CHECKPOINT_KEY, read_checkpoint

    last = _checkpoint(arguments, training)
    if last.is_file():
        done = int(read_checkpoint(last)[CHECKPOINT_KEY]["batches_seen"])
        if done == arguments.batches:
            return 0
        if done > arguments.batches:
            raise VidpredError(
                f"{last} was trained for {done} batches, more than --batches {arguments.batches}; "
                "choose another --output, or as many batches"
            )
    # A process of its own: nothing of one training is left in the next.
    return subprocess.run(
        [sys.executable, "-m", "vidpred", *fit_command(arguments, training)], check=False
    ).returncode


def _compare(arguments: argparse.Namespace, trainings: Sequence[Training]) -> int:
    from vidpred.evaluation import load_protocol
    from vidpred.evaluation.compare.ablation import ablation, ablation_markdown
    from vidpred.evaluation.scoring.checkpoint_methods import checkpoint_methods
    from vidpred.evaluation.scoring.methods import baselines
    from vidpred.evaluation.sources.video_clips import VideoClips
    from vidpred.files import replacing, write_json
    from vidpred.models import BASELINES

    protocol = load_protocol(arguments.protocol)
    device = device_of(arguments.device)
    source = VideoClips(protocol.protocol, arguments.root)
    named = [f"{training.name}={_checkpoint(arguments, training)}" for training in trainings]
    methods = [
        *baselines(device, protocol.protocol.clips.context_frames),
        *checkpoint_methods(named, device, taken=set(BASELINES)),
    ]
    folder = arguments.output / "results" / protocol.protocol.name
    results = score(arguments, protocol, source, methods, folder, device)
    content = ablation(_by_row(results, trainings), **_facts(arguments))
    text = ablation_markdown(content)
    write_json(arguments.output / "ablation.json", content)
    with replacing(arguments.output / "ablation.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text, end="")
    say(f"wrote {arguments.output / 'ablation.md'} and ablation.json; results: {folder}")
    say(f"next: vidpred compare {folder} --output report.html")
    require_all_scored(results)
    return 0


def _by_row(
    results: "Sequence[Result]", trainings: Sequence[Training]
) -> "Mapping[str, Sequence[Result]]":
    by_name = {result["method"]["name"]: result for result in results}
    rows: dict[str, list[Result]] = {}
    for training in trainings:
        rows.setdefault(training.row, []).append(by_name.pop(training.name))
    return {**{name: [result] for name, result in by_name.items()}, **rows}


def _facts(arguments: argparse.Namespace) -> dict[str, object]:
    return {
        "batches": arguments.batches,
        "batch_size": arguments.batch_size,
        "width": arguments.width,
        "optimizer": arguments.optimizer,
        "seeds": json.dumps(arguments.seeds),
    }


def _run_dir(arguments: argparse.Namespace, training: Training) -> Path:
    return Path(arguments.output) / "runs" / training.name


def _checkpoint(arguments: argparse.Namespace, training: Training) -> Path:
    """Name what is scored: the last checkpoint, so that all have learned from as many batches."""
    return _run_dir(arguments, training) / "checkpoints" / "last.ckpt"
