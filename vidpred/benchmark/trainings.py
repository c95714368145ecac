"""The trainings of a benchmark: each is a `vidpred fit` of its own, in a process of its own."""

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vidpred.benchmark.benchmark_file import experiment_file
from vidpred.benchmark.specification import Benchmark, Budget, Experiment
from vidpred.errors import BenchmarkError, VidpredError
from vidpred.plain import differences, python_number
from vidpred.runs.clock import CLOCK_KEY
from vidpred.runs.configuration import CONFIGURATION_KEY
from vidpred.runs.folder import wait_until_free
from vidpred.storage.checkpoint import CHECKPOINT_KEY, read_checkpoint

ENDED = (130, 143)
"""Exit statuses of a training that the user or the scheduler ended."""

COMPARED = ("model", "data", "seed_everything")
"""Sections of a configuration that have to be the same for a training to be the same."""

ELSEWHERE = ("root", "samples_per_epoch", "num_workers")
"""Settings of the data that say where they are and how far a training goes."""

PART_OF_A_BENCHMARK = "VIDPRED_BENCHMARK"
"""Variable in the environment of its trainings, which do not say how to test what they trained."""

PATIENCE = 120.0
"""Seconds for which a training waits for one that a killed benchmark has left."""


class Training(NamedTuple):
    """One training.

    Attributes:
        row: Of the table.
        seed: Of weights and samples.
    """

    row: Experiment
    seed: int

    @property
    def name(self) -> str:
        """Name of its run and of its results."""
        return f"{self.row.name}-seed{self.seed}"


class Trained(NamedTuple):
    """How far a training is.

    Attributes:
        batches: That it has seen.
        seconds: Of training, validations left out; None when no clock ran.
    """

    batches: int
    seconds: float | None


def trainings(benchmark: Benchmark) -> list[Training]:
    """Give all trainings, seed by seed, so that a table of one seed is there early."""
    seeds = dict.fromkeys(seed for row in benchmark.experiments for seed in benchmark.seeds_of(row))
    return [
        Training(row, seed)
        for seed in seeds
        for row in benchmark.experiments
        if seed in benchmark.seeds_of(row)
    ]


def fit_command(
    benchmark: Benchmark, training: Training, output: Path, extra: Sequence[str] = ()
) -> list[str]:
    """Give the command line of one training, after the program's name.

    Args:
        benchmark: Which.
        training: One of its trainings.
        output: Folder of the benchmark.
        extra: Options that come last.
    """
    row, budget, data = training.row, benchmark.budget_of(training.row), benchmark.data
    batch_size = budget.batch_size * row.draws
    return [
        "fit",
        *(word for file in (experiment_file(row), *row.files) for word in ("-c", file)),
        *([] if data.file is None else [f"--data={data.file}"]),
        f"--run_dir={run_dir(output, training)}",
        "--resume=auto",
        *([] if data.root is None else [f"--{data.root_key}={data.root}"]),
        f"--data.batch_size={batch_size}",
        *_length(budget, batch_size),
        f"--seed_everything={training.seed}",
        f"--wandb.group={output.name}",
        f"--wandb.name={training.name}",
        *_options({**benchmark.options, **row.options}, budget),
        *extra,
    ]


def _length(budget: Budget, batch_size: int) -> list[str]:
    clock = "--trainer.callbacks+=vidpred.callbacks.TrainingClock"
    if budget.batches is None:
        minutes = f"--trainer.callbacks.init_args.minutes={python_number(budget.minutes)}"
        return ["--trainer.max_epochs=-1", clock, minutes]
    samples = batch_size * budget.batches // budget.validations
    return [
        f"--data.samples_per_epoch={samples}",
        f"--trainer.max_epochs={budget.validations}",
        clock,
    ]


def _options(options: Mapping[str, Any], budget: Budget) -> Iterator[str]:
    for key, value in options.items():
        filled = _filled(value, budget, key)
        yield f"--{key}={filled if isinstance(filled, str) else json.dumps(filled)}"


def _filled(value: Any, budget: Budget, key: str) -> Any:
    """Put the batches of the budget where a value asks for them."""
    if isinstance(value, Mapping):
        return {name: _filled(inner, budget, key) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, budget, key) for inner in value]
    if value != "${batches}":
        return python_number(value)
    if budget.batches is None:
        raise BenchmarkError(
            f"option {key} asks for the batches of the budget, which is {budget.words()}; expected "
            "a budget of batches, or another value for this key"
        )
    return int(budget.batches)


def run_dir(output: Path, training: Training) -> Path:
    """Give the folder of a training's run."""
    return output / "runs" / training.name


def checkpoint_of(output: Path, training: Training) -> Path:
    """Name what is scored: the last checkpoint, which has used up the budget."""
    return run_dir(output, training) / "checkpoints" / "last.ckpt"


def trained(output: Path, training: Training) -> Trained | None:
    """Say how far a training is; None before its first checkpoint."""
    last = checkpoint_of(output, training)
    if not last.is_file():
        return None
    checkpoint = read_checkpoint(last)
    clock = checkpoint.get("callbacks", {}).get(CLOCK_KEY)
    batches = int(checkpoint[CHECKPOINT_KEY]["batches_seen"])
    return Trained(batches, None if clock is None else float(clock["seconds"]))


def is_done(benchmark: Benchmark, training: Training, output: Path) -> bool:
    """Say whether a training has used up its budget.

    Raises:
        BenchmarkError: When it has seen more batches than the budget has.
    """
    budget, so_far = benchmark.budget_of(training.row), trained(output, training)
    if so_far is None:
        return False
    if budget.minutes is not None:
        return so_far.seconds is not None and so_far.seconds >= 60 * budget.minutes
    if so_far.batches > budget.batches:  # type: ignore[operator]  # one of the two is there
        raise BenchmarkError(
            f"{checkpoint_of(output, training)} was trained for {so_far.batches} batches, more "
            f"than the budget of {budget.batches}; choose another --output, or as many batches"
        )
    return so_far.batches == budget.batches


def train_missing(
    benchmark: Benchmark,
    wanted: Sequence[Training],
    output: Path,
    *,
    extra: Sequence[str] = (),
    check: Callable[[Sequence[str]], Mapping[str, Any]],
    say: Callable[[str], None] = lambda line: None,
) -> int:
    """Train what is not trained yet, and resume what was interrupted.

    Args:
        benchmark: Which.
        wanted: Its trainings, or some of them.
        output: Folder of runs and results.
        extra: Options of every `vidpred fit`.
        check: Gives the configuration of a training's command line, or refuses it, without
            training; called before the first one begins.
        say: Shows a line of progress.

    Returns:
        0, or the exit status of a training that was ended by a signal.

    Raises:
        BenchmarkError: When trainings failed, the others are done by then; or when there are some
            of another configuration.
    """
    commands = {each.name: fit_command(benchmark, each, output, extra) for each in wanted}
    missing = [each for each in wanted if not is_done(benchmark, each, output)]
    checked: set[str] = set()
    for each in wanted:
        is_begun = checkpoint_of(output, each).is_file()
        if not is_begun and each.row.name in checked:
            continue
        try:
            configuration = check(commands[each.name])
        except VidpredError as error:
            raise BenchmarkError(f"row {each.row.name}: {error}") from error
        checked.add(each.row.name)
        if is_begun:
            _require_same(checkpoint_of(output, each), configuration)
    failed: dict[str, int] = {}
    for number, each in enumerate(wanted, start=1):
        if each not in missing:
            continue
        say(f"{number}/{len(wanted)} {each.name}: {benchmark.budget_of(each.row).words()}")
        _drop_scores(output, each)
        status = _fit(commands[each.name], run_dir(output, each))
        if status in ENDED:
            return status
        if status or not is_done(benchmark, each, output):
            failed[each.name] = status
    if failed:
        named = ", ".join(f"{name} (exit status {status})" for name, status in failed.items())
        raise BenchmarkError(
            f"{len(failed)} of {len(wanted)} trainings failed: {named}; see above. "
            + ("The others are done: " if len(failed) < len(wanted) else "Mend the cause, then ")
            + "run the same command again, or leave these out with --rows"
        )
    return 0


def _require_same(path: Path, configuration: Mapping[str, Any]) -> None:
    """Refuse a training that another configuration began: it would pass for this one."""
    before = read_checkpoint(path).get(CONFIGURATION_KEY, configuration)
    changed = {
        name: pair
        for name, pair in differences(before, configuration).items()
        if name.partition(".")[0] in COMPARED and name.rpartition(".")[2] not in ELSEWHERE
    }
    if changed:
        named = "; ".join(f"{name} {was}, now {now}" for name, (was, now) in changed.items())
        raise BenchmarkError(
            f"{path} was trained with another configuration: {named}. Expected the same: choose "
            f"another --output, or remove {path.parent.parent} to train it again"
        )


def _drop_scores(output: Path, training: Training) -> None:
    """Remove the scores of weights that this training is about to replace."""
    for result in output.glob(f"results/*/{training.name}.json"):
        result.unlink(missing_ok=True)


def _fit(command: Sequence[str], folder: Path) -> int:
    """Train in a process of its own, so that nothing of one training is left in the next."""
    wait_until_free(folder, PATIENCE)
    return subprocess.run(
        [sys.executable, "-m", "vidpred", *command],
        check=False,
        env={**os.environ, PART_OF_A_BENCHMARK: "1"},
        preexec_fn=_die_with_parent,
    ).returncode


def _die_with_parent() -> None:
    """Let Linux end the training when this process is killed: it saves, and the next resumes."""
    if sys.platform == "linux":
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG, linux/prctl.h
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)
