"""Two real processes over gloo learn what one learns from the batch of both."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import two_processes


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def in_two_processes(kind: str, folder: Path) -> list[dict[str, Any]]:
    script = Path(two_processes.__file__)
    common = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": "2",
        "PYTHONPATH": os.pathsep.join([str(script.parent), *sys.path]),
        "OMP_NUM_THREADS": "1",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), kind, str(folder), str(rank)],
            env={**common, "RANK": str(rank), "NODE_RANK": "0", "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        told, _ = process.communicate(timeout=300)
        assert process.returncode == 0, told[-3000:]
    return [torch.load(folder / f"rank{rank}.pt") for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["reconstruction", "adversarial", "minibatch"])
def test_two_processes_learn_what_one_learns_from_the_batch_of_both(
    kind: str, tmp_path: Path
) -> None:
    before = two_processes.task(kind).state_dict()
    alone = two_processes.train(kind)
    together = in_two_processes(kind, tmp_path)
    for result in together:
        assert result["state"].keys() == alone["state"].keys()
        # Sums in another order put a ReLU on its other side now and then: up to 1e-3 of all that
        # was learned, up to 5e-2 of a layer that learned little. A gradient that is not averaged
        # is half or twice of it.
        learned = torch.stack(
            [(value - before[name]).norm() for name, value in alone["state"].items()]
        )
        apart = torch.stack(
            [(result["state"][name] - value).norm() for name, value in alone["state"].items()]
        )
        assert apart.norm() <= 1e-2 * learned.norm()
        for name, by, of in zip(before, apart, learned, strict=True):
            assert by <= 0.1 * of + 1e-6, f"{name}: {by:.1e} of {of:.1e}"
    # What is logged is the mean over both, on each of them.
    for result in together:
        for ours, theirs in zip(result["curve"], alone["curve"], strict=True):
            assert ours.keys() == theirs.keys()
            for name, value in theirs.items():
                assert ours[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["normalized", "averaged"])
def test_two_processes_draw_apart_and_validate_one_network(kind: str, tmp_path: Path) -> None:
    first, second = in_two_processes(kind, tmp_path)
    assert len(first["drawn"]) == len(second["drawn"]) > 1
    assert not set(first["drawn"]) & set(second["drawn"])
    assert any("running_mean" in name for name in first["averages"])
    for name, value in first["averages"].items():
        assert torch.equal(value, second["averages"][name]), name
    assert first["averages"].keys() == second["averages"].keys()
