"""Time a training step of each stochastic or likelihood predictor, as its experiment builds it.

    python tools/bench_train_generative.py               # about a minute on two cores

Each row is the task of an experiment (`configs/experiment`) with its `cpu` network and optimizers,
on noise of the experiment's frame size: batches of 8 clips for each network that learns. A step is
all that Lightning does in a batch. Printed are the medians, over the steps after the first three,
of the time that passed and of the seconds of all cores, which other programs lengthen less.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import pytorch_lightning as pl
import torch
import yaml
from jsonargparse import ArgumentParser
from processor import describe_processor
from torch.utils.data import DataLoader, IterableDataset

from vidpred.kernels import keep_freed_memory
from vidpred.provenance import provenance
from vidpred.resources import packaged_configurations
from vidpred.tasks import AdversarialTask, PredictionTask

ROWS = ("svg_lp", "svg_fp", "autoencoder", "mixture", "dcgan", "pixelcnn", "pixelrnn")
SKIPPED = 3
"""Steps in which caches fill; Lightning asks for two batches before the first."""


class Timed(IterableDataset[dict[str, Any]]):
    """Gives the same batch again and again, and takes the time until the next is asked for."""

    def __init__(self, batch: dict[str, Any], seconds: float) -> None:
        self.batch, self.seconds = batch, seconds
        self.steps: list[float] = []
        self.core_seconds: list[float] = []

    def __iter__(self) -> Iterator[dict[str, Any]]:
        began = time.perf_counter()
        while len(self.steps) < SKIPPED + 5 or time.perf_counter() - began < self.seconds:
            mark, used = time.perf_counter(), time.process_time()
            yield self.batch
            self.steps.append(time.perf_counter() - mark)
            self.core_seconds.append(time.process_time() - used)


def build(experiment: str) -> tuple[PredictionTask, tuple[int, int]]:
    """Build the task of an experiment, and give its frame size."""
    file = packaged_configurations() / "experiment" / f"{experiment}.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(PredictionTask, "model")
    built = parser.instantiate(parser.parse_object({"model": content["model"]}))
    height, width = content["data"]["init_args"]["resize"]
    return cast(PredictionTask, built.model), (height, width)


def measure(experiment: str, batch_size: int, seconds: float) -> str:
    """Time an experiment; give its row of the table."""
    pl.seed_everything(1, verbose=False)
    task, size = build(experiment)
    draws = 2 if isinstance(task, AdversarialTask) else 1
    frames = task.predictor.context_frames + task.training_horizon
    channels = task.predictor.channels or 3
    generator = torch.Generator().manual_seed(1)
    shape = (draws * batch_size, frames, channels, *size)
    clips = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    timed = Timed({"frames": clips}, seconds)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(task, DataLoader(timed, batch_size=None))
    passed, used = (statistics.median(k[SKIPPED:]) for k in (timed.steps, timed.core_seconds))
    weights = sum(p.numel() for p in task.predictor.parameters())
    return (
        f"| `{experiment}` | {weights:,} | {size[0]} x {size[1]} | {frames} "
        f"| {passed:.3f} | {used:.3f} |"
    )


def main() -> None:
    """Time all rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiments", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--batch-size", type=int, default=8, help="clips for each network")
    parser.add_argument("--seconds", type=float, default=6, help="for each row, at least 5 steps")
    arguments = parser.parse_args()
    keep_freed_memory()  # as `vidpred fit` does
    print(f"{datetime.now(UTC):%Y-%m-%d}, commit {provenance()['commit']}")
    print(f"{describe_processor(torch.device('cpu'))}, torch {torch.__version__}")
    print(f"batches of {arguments.batch_size} clips\n")
    print("| experiment | parameters | frame | frames of a clip | s a step | of all cores |")
    print("|---|---|---|---|---|---|")
    for experiment in arguments.experiments:
        print(measure(experiment, arguments.batch_size, arguments.seconds), flush=True)


if __name__ == "__main__":
    main()
