"""What a benchmark measures of trained rows: scores under each protocol, and costs."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vidpred.cli.common import device_of, import_modules, say
from vidpred.cli.progress import counting
from vidpred.cli.scoring import score

if TYPE_CHECKING:
    from vidpred.benchmark import Benchmark
    from vidpred.benchmark.cost import Costing
    from vidpred.benchmark.specification import ScoredBy
    from vidpred.benchmark.trainings import Training
    from vidpred.evaluation import Result


def measure_quality(
    benchmark: "Benchmark",
    done: "Sequence[Training]",
    arguments: argparse.Namespace,
    output: Path,
) -> "dict[str, tuple[list[Result], Mapping[str, Sequence[Result]]]]":
    """Score all rows by all protocols.

    Returns:
        By protocol, the results of all methods, and the same by row.
    """
    found = {}
    for scored in benchmark.protocols:
        name, results = _score(benchmark, scored, done, arguments, output)
        found[name] = (results, rows_of(results, done))
    return found


def _score(
    benchmark: "Benchmark",
    scored: "ScoredBy",
    done: "Sequence[Training]",
    arguments: argparse.Namespace,
    output: Path,
) -> "tuple[str, list[Result]]":
    from vidpred.benchmark.trainings import checkpoint_of
    from vidpred.evaluation import load_protocol
    from vidpred.evaluation.scoring.checkpoint_methods import checkpoint_methods
    from vidpred.evaluation.scoring.methods import baselines
    from vidpred.evaluation.sources.video_clips import VideoClips
    from vidpred.models import BASELINES

    protocol = load_protocol(scored.protocol)
    device = device_of(arguments.device)
    source = VideoClips(protocol.protocol, root_of(benchmark, scored))
    named = [f"{each.name}={checkpoint_of(output, each)}" for each in done]
    methods = [
        *(
            method
            for method in baselines(device, protocol.protocol.clips.context_frames)
            if method.description["name"] in benchmark.baselines
        ),
        *checkpoint_methods(
            [*benchmark.models, *named],
            device,
            taken=set(BASELINES),
            modules=import_modules(arguments.module),
        ),
    ]
    name = protocol.protocol.name
    say(f"scoring {len(methods)} methods by {name}")
    folder = output / "results" / name
    return name, score(arguments, protocol, source, methods, folder, device)


def rows_of(
    results: "Sequence[Result]", done: "Sequence[Training]"
) -> "Mapping[str, Sequence[Result]]":
    """Bring the results of a row's seeds together; baselines and models have one each."""
    row_of = {training.name: training.row.name for training in done}
    rows: dict[str, list[Result]] = {}
    for result in results:
        name = result["method"]["name"]
        rows.setdefault(row_of.get(name, name), []).append(result)
    return rows


def root_of(benchmark: "Benchmark", scored: "ScoredBy") -> str:
    """Give the folder of a protocol's videos."""
    from vidpred.cli.benchmark_refusals import ROOT

    return scored.root or benchmark.data.root or ROOT


def measure_costs(
    benchmark: "Benchmark",
    done: "Sequence[Training]",
    rows: Sequence[str],
    arguments: argparse.Namespace,
    output: Path,
) -> "dict[str, Costing]":
    """Measure what each row costs; nothing where the benchmark asks for no costs.

    Returns:
        By row.
    """
    import torch

    from vidpred.benchmark.cost import measure_cost
    from vidpred.benchmark.trainings import checkpoint_of
    from vidpred.files import file_sha256
    from vidpred.storage.saved import find_saved, named_checkpoint

    if benchmark.cost is None:
        return {}
    models = (named_checkpoint(each) for each in benchmark.models)
    saved = {name: find_saved(checkpoint) for name, checkpoint in models}
    for training in reversed(done):  # the first seed stays
        saved[training.row.name] = checkpoint_of(output, training)
    scored, found = benchmark.protocols[0], {}
    with counting("Measuring speed and memory") as progress:
        for number, row in enumerate(rows, start=1):
            path = saved.get(row)
            found[row] = measure_cost(
                {
                    "method": {"baseline": row}
                    if path is None
                    else {"saved": str(path), "sha256": file_sha256(path)},
                    "protocol": scored.protocol,
                    "root": root_of(benchmark, scored),
                    "device": str(device_of(arguments.device)),
                    "seconds": float(benchmark.cost.seconds),
                    "modules": list(arguments.module),
                    "threads": torch.get_num_threads(),
                },
                benchmark.cost,
                output / "cost" / f"{row}.json",
            )
            progress(number, len(rows))
    return found
