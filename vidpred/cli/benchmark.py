"""`vidpred benchmark`: rows trained on equal budgets, scored in one pass, with what they cost."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidpred.cli.benchmark_measures import measure_costs, measure_quality
from vidpred.cli.common import HelpWithDefaults, add_module_option, import_modules, say
from vidpred.cli.progress import counting
from vidpred.cli.refused_values import refusals
from vidpred.cli.scoring import add_scoring_options, require_all_scored
from vidpred.cli.value_types import above_zero, at_least_one, given_path, training_seed
from vidpred.errors import VidpredError
from vidpred.resources import BENCHMARKS

if TYPE_CHECKING:
    from vidpred.benchmark import Benchmark
    from vidpred.benchmark.table import BenchmarkTable
    from vidpred.benchmark.trainings import Training
    from vidpred.evaluation import Result


def add_benchmark_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Add `benchmark`; parsing sets `run`, a function from arguments to exit status."""
    parser = subparsers.add_parser(
        "benchmark",
        help="train rows on equal budgets, score them in one pass, and show what they cost",
        description="Train every row of a benchmark with every seed on equal budgets, score all "
        "last checkpoints, bundled models and baselines in one pass over the clips of each "
        "protocol, measure parameters, multiply-adds, speed and memory of each row in a process "
        "of its own, and write benchmark.md, benchmark.json and a report for each protocol. Each "
        "training is a `vidpred fit`; the same command resumes, wherever it was stopped.",
        epilog="What follows -- goes to every `vidpred fit`, such as: -- --trainer.precision "
        "bf16-mixed --data.num_workers 8",
        formatter_class=HelpWithDefaults,
    )
    parser.add_argument(
        "file",
        metavar="FILE",
        help=f"name of a benchmark of the package ({', '.join(BENCHMARKS.names())}), or a YAML "
        "file",
    )
    parser.add_argument("--root", help="folder of the data set, in place of the file's")
    parser.add_argument(
        "--output",
        type=given_path,
        help="folder of runs and results (default: runs/benchmark/NAME)",
    )
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="these experiments alone")
    parser.add_argument("--seeds", nargs="+", type=training_seed, help="in place of the file's")
    parser.add_argument(
        "--trainings", nargs="+", metavar="ROW-seedN", help="these trainings alone, as in a sweep"
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--batches", type=at_least_one, help="of each training, as its budget")
    length.add_argument("--minutes", type=above_zero, help="of each training, as its budget")
    parser.add_argument(
        "--batch-size", type=at_least_one, help="clips of a batch, in place of the file's"
    )
    parser.add_argument(
        "--validations",
        type=at_least_one,
        help="validations, spread over the batches, in place of the file's",
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument(
        "--train-only", action="store_true", help="train what is missing, and score nothing"
    )
    only.add_argument(
        "--score-only", action="store_true", help="score what is trained, and train nothing"
    )
    only.add_argument(
        "--sweep",
        type=given_path,
        metavar="FILE",
        help="write a W&B sweep whose agents train one row and seed each, and do nothing else",
    )
    add_module_option(parser)
    add_scoring_options(parser, protocol=None, required=False)
    parser.set_defaults(run=run_benchmark, fit_options=[])


def run_benchmark(arguments: argparse.Namespace) -> int:
    """Run `vidpred benchmark`: progress on stderr, the tables on stdout.

    Raises:
        VidpredError: When the benchmark is not right, or a training or the scoring failed.
    """
    # Here and not above, as elsewhere in this file: `--help` has to answer at once.
    from vidpred.cli.benchmark_refusals import require_data

    if arguments.sweep is None:
        require_data(arguments.file, root=arguments.root, protocol=arguments.protocol)
    from vidpred.benchmark import load_benchmark
    from vidpred.benchmark.table import benchmark_table, table_markdown

    benchmark = overridden(load_benchmark(arguments.file), arguments)
    output = arguments.output or Path("runs/benchmark") / benchmark.name
    if arguments.sweep is not None:
        return _write_sweep(benchmark, arguments, output)
    benchmark = benchmark.in_folder(output)
    wanted = _wanted(benchmark, arguments)
    import_modules(arguments.module)  # scoring needs them, hours later: a wrong name is refused now
    if not arguments.score_only and (status := train(benchmark, wanted, arguments, output)):
        return status
    if arguments.train_only:
        return 0
    done = _done(benchmark, wanted, output, partly=arguments.score_only)
    quality = measure_quality(benchmark, done, arguments, output)
    results = {name: own for name, (own, _) in quality.items()}
    by_row = {name: rows for name, (_, rows) in quality.items()}
    costs = measure_costs(benchmark, done, list(next(iter(by_row.values()))), arguments, output)
    table = benchmark_table(benchmark, done, by_row, costs, output)
    text = table_markdown(table)
    write_outputs(output, "benchmark", table, text)
    _write_reports(output, table, results)
    print(text, end="")
    require_all_scored([r for own in results.values() for r in own])
    return 0


def overridden(benchmark: "Benchmark", arguments: argparse.Namespace) -> "Benchmark":
    """Put what the command line says in place of what the file says.

    Raises:
        VidpredError: When the two do not go together.
    """
    from vidpred.benchmark.benchmark_file import check_benchmark
    from vidpred.benchmark.specification import ScoredBy
    from vidpred.errors import BenchmarkError, did_you_mean

    budget: dict[str, Any] = {}
    for name in ("batch_size", "validations"):
        if getattr(arguments, name) is not None:
            budget[name] = getattr(arguments, name)
    if arguments.batches is not None:
        budget |= {"batches": arguments.batches, "minutes": None}
    if arguments.minutes is not None:
        budget |= {"minutes": arguments.minutes, "batches": None}
    changed: dict[str, Any] = {}
    if budget:
        with refusals(BenchmarkError):
            changed["budget"] = replace(benchmark.budget, **budget)
    if arguments.seeds:
        changed["seeds"] = list(dict.fromkeys(arguments.seeds))
    if arguments.root:
        changed["data"] = replace(benchmark.data, root=arguments.root)
        changed["protocols"] = [replace(each, root=None) for each in benchmark.protocols]
    if arguments.protocol:
        changed["protocols"] = [ScoredBy(arguments.protocol)]
    if arguments.rows:
        known = {row.name: row for row in benchmark.experiments}
        for name in arguments.rows:
            if name not in known:
                raise BenchmarkError(
                    f"--rows {name}: no experiment of {benchmark.name}"
                    f"{did_you_mean(name, known)}; expected some of {', '.join(known)}"
                )
        changed["experiments"] = [row for name, row in known.items() if name in arguments.rows]
        there = {*arguments.rows, *benchmark.baselines, *benchmark.models}
        changed["claims"] = [c for c in benchmark.claims if {c.better, c.worse} <= there]
    benchmark = replace(benchmark, **changed)
    check_benchmark(benchmark)
    return benchmark


def train(
    benchmark: "Benchmark",
    wanted: "Sequence[Training]",
    arguments: argparse.Namespace,
    output: Path,
) -> int:
    """Train what is missing; gives 0, or the exit status of a training that a signal ended."""
    from vidpred.benchmark.trainings import train_missing
    from vidpred.cli.benchmark_refusals import check_configuration

    return train_missing(
        benchmark,
        wanted,
        output,
        extra=arguments.fit_options,
        check=partial(
            check_configuration, modules=None if arguments.train_only else arguments.module
        ),
        say=say,
    )


def _wanted(benchmark: "Benchmark", arguments: argparse.Namespace) -> "list[Training]":
    from vidpred.benchmark.trainings import trainings
    from vidpred.errors import BenchmarkError, did_you_mean

    all_of_them = {training.name: training for training in trainings(benchmark)}
    for name in arguments.trainings or ():
        if name not in all_of_them:
            raise BenchmarkError(
                f"--trainings {name}: no training of {benchmark.name}"
                f"{did_you_mean(name, all_of_them)}; expected some of {', '.join(all_of_them)}"
            )
    chosen = arguments.trainings or all_of_them
    return [training for name, training in all_of_them.items() if name in chosen]


def _done(
    benchmark: "Benchmark", wanted: "Sequence[Training]", output: Path, *, partly: bool
) -> "list[Training]":
    """Give the trainings that can be scored; `partly` leaves out those that are not done."""
    from vidpred.benchmark.trainings import is_done

    done = [training for training in wanted if is_done(benchmark, training, output)]
    if partly and (left := [training.name for training in wanted if training not in done]):
        say(f"not trained yet, and left out: {', '.join(left)}")
    return done


def write_outputs(output: Path, stem: str, content: object, text: str) -> None:
    """Write a table as JSON and as Markdown."""
    from vidpred.files import replacing, write_json, write_text

    write_json(output / f"{stem}.json", content)
    with replacing(output / f"{stem}.md") as temporary:
        write_text(temporary, text)
    say(f"wrote {output / stem}.md and {stem}.json; results: {output / 'results'}")


def _write_reports(
    output: Path, table: "BenchmarkTable", results: "Mapping[str, Sequence[Result]]"
) -> None:
    from vidpred.benchmark.report_rows import report_rows
    from vidpred.evaluation.compare.comparison import compare
    from vidpred.evaluation.report import write_report

    for protocol, own in results.items():
        folder = output / "results" / protocol
        named = {str(folder / f"{r['method']['name']}.json"): r for r in own if r["rows"]}
        path = output / f"{protocol}.html"
        with counting("Pictures of clips") as progress:
            rows = report_rows(table, protocol)
            write_report(path, compare(named), benchmark=rows, progress=progress)
        say(f"wrote {path}")


def _write_sweep(benchmark: "Benchmark", arguments: argparse.Namespace, output: Path) -> int:
    from vidpred.benchmark.sweep import sweep_configuration, sweep_yaml
    from vidpred.files import replacing, write_text

    options = [f"--root={arguments.root}"] if arguments.root else []
    for name in ("batches", "minutes", "batch_size", "validations"):
        if (value := getattr(arguments, name)) is not None:
            options.append(f"--{name.replace('_', '-')}={value}")
    options += [f"--module={name}" for name in arguments.module]
    configuration = sweep_configuration(benchmark, arguments.file, str(output), options)
    if not configuration["parameters"]["trainings"]["values"]:
        raise VidpredError(f"{benchmark.name} trains nothing; expected experiments to share out")
    arguments.sweep.parent.mkdir(parents=True, exist_ok=True)
    with replacing(arguments.sweep) as temporary:
        write_text(temporary, sweep_yaml(configuration))
    say(f"wrote {arguments.sweep}; next: wandb sweep {arguments.sweep}")
    return 0
