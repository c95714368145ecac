"""One server for all that is tried in a browser; a test has tabs of its own."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from page_browser import PATIENCE_MS, Visit, Visitor
from page_site import Server

from vidpred.page.limits import Limits


@pytest.fixture(scope="session")
def limits() -> Limits:
    # A page that is loaded again on a busy machine takes seconds to listen again; until tabs of
    # earlier tests count as closed, they count.
    return Limits(upload_bytes=2 * 2**20, grace_seconds=5.0, tabs=16)


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory, toy_clip: Path, limits: Limits
) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("page"), limits, {"toy": toy_clip})
    yield server
    deadline = time.monotonic() + 60
    while server.files():  # closed tabs leave nothing
        assert time.monotonic() < deadline, server.files()
        time.sleep(0.1)
    server.close()


@pytest.fixture
def visit(browser: Any, server: Server) -> Iterator[Visit]:
    """Open the page; all of it is closed at the end, after a failure too."""
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE_MS)
    visitors: list[Visitor] = []

    def start(
        *,
        prepare: Callable[[Any], None] | None = None,
        expects: str | None = None,
        **options: Any,
    ) -> Any:
        visitor = Visitor(browser, server.address, expects, **options)
        visitors.append(visitor)
        if prepare is not None:
            prepare(visitor.page)
        visitor.load()
        return visitor.page

    yield start
    for visitor in visitors:
        visitor.context.close()
    assert [visitor.faults for visitor in visitors] == [[] for _ in visitors]
