"""The table of a benchmark: quality with intervals, what each row costs, and how it was trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, Literal, TypedDict

from vidpred.benchmark.cost import Cost, Costing, MeasuredOn
from vidpred.benchmark.specification import Benchmark, Experiment
from vidpred.benchmark.trainings import Training, trained
from vidpred.evaluation.compare.markdown import markdown_table
from vidpred.evaluation.compare.pooled_rows import pooled_rows, pooled_rows_markdown
from vidpred.evaluation.results.result import Result
from vidpred.plain import python_number, with_prefix
from vidpred.provenance import provenance
from vidpred.storage.saved import named_checkpoint

FORMAT = "vidpred benchmark 1"
"""First entry of the JSON file; a change of the layout changes the number."""

COST_HEADS = (
    *("parameters", "multiply-adds a frame", "frames/s", "peak memory", "of the process"),
    *("trained for", "batches", "clips/s in training"),
)
"""Of what `cost_cells` gives."""

NOTHING = "\N{EN DASH}"


class TrainingFacts(TypedDict):
    """How one training of a row went.

    Attributes:
        seed: Of weights and samples.
        batches: That it has seen.
        seconds: Of training, validations left out; None when no clock ran.
        clips_per_second: Clips of all draws of its batches; None when no clock ran.
    """

    seed: int
    batches: int
    seconds: float | None
    clips_per_second: float | None


class RowFacts(TypedDict):
    """What a row is and costs.

    Attributes:
        kind: "baseline", "model" (scored as it is) or "trained".
        experiment: That was trained; None otherwise.
        budget: In words; None for what was not trained here.
        trainings: One a seed.
        cost: None when it was not measured.
        problem: Why not; may be empty.
    """

    kind: Literal["baseline", "model", "trained"]
    experiment: str | None
    budget: str | None
    trainings: list[TrainingFacts]
    cost: Cost | None
    problem: str


class BenchmarkTable(TypedDict):
    """Everything that the Markdown and the reports show, as plain data.

    Attributes:
        format: `FORMAT`.
        name: Of the benchmark.
        description: In a sentence.
        budget: Of the trainings, in words.
        provenance: What it was made with.
        rows: By name.
        protocols: By name, what `pooled_rows` gave.
    """

    format: str
    name: str
    description: str
    budget: str
    provenance: Mapping[str, Any]
    rows: dict[str, RowFacts]
    protocols: dict[str, dict[str, Any]]


def benchmark_table(
    benchmark: Benchmark,
    done: Sequence[Training],
    results: Mapping[str, Mapping[str, Sequence[Result]]],
    costs: Mapping[str, Costing],
    output: Path,
) -> BenchmarkTable:
    """Gather the table.

    Args:
        benchmark: Which.
        done: Its trainings that are in the results.
        results: By protocol and row.
        costs: By row; may be empty.
        output: Folder of the runs.
    """
    experiments = {training.row.name: training.row for training in done}
    rows: dict[str, RowFacts] = {}
    for name in dict.fromkeys(row for own in results.values() for row in own):
        row = experiments.get(name)
        kind: Literal["baseline", "model", "trained"] = "trained" if row else "model"
        if row is None and name not in {named_checkpoint(model)[0] for model in benchmark.models}:
            kind = "baseline"
        costing = costs.get(name)
        rows[name] = {
            "kind": kind,
            "experiment": None if row is None else row.experiment,
            "budget": None if row is None else benchmark.budget_of(row).words(),
            "trainings": []
            if row is None
            else [_facts(benchmark, row, each, output) for each in done if each.row.name == name],
            "cost": None if costing is None else costing["cost"],
            "problem": "" if costing is None else costing["problem"],
        }
    return {
        "format": FORMAT,
        "name": benchmark.name,
        "description": " ".join(benchmark.description.split()),
        "budget": benchmark.budget.words(),
        "provenance": provenance(),
        "rows": rows,
        "protocols": {
            protocol: pooled_rows(own, claims=benchmark.claims) for protocol, own in results.items()
        },
    }


def _facts(
    benchmark: Benchmark, row: Experiment, training: Training, output: Path
) -> TrainingFacts:
    so_far = trained(output, training)
    assert so_far is not None  # it has been scored
    clips = so_far.batches * benchmark.budget_of(row).batch_size * row.draws
    return {
        "seed": training.seed,
        "batches": so_far.batches,
        "seconds": so_far.seconds,
        "clips_per_second": python_number(clips) / so_far.seconds if so_far.seconds else None,
    }


def table_markdown(table: BenchmarkTable) -> str:
    """Write the table: quality under each protocol, then what rows cost.

    Returns:
        Markdown, ending in a newline.
    """
    parts = [
        f"## {table['name']}",
        table["description"],
        *(
            pooled_rows_markdown(content, "Quality").rstrip()
            for content in table["protocols"].values()
        ),
        _costs(table),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _costs(table: BenchmarkTable) -> str:
    # In the order of the first protocol's ranking.
    order = list(next(iter(table["protocols"].values()))["seeds"])
    rows = [[name, *cost_cells(table["rows"][name])] for name in order]
    parts = ["### Cost", markdown_table(["row", *COST_HEADS], rows), *cost_notes(table)]
    parts += problems_in_words(table)
    return "\n\n".join(parts)


def problems_in_words(table: BenchmarkTable) -> list[str]:
    """Say of which rows the cost could not be measured, and why."""
    return [
        f"Not measured: {name} ({facts['problem']})."
        for name, facts in table["rows"].items()
        if facts["problem"]
    ]


def three_digits(value: float) -> str:
    """Write a number with three significant digits, and never with an exponent.

    Example:
        >>> [three_digits(value) for value in (0.0123, 9.876, 1234.5, 42449)]
        ['0.0123', '9.88', '1,230', '42,400']
    """
    rounded = f"{value:.2e}"
    exponent = int(rounded.partition("e")[2])
    return f"{float(rounded):,.{max(0, 2 - exponent)}f}"


def cost_cells(facts: RowFacts) -> list[str]:
    """Write a row's parameters, multiply-adds, speed, memory, budget, batches and throughput."""
    cost = facts["cost"]
    own = [NOTHING] * 5
    if cost is not None:
        counted = cost["multiply_adds"]
        own = [
            f"{cost['parameters']:,}",
            with_prefix(counted) if counted else NOTHING,
            three_digits(cost["frames_per_second"]),
            f"{cost['own_memory'] / 2**20:,.0f} MiB",
            f"{cost['peak_memory'] / 2**20:,.0f} MiB",
        ]
    runs = facts["trainings"]
    speeds = [run["clips_per_second"] for run in runs if run["clips_per_second"]]
    batches = sorted({run["batches"] for run in runs})
    seen = " to ".join(f"{count:,}" for count in dict.fromkeys(batches[:1] + batches[-1:]))
    return [
        *own,
        facts["budget"] or NOTHING,
        seen or NOTHING,
        three_digits(mean(speeds)) if speeds else NOTHING,
    ]


def cost_notes(table: BenchmarkTable) -> list[str]:
    """Say under which conditions costs were measured."""
    found = [row["cost"]["measured_on"] for row in table["rows"].values() if row["cost"]]
    if not found:
        return []
    notes = [f"Measured {conditions(found[0])}, each row in a process of its own."]
    if any(conditions(one) != conditions(found[0]) for one in found):
        notes.append("Rows were measured under different conditions: their costs do not compare.")
    notes.append(
        "Multiply-adds are those of matrix products and convolutions, as PyTorch's counter sees "
        "them; optical flow by OpenCV is not among them. Peak memory is the network's own, "
        "weights included; that of the process has Python and libraries as well. Training "
        "throughput counts the clips of all draws of a batch; validations are left out."
    )
    return notes


def conditions(on: MeasuredOn) -> str:
    """Say where and on what a cost was measured."""
    threads = f", {on['threads']} {'thread' if on['threads'] == 1 else 'threads'}"
    return (
        f"on {on['processor']}{threads if on['device'] == 'cpu' else ''}, one clip of "
        f"{on['height']} x {on['width']} at a time, {on['context_frames']} frames in and "
        f"{on['horizon']} predicted, torch {on['torch']}"
    )
