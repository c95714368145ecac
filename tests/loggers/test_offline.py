"""Without a key nothing leaves the machine, and nothing waits for an answer from outside."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from encoded_videos import Kind, write

pytestmark = pytest.mark.slow  # each starts a Python of its own

LOGGER = """
import sys
from vidpred.loggers import ResilientWandbLogger
logger = ResilientWandbLogger(sys.argv[1], mode=sys.argv[2])
logger.log_metrics({"a": 1.0}, step=0)
print("mode", logger.experiment.settings.mode, flush=True)
logger.finish()
"""

IMPORTED_BEFORE = "import wandb\nimport os\nos.environ['WANDB_ERROR_REPORTING'] = 'true'\n" + LOGGER

COMMANDS = """
import sys
from vidpred.cli.main import main
video, out = sys.argv[1:3]
assert main(["predict", video, "--horizon", "1", "--output", out + "/f.npy"]) == 0
assert main(["data", "index", out]) == 0
assert main(["data", "toy", out + "/toy"]) == 0
"""

FIT = """
import sys
from vidpred.cli.main import main
toy, run = sys.argv[1:3]
sys.exit(main(["fit", "-c", "experiment/l2.yaml", "--data.root", toy, "--data.batch_size", "8",
    "--data.samples_per_epoch", "16", "--data.num_workers", "0", "--trainer.max_epochs", "1",
    "--run_dir", run]))
"""


@pytest.fixture
def silent_proxy() -> Iterator[tuple[str, list[bytes]]]:
    """A proxy that takes connections and never answers, as a firewall that drops packets does."""
    asked: list[bytes] = []
    kept = []

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return  # closed at the end
            kept.append(connection)
            asked.append(connection.recv(200))

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
        server.shutdown(socket.SHUT_RDWR)
    for connection in kept:
        connection.close()


def run(code: str, *arguments: object, proxy: str, home: Path) -> tuple[str, float]:
    environment = {k: v for k, v in os.environ.items() if not k.upper().startswith("WANDB")}
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        environment |= {name: proxy, name.upper(): proxy}
    environment |= {"HOME": str(home), "no_proxy": "", "NO_PROXY": ""}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=home,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, time.monotonic() - began


@pytest.mark.parametrize("mode", ["auto", "offline", "disabled"])
def test_a_logger_without_a_key_asks_no_one(
    tmp_path: Path, silent_proxy: tuple[str, list[bytes]], mode: str
) -> None:
    proxy, asked = silent_proxy
    out, _ = run(LOGGER, tmp_path, mode, proxy=proxy, home=tmp_path)
    assert ("mode disabled" if mode == "disabled" else "mode offline") in out
    assert asked == []


def test_nor_when_a_program_has_asked_for_error_reports(
    tmp_path: Path, silent_proxy: tuple[str, list[bytes]]
) -> None:
    proxy, asked = silent_proxy
    run(IMPORTED_BEFORE, tmp_path, "auto", proxy=proxy, home=tmp_path)
    assert asked == []


def test_commands_ask_no_one(tmp_path: Path, silent_proxy: tuple[str, list[bytes]]) -> None:
    proxy, asked = silent_proxy
    video = write(tmp_path, Kind("in.avi", "mpeg4"), count=8)
    run(COMMANDS, video, tmp_path, proxy=proxy, home=tmp_path)
    assert asked == []


def test_a_fit_asks_no_one(
    tmp_path: Path, toy_root: Path, silent_proxy: tuple[str, list[bytes]]
) -> None:
    proxy, asked = silent_proxy
    run(FIT, toy_root, tmp_path / "run", proxy=proxy, home=tmp_path)
    assert asked == []
    assert (tmp_path / "run" / "wandb").is_dir()
