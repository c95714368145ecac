"""A benchmark shared out: a W&B sweep of which each agent takes one training."""

from collections.abc import Sequence
from typing import Any

import yaml

from vidpred.benchmark.specification import Benchmark
from vidpred.benchmark.trainings import trainings


def sweep_configuration(
    benchmark: Benchmark, file: str, output: str, options: Sequence[str] = ()
) -> dict[str, Any]:
    """Give the configuration of a W&B sweep that trains the rows of a benchmark.

    The agents share a disk, or bring the runs together; the same benchmark then scores them.

    Args:
        benchmark: Which.
        file: As `vidpred benchmark` takes it.
        output: Folder of runs and results, the same for all agents.
        options: Of `vidpred benchmark`, for all trainings.

    Returns:
        For `wandb sweep FILE`.
    """
    names = [training.name for training in trainings(benchmark)]
    return {
        "program": "vidpred",
        "project": "vidpred",
        "name": benchmark.name,
        "method": "grid",
        "parameters": {"trainings": {"values": names}},
        "command": [
            *("${program}", "benchmark", file, "--train-only", f"--output={output}"),
            *options,
            "${args}",
        ],
    }


def sweep_yaml(configuration: dict[str, Any]) -> str:
    """Write it, with what to do with it in the first lines."""
    command = " ".join(word for word in configuration["command"][1:-1] if word != "--train-only")
    return (
        "# The trainings of a benchmark, shared out among W&B agents: wandb sweep THIS_FILE\n"
        f"# The agents share a disk; afterwards: vidpred {command}\n"
        + yaml.safe_dump(configuration, sort_keys=False)
    )
