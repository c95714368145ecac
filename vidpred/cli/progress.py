"""Progress of all commands: bars on stderr, which a pipe or a log file never sees."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vidpred.cli.common import say
from vidpred.plain import counted

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn


def _bars(*columns: "ProgressColumn", shown: bool = True) -> "Progress":
    from rich.console import Console
    from rich.progress import Progress

    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not shown)


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show one bar on stderr.

    Args:
        what: Label, such as "Scoring clips".

    Yields:
        A function of the number done and the number in all.
    """
    with counting_phases() as show:
        yield lambda done, total: show(what, done, total)


@contextmanager
def counting_phases() -> Iterator[Callable[[str, int, int], None]]:
    """Show one bar on stderr for each phase of a command.

    Yields:
        A function of the phase's label, the number done and the number in all.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with _bars(*columns) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield show


@contextmanager
def transferring() -> Iterator[Callable[[str, int, int | None], None]]:
    """Show one bar on stderr for each download or archive.

    Yields:
        A function of the label, the bytes done and the bytes in all (None: unknown).
    """
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with _bars(*columns) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                # Bytes of an earlier attempt are no speed of this one.
                tasks[what] = bars.add_task(what, total=total, completed=done)
            bars.update(tasks[what], completed=done, total=total)

        yield show


class PredictionProgress:
    """A bar on stderr, and the rate at the end."""

    def __init__(self, total: int | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

        self._bar = _bars(
            TextColumn("Predicting frames"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            shown=Console(stderr=True).is_terminal,
        )
        self._task = self._bar.add_task("", total=total, rate="")
        self._start = time.perf_counter()
        self.frames = 0

    def advance(self) -> None:
        """Count one frame."""
        self.frames += 1
        self._bar.start()
        self._bar.update(self._task, advance=1, rate=f"{self.rate:.3g} frames/s")

    def pause(self) -> None:
        """Hide the bar while lines go to stdout, which may be the same screen."""
        self._bar.stop()

    @property
    def rate(self) -> float:
        """Frames per second until now: reading, predicting and writing."""
        return self.frames / (time.perf_counter() - self._start)


@contextmanager
def prediction_progress(total: int | None) -> Iterator[PredictionProgress]:
    """Show progress on stderr, and in the end the rate.

    Args:
        total: Frames to come; None when unknown.
    """
    progress = PredictionProgress(total)
    try:
        yield progress
    finally:
        progress.pause()
    if progress.frames:
        say(
            f"{counted(progress.frames, 'frame')}, {progress.rate:.3g} frames per second "
            "(reading, predicting and writing)"
        )
