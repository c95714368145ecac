"""What somebody does with the page in a browser, and what the browser shows."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from chromium import DESKTOP
from page_site import Server

PHONE = {"width": 390, "height": 844}
PATIENCE_MS = 60_000
"""Of each wait; a test has two minutes in all."""


class Visit(Protocol):
    """Opens the page in a browser of its own; `options` are those of Playwright's contexts.

    `prepare` gets the page before it is loaded. Complaints of the browser that hold `expects` are
    part of the test; any other one fails it.
    """

    def __call__(
        self,
        *,
        prepare: Callable[[Any], None] | None = None,
        expects: str | None = None,
        **options: Any,
    ) -> Any: ...


class Visitor:
    """A page with everything that it asked for and complained about."""

    def __init__(self, browser: Any, address: str, expects: str | None, **options: Any) -> None:
        self.address = address
        self.expects = expects
        self.context = browser.new_context(
            **{"viewport": DESKTOP, "reduced_motion": "reduce", **options}
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda said: (
                self.complaints.append(said.text) if said.type in ("error", "warning") else None
            ),
        )

    def load(self) -> None:
        self.page.goto(f"{self.address}/")
        self.page.wait_for_selector("#examples button", state="attached")

    @property
    def faults(self) -> list[str]:
        """Requests to elsewhere, and what the browser complained about."""
        outside = [url for url in self.requests if not url.startswith((self.address, "blob:"))]
        complaints = [
            said for said in self.complaints if self.expects is None or self.expects not in said
        ]
        return outside + complaints


def eventually(page: Any, condition: Callable[[], Any]) -> None:
    """Wait for a condition: the page draws at the next frame, and pictures come when they come."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not condition():
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)


def until(page: Any, condition: str) -> None:
    """Wait for one in JavaScript; Playwright's own way needs `eval`, which the page forbids."""
    eventually(page, lambda: page.evaluate(condition))


def drop(page: Any, clip: Path | dict[str, Any]) -> None:
    page.set_input_files("#file", clip)
    page.wait_for_selector("#predict:visible")


def predict(page: Any, model: str = "copy_last", horizon: int = 4) -> None:
    page.select_option("#model", model)
    page.fill("#horizon", str(horizon))
    done = page.locator("#past-list li").count()
    page.click("#predict")
    until(page, f"document.querySelectorAll('#past-list li').length > {done}")


def pixels(page: Any, kind: str) -> np.ndarray:
    """Give what the canvas of a panel shows: RGBA, uint8, shape (H, W, 4)."""
    found = page.locator(f".panel[data-kind={kind}] canvas").evaluate(
        # A copy: reading a canvas of the page often makes the browser warn.
        """c => { const copy = new OffscreenCanvas(c.width, c.height);
        const context = copy.getContext("2d", { willReadFrequently: true });
        context.drawImage(c, 0, 0);
        return [c.height, c.width, ...context.getImageData(0, 0, c.width, c.height).data]; }"""
    )
    return np.array(found[2:], np.uint8).reshape(found[0], found[1], 4)


def shows(page: Any, kind: str, frame: np.ndarray) -> None:
    """Wait until a panel shows the very pixels of a frame (H, W, 3)."""
    eventually(page, lambda: np.array_equal(pixels(page, kind)[..., :3], frame))


def moment(page: Any) -> str:
    return str(page.locator("#moment strong").inner_text()).replace("\N{MINUS SIGN}", "-")


def at_moment(page: Any, expected: str) -> None:
    """Wait until the page is at a moment, such as t+2."""
    eventually(page, lambda: moment(page) == expected)


def new_files(server: Server, before: set[str]) -> list[str]:
    """What a test added to the temporary files, among which are those of tabs that just closed."""
    return sorted(set(server.files()) - before)
