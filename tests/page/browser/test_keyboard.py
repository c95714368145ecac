"""The page without a pointer."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from page_browser import Visit, at_moment, drop, pixels, shows, until
from page_site import Server

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
expect = sync_api.expect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]  # some seconds each


def picture(server: Server, name: str) -> np.ndarray:
    """Read a frame (H, W, 3) of the latest prediction as it was written."""
    folder = max(server.root.glob("prediction-*"), key=lambda folder: folder.stat().st_ctime_ns)
    return cv2.cvtColor(cv2.imread(str(folder / name)), cv2.COLOR_BGR2RGB)


LATE_NEWS = """
const set = Object.getOwnPropertyDescriptor(EventSource.prototype, "onmessage").set;
Object.defineProperty(EventSource.prototype, "onmessage", { set(heard) {
  const ready = (event) => JSON.parse(event.data).clips.every((clip) => clip.state === "ready");
  set.call(this, (event) => { if (ready(event)) heard(event); });
}});
"""
"""A page that hears of a clip once it has been read, as it does of a clip that is read fast."""


@pytest.mark.parametrize("late", [False, True])
def test_the_focus_follows_to_the_clip(visit: Visit, late: bool) -> None:
    """The server says twice that there is a clip: in its answer, and in its news."""
    held: list[tuple[Any, Any]] = []

    def prepare(page: Any) -> None:
        if late:
            page.add_init_script(LATE_NEWS)
            page.route("**/examples/*", lambda route: held.append((route, route.fetch())))

    page = visit(prepare=prepare)
    page.get_by_role("button", name="Try toy").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#predict:visible")
    assert bool(held) == late
    until(page, "document.activeElement.id === 'reel'")
    for route, answer in held:
        route.fulfill(response=answer)
    page.reload()
    page.wait_for_selector("#predict:visible")
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the page"


def test_the_focus_is_never_lost(visit: Visit, toy_clip: Path) -> None:
    page = visit(expects="404")  # pictures of a canceled prediction

    def focused(selector: str) -> None:
        until(page, f"document.activeElement.matches({selector!r})")

    drop(page, toy_clip)
    page.select_option("#model", "slow")
    page.fill("#horizon", "3")
    page.locator("#predict").focus()
    page.keyboard.press("Enter")
    focused("#cancel")
    page.wait_for_selector("#past-list li")
    focused("#predict")
    page.fill("#horizon", "32")
    page.locator("#predict").focus()
    page.keyboard.press("Enter")
    focused("#cancel")
    page.keyboard.press("Enter")
    focused("#predict")
    page.locator("#past-list button").focus()
    page.locator("#reel").press("End")  # shows the clip, no prediction
    page.locator("#past-list button").focus()
    page.keyboard.press("Enter")
    focused("#past-list [aria-pressed=true]")
    # A second clip has no predictions of its own yet.
    page.set_input_files(
        "#file", {"name": "two.avi", "mimeType": "video/avi", "buffer": toy_clip.read_bytes()}
    )
    expect(page.locator("#clip-name")).to_have_text("two.avi")
    expect(page.locator("#past")).to_be_hidden()
    page.get_by_role("button", name="toy.avi", exact=True).focus()
    page.keyboard.press("Enter")
    focused("#clip-list [aria-pressed=true]")
    expect(page.locator("#past-list li")).to_have_count(1)
    page.get_by_role("button", name="Remove toy.avi").focus()
    page.keyboard.press("Enter")
    focused("#clip-list [aria-label='Remove two.avi']")
    page.keyboard.press("Enter")
    focused("#file")


def test_the_keyboard_alone_is_enough(visit: Visit, server: Server) -> None:
    page = visit()
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the page"
    page.keyboard.press("Enter")
    until(page, "document.activeElement.id === 'main'")
    page.get_by_role("button", name="Try toy").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#predict:visible")
    until(page, "document.activeElement.id === 'reel'")
    reel = page.locator("#reel")
    page.keyboard.press("Home")
    expect(reel).to_have_attribute("aria-valuenow", "0")
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    expect(reel).to_have_attribute("aria-valuenow", "6")
    assert "frame 6" in reel.get_attribute("aria-valuetext")
    page.select_option("#model", "noisy")
    page.fill("#samples", "3")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("p")
    page.wait_for_selector("#past-list li")
    page.keyboard.press("Home")
    at_moment(page, "t-3")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    at_moment(page, "t+2")
    first, second = (picture(server, f"pred-{future}-2.png") for future in range(2))
    assert not np.array_equal(first, second)
    shows(page, "pred", first)
    page.keyboard.press("]")
    until(page, "document.querySelectorAll('#future-list input')[1].checked")
    shows(page, "pred", second)
    page.keyboard.down("t")
    page.wait_for_selector(".flag:visible")
    shows(page, "pred", pixels(page, "truth")[..., :3])
    page.keyboard.up("t")
    page.wait_for_selector(".flag", state="hidden")
    enlarge = page.get_by_role("button", name="Enlarge the prediction")
    page.keyboard.press("2")
    expect(enlarge).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    page.wait_for_selector(".panel.large", state="detached")
    page.keyboard.press(" ")
    page.wait_for_selector("#play[data-playing=true]")
    page.keyboard.press(" ")
    page.wait_for_selector("#play[data-playing=false]")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    # Whoever dictates to the computer can turn letters off.
    page.get_by_role("button", name="Keyboard").click()
    page.get_by_label("Letters and digits are shortcuts").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    page.wait_for_timeout(200)  # a frame at least, in which it would be enlarged
    assert page.locator(".panel.large").count() == 0
