"""Loader workers end when their parent says so, and at no other signal."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection

import pytest

from vidpred.data.worker_start import start_worker

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "sigwaitinfo"), reason="this system does not tell who sent a signal"
)


def work(started: Connection) -> None:
    start_worker(0)
    started.send(os.getpid())
    time.sleep(60)


def test_a_job_that_is_ended_leaves_workers_to_their_parent() -> None:
    heard, started = multiprocessing.Pipe(duplex=False)
    worker = multiprocessing.get_context("fork").Process(target=work, args=(started,), daemon=True)
    worker.start()
    pid = heard.recv()
    for name in ("SIGTERM", "SIGUSR1"):
        other = f"import os, signal; os.kill({pid}, signal.{name})"
        subprocess.run([sys.executable, "-c", other], check=True)
    worker.join(0.5)
    assert worker.is_alive()
    worker.terminate()
    worker.join(10)
    assert worker.exitcode == 128 + signal.SIGTERM
