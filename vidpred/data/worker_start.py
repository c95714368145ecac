"""How a loader's worker begins."""

import gc
import os
import signal
import threading


def start_worker(worker: int) -> None:
    """Let the parent alone decide when the worker ends, and share memory with it.

    A scheduler signals all processes of a job at once, and a terminal that is closed those that it
    shows. A worker that died of it would interrupt its parent anywhere, even while that writes the
    checkpoint to resume from.

    Args:
        worker: Its number, which does not matter; loaders call this with it.
    """
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # which says who sent a signal; macOS has none
        # Blocked in all threads that begin after this, so that the one that waits gets it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_when_parent_says, daemon=True).start()
    # A forked worker shares its parent's memory as long as neither writes to it, and a collection
    # writes to every object.
    gc.freeze()


def _end_when_parent_says() -> None:
    # The parent ends workers so when a loader is given up, and at its own exit waits for them.
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)  # as torch's workers do; it takes any other status for a crash
