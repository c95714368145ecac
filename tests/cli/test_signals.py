"""What is left, and with which status, when a signal ends a command."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

BUSY = """
import sys, threading, time, torch
from vidpred.cli import main as cli
from vidpred.prefetch import BACKGROUND

def multiply():
    rows = torch.rand(500, 500)
    while True:
        rows @ rows

def main():
    threading.Thread(target=multiply, name=BACKGROUND, daemon=True).start()
    time.sleep(0.2)
    sys.exit(143)

cli.main = main
cli.run()
"""


def test_sigterm_keeps_its_status_while_a_stage_is_inside_pytorch() -> None:
    done = subprocess.run([sys.executable, "-c", BUSY], capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (143, "")


def test_sigterm_leaves_no_half_set(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vidpred", "data", "toy", "toy", "--frames", "400"]
    with subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"}
    ) as process:
        while not list(tmp_path.glob(".toy*")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 143
    assert not list(tmp_path.iterdir())
