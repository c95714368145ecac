"""Rows of a benchmark of loaders that take turns, so that all meet the same disturbances."""

import multiprocessing
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

Row = Callable[[], Iterator[Any]]
"""Starts its workers and gives batches without end."""


def side_by_side(title: str, rows: dict[str, Row], rounds: int, seconds: float) -> None:
    """Let the rows take turns and print medians, and their ratio to the first.

    Args:
        title: What is counted.
        rows: By name.
        rounds: Turns of each.
        seconds: Of a turn. As long is waited before, until what the workers had ready is used up.
    """
    running = {name: Running(row) for name, row in rows.items()}
    rates: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, turn in running.items():
            with turn as batches:
                begin = time.perf_counter()
                while time.perf_counter() - begin < seconds:
                    next(batches)
                begin, count = time.perf_counter(), 0
                while time.perf_counter() - begin < seconds:
                    count += len(next(batches))
                rates[name].append(count / (time.perf_counter() - begin))
    for turn in running.values():
        turn.end()
    print(title)
    first = rates[next(iter(rates))]
    for name, measured in rates.items():
        ratio = statistics.median(m / f for m, f in zip(measured, first, strict=True))
        spread = f"{min(measured):.0f} to {max(measured):.0f}"
        print(f"  {name:58s} {statistics.median(measured):9.1f}  {ratio:6.2f}x  ({spread})")
    print(flush=True)


class Running:
    """A row whose workers are stopped while it is not its turn: they would work ahead."""

    def __init__(self, row: Row) -> None:
        before = multiprocessing.active_children()
        self._batches = row()
        next(self._batches)  # starts the workers
        self._workers = [w for w in multiprocessing.active_children() if w not in before]
        self._signal(signal.SIGSTOP)

    def __enter__(self) -> Iterator[Any]:
        self._signal(signal.SIGCONT)
        return self._batches

    def __exit__(self, *_: object) -> None:
        self._signal(signal.SIGSTOP)

    def end(self) -> None:
        """Let the workers end as they are used to."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for worker in self._workers:
            if worker.pid:
                os.kill(worker.pid, number)
