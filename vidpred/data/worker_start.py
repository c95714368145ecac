"""How a loader's worker begins."""

import signal

from vidpred.data.worker_memory import share_with_parent


def start_worker(worker: int) -> None:
    """Let the parent alone decide when the worker ends, and share memory with it.

    A scheduler signals all processes of a job at once. A worker that died of it would interrupt its
    parent anywhere, even while that writes the checkpoint to go on from.

    Args:
        worker: Its number, which does not matter; loaders call this with it.
    """
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    share_with_parent(worker)
