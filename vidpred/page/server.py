"""Runs the page on the loopback address."""

import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import uvicorn

from vidpred.page.app import Examples, Page
from vidpred.page.choices import ModelChoice
from vidpred.page.limits import Limits
from vidpred.page.tabs import Tabs

_MOST_CONNECTIONS = 64


def page_server(
    root: Path,
    choices: Mapping[str, ModelChoice],
    *,
    limits: Limits,
    examples: Examples,
    device: torch.device,
    max_memory: int,
    version: str,
    ready: Callable[[], None],
) -> uvicorn.Server:
    """Build a server, whose `run(sockets=[listener])` answers until Ctrl-C.

    Args:
        root: Folder for temporary files, which whoever made it removes.
        choices: Models by name.
        limits: Of what tabs may take.
        examples: Clips for who has none at hand.
        device: Where models run.
        max_memory: Bytes that predicting may take.
        version: Of vidpred.
        ready: Is called when the page can be loaded.
    """
    tabs = Tabs(root, limits, choices, device=device, max_memory=max_memory)
    page = Page(tabs, examples, version, stopping=lambda: server.should_exit)
    server = _Server(
        uvicorn.Config(
            page.app(),
            log_level="warning",
            access_log=False,
            server_header=False,
            ws="none",
            http="h11",
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=3,
        ),
        ready,
    )
    return server


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()
