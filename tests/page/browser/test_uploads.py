"""Clips on their way to the server: what is shown of them, how they are stopped, how they fail."""

from pathlib import Path
from typing import Any

import pytest
from page_browser import Visit, drop, eventually

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
expect = sync_api.expect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]  # some seconds each

UPLOADS = "**/clips?name=*"


def named(name: str, clip: Path) -> dict[str, Any]:
    return {"name": name, "mimeType": "video/avi", "buffer": clip.read_bytes()}


def test_an_upload_leaves_the_desk_and_stops_by_itself(visit: Visit, toy_clip: Path) -> None:
    page = visit(expects="404")  # pictures of a canceled prediction
    drop(page, toy_clip)
    page.select_option("#model", "slow")
    page.fill("#horizon", "32")
    page.click("#predict")
    page.wait_for_selector("#cancel:visible")
    held: list[Any] = []
    page.route(UPLOADS, lambda route: held.append(route))
    page.set_input_files("#file", [named("b.avi", toy_clip), named("c.avi", toy_clip)])
    stop = page.get_by_role("button", name="Stop the upload of b.avi")
    expect(stop).to_be_visible()
    eventually(page, lambda: held)
    expect(page.locator("#desk")).to_be_visible()
    # Who leaves is asked first.
    asked: list[Any] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.close(run_before_unload=True)
    eventually(page, lambda: asked == ["beforeunload"])
    page.keyboard.press("Escape")
    expect(stop).to_have_count(0)
    expect(page.locator("#cancel")).to_be_visible()  # the prediction is not canceled
    eventually(page, lambda: len(held) == 2)
    page.get_by_role("button", name="Stop the upload of c.avi").click()
    expect(page.locator("#clip-list li")).to_have_count(1)
    assert page.locator("#problem").is_hidden()
    page.keyboard.press("Escape")
    page.wait_for_selector("#predict:visible")
    for route in held:
        route.abort()


def test_the_first_clip_is_shown_on_its_way(visit: Visit, toy_clip: Path) -> None:
    page = visit()
    held: list[Any] = []
    page.route(UPLOADS, lambda route: held.append(route))
    page.set_input_files(
        "#file", {"name": "big.avi", "mimeType": "video/avi", "buffer": bytes(3 * 2**19)}
    )
    eventually(page, lambda: held)
    expect(page.locator("#clip-name")).to_have_text("big.avi")
    expect(page.locator("#reading-text")).to_contain_text("of 1.5 MiB")
    expect(page.locator("#desk")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.locator("#drop")).to_be_visible()
    held[0].abort()


def test_an_upload_to_a_server_that_has_gone_blames_the_server(
    visit: Visit, toy_clip: Path
) -> None:
    page = visit(expects="ERR_CONNECTION_REFUSED")
    page.route(UPLOADS, lambda route: route.abort("connectionrefused"))
    page.set_input_files("#file", toy_clip)
    said = "toy.avi: it was not sent. The server does not answer. Is vidpred serve still running?"
    expect(page.get_by_role("alert")).to_contain_text(said)


def test_a_full_tab_is_said_once(visit: Visit, toy_clip: Path) -> None:
    page = visit(expects="429")
    refusal = {"problem": "a.avi: this tab holds 6 clips"}
    asked: list[str] = []

    def refuse(route: Any) -> None:
        asked.append(route.request.url)
        route.fulfill(status=429, json=refusal)

    page.route(UPLOADS, refuse)
    page.set_input_files("#file", [named(f"{name}.avi", toy_clip) for name in "abc"])
    expect(page.locator("#problem-text")).to_have_text(
        "a.avi: this tab holds 6 clips\nNot sent either: b.avi, c.avi."
    )
    assert len(asked) == 1
