"""Loader workers end when their parent says so, and at no other signal."""

import signal
import subprocess
import sys

import pytest

# In a process of its own: others of these tests have left handlers for the end of children.
PARENT = """
import multiprocessing, os, subprocess, sys, time
from vidpred.data.worker_start import start_worker

def work(started):
    start_worker(0)
    started.send(os.getpid())
    time.sleep(60)

heard, started = multiprocessing.Pipe(duplex=False)
worker = multiprocessing.get_context("fork").Process(target=work, args=(started,), daemon=True)
worker.start()
pid = heard.recv()
for name in ("SIGTERM", "SIGUSR1", "SIGHUP"):
    subprocess.run([sys.executable, "-c", f"import os, signal; os.kill({pid}, signal.{name})"])
worker.join(0.5)
print(worker.is_alive())
worker.terminate()
worker.join(10)
print(worker.exitcode)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not hasattr(signal, "sigwaitinfo"), reason="this system does not tell who sent a signal"
)
def test_a_job_that_is_ended_leaves_workers_to_their_parent() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARENT], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["True", "0"]
