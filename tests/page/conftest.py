"""A real server of the page, and the tabs that talk to it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from page_client import Client
from page_site import LIMITS, Server

from vidpred.page.limits import Limits
from vidpred.video import write_video


@pytest.fixture(scope="module")
def limits() -> Limits:
    """What the server allows; a module may define its own."""
    return LIMITS


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, toy_clip: Path, limits: Limits
) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("page"), limits, {"toy": toy_clip})
    yield server
    server.close()
    assert server.files() == []


@pytest.fixture(scope="session")
def toy_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 frames of a bright square that moves over noise, in UCF101's MPEG-4 part 2."""
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 120, (1, 3, 48, 64), generator=generator, dtype=torch.uint8)
    frames = frames.repeat(24, 1, 1, 1)
    for k in range(24):
        frames[k, :, 16:32, 4 + 2 * k : 16 + 2 * k] = 230
    path = tmp_path_factory.mktemp("clip") / "toy.avi"
    write_video(path, frames, fps=12)
    return path


@pytest.fixture
def client(server: Server) -> Iterator[Callable[[], Client]]:
    """Open tabs; all of them are closed at the end."""
    clients: list[Client] = []

    def start() -> Client:
        clients.append(Client(server.address))
        return clients[-1]

    yield start
    for one in clients:
        one.close()
    deadline = time.monotonic() + 30
    while not all(one.forgotten for one in clients) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server.files() == []
