"""What `vidpred predict` shows while it works."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from vidpred.cli.scoring import say


class PredictionProgress:
    """A bar on stderr, and the rate at the end."""

    def __init__(self, total: int | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("Predicting frames"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
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
        """Make room for lines on stdout, which may be the same screen."""
        self._bar.stop()

    @property
    def rate(self) -> float:
        """Frames per second until now: reading, predicting and writing."""
        return self.frames / (time.perf_counter() - self._start)


@contextmanager
def prediction_progress(total: int | None) -> Iterator[PredictionProgress]:
    """Show progress on stderr, and in the end the rate.

    Args:
        total: Frames to come; None when nobody knows.
    """
    progress = PredictionProgress(total)
    try:
        yield progress
    finally:
        progress.pause()
    if progress.frames:
        say(
            f"{progress.frames} frames, {progress.rate:.3g} frames per second "
            "(reading, predicting and writing)"
        )
