"""Work that waits for its turn, in threads that do not keep the program from ending."""

import queue
import threading
from collections.abc import Callable

Work = Callable[[], None]


class Worker:
    """Runs work in the order in which it comes.

    Args:
        threads: How many pieces run at once.
    """

    def __init__(self, threads: int = 1) -> None:
        self._queue: queue.Queue[Work | None] = queue.Queue()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Work) -> None:
        """Run something later; it reports its own failures."""
        self._queue.put(work)

    def stop(self, patience: float) -> None:
        """Take no more work, and wait a few seconds for what runs."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(patience)

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            work()
