"""`vidpred ablate`: the former name of `vidpred benchmark mathieu2016`."""

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vidpred.cli.benchmark import train, write_outputs
from vidpred.cli.benchmark_measures import measure_quality
from vidpred.cli.common import HelpWithDefaults, say
from vidpred.cli.refused_values import refusals
from vidpred.cli.scoring import add_scoring_options, require_all_scored
from vidpred.cli.value_types import given_path, training_seed
from vidpred.errors import VidpredError

if TYPE_CHECKING:
    from vidpred.benchmark import Benchmark, Experiment

FORMAT = "vidpred ablation 1"
"""First entry of `ablation.json`."""

ROWS = ("single_scale_l2", "l2", "l1", "gdl_l1", "adv", "adv_gdl")
"""Rows of `configs/benchmark/mathieu2016.yaml`; a test compares them."""


def add_ablate_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Add `ablate`; parsing sets `run`, a function from arguments to exit status."""
    parser = subparsers.add_parser(
        "ablate",
        help="deprecated: use vidpred benchmark mathieu2016",
        description="Deprecated, will be removed in 0.3: use vidpred benchmark mathieu2016. Train "
        "every row of the paper's table with every seed on equal budgets, score all last "
        "checkpoints and the baselines in one pass, and write ablation.md.",
        epilog="What follows -- goes to every `vidpred fit`, such as: -- --trainer.precision "
        "bf16-mixed --data.num_workers 8",
        formatter_class=HelpWithDefaults,
    )
    parser.add_argument(
        "--root", type=given_path, required=True, help="folder of the data set, such as data/ucf101"
    )
    parser.add_argument(
        "--output",
        type=given_path,
        default=Path("runs/ablation"),
        help="folder of runs and results",
    )
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), help="what to train")
    parser.add_argument(
        "--seeds", nargs="+", type=training_seed, default=[1, 2, 3], help="one run for each"
    )
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
    parser.set_defaults(run=run_ablate, module=[], fit_options=[])


def run_ablate(arguments: argparse.Namespace) -> int:
    """Run `vidpred ablate`: progress on stderr, the table on stdout.

    Raises:
        VidpredError: When an argument is out of range, or a training or the scoring failed.
    """
    from vidpred.benchmark.trainings import trainings
    from vidpred.evaluation.compare.pooled_rows import pooled_rows, pooled_rows_markdown

    say(
        "vidpred ablate is deprecated and will be removed in 0.3: use vidpred benchmark mathieu2016"
    )
    benchmark = as_benchmark(arguments)
    wanted = trainings(benchmark)
    if (status := train(benchmark, wanted, arguments, arguments.output)) or arguments.train_only:
        return status
    ((results, by_row),) = measure_quality(benchmark, wanted, arguments, arguments.output).values()
    content = {
        "format": FORMAT,
        **pooled_rows(by_row, claims=benchmark.claims, facts=_facts(arguments), ranked=False),
    }
    text = pooled_rows_markdown(content, "Ablation")
    write_outputs(arguments.output, "ablation", content, text)
    print(text, end="")
    require_all_scored(results)
    return 0


def as_benchmark(arguments: argparse.Namespace) -> "Benchmark":
    """Give the benchmark that the arguments mean.

    Raises:
        VidpredError: When an argument is out of range.
    """
    from vidpred.benchmark import Budget, load_benchmark
    from vidpred.benchmark.specification import ScoredBy

    for name in ("batches", "batch_size", "validations"):
        if getattr(arguments, name) < 1:
            raise VidpredError(f"--{name} is {getattr(arguments, name)}; expected at least 1")
    with refusals():
        budget = Budget(
            batches=arguments.batches,
            batch_size=arguments.batch_size,
            validations=arguments.validations,
        )
    benchmark = load_benchmark("mathieu2016")
    rows = {row.name: row for row in benchmark.experiments}
    chosen = [_with_files(rows[name], arguments) for name in dict.fromkeys(arguments.rows)]
    return replace(
        benchmark,
        experiments=chosen,
        budget=budget,
        seeds=list(dict.fromkeys(arguments.seeds)),
        data=replace(benchmark.data, root=str(arguments.root)),
        protocols=[ScoredBy(arguments.protocol)],
    )


def _with_files(row: "Experiment", arguments: argparse.Namespace) -> "Experiment":
    adversarial = "_adversarial" if row.draws == 2 else ""
    files = []
    if arguments.width == "paper":
        single = "_single_scale" if row.name.startswith("single_scale") else ""
        files.append(f"model/paper{adversarial or single}.yaml")
    if arguments.optimizer == "adam":
        files.append(f"model/adam{adversarial}.yaml")
    return replace(row, files=[*row.files, *files])


def _facts(arguments: argparse.Namespace) -> Mapping[str, object]:
    return {
        "batches": arguments.batches,
        "batch_size": arguments.batch_size,
        "width": arguments.width,
        "optimizer": arguments.optimizer,
        "seeds": json.dumps(arguments.seeds),
    }
