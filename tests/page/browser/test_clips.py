"""Clips that the page is given: how and when, how long it keeps them, what it refuses."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from page_browser import Visit, drop, eventually, new_files, predict
from page_site import Server

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
expect = sync_api.expect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]  # some seconds each


def test_files_are_taken_by_drag_and_drop(visit: Visit, toy_clip: Path) -> None:
    page = visit()
    data = page.evaluate_handle(
        """bytes => { const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "dropped.avi")); return data; }""",
        list(toy_clip.read_bytes()),
    )
    page.dispatch_event("body", "dragenter", {"dataTransfer": data})
    assert page.locator("#curtain").is_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": data})
    page.wait_for_selector("#predict:visible")
    assert page.locator("#curtain").is_hidden()
    assert page.locator("#clip-name").inner_text() == "dropped.avi"


def drop_a_clip(page: Any, clip: Path) -> None:
    page.set_input_files("#file", clip)


def try_the_example(page: Any, clip: Path) -> None:
    page.get_by_role("button", name="Try toy").click()


@pytest.mark.parametrize("give", [drop_a_clip, try_the_example])
def test_a_clip_that_is_quicker_than_the_server_waits_for_it(
    visit: Visit, toy_clip: Path, give: Callable[[Any, Path], None]
) -> None:
    held: list[Any] = []
    page = visit(prepare=lambda page: page.route("**/api/tabs", lambda route: held.append(route)))
    give(page, toy_clip)
    eventually(page, lambda: held)
    page.wait_for_timeout(100)  # the tab has no key by now
    held[0].continue_()
    page.wait_for_selector("#predict:visible")
    assert page.locator("#problem").is_hidden()


def test_a_tab_that_could_not_be_opened_is_tried_again(visit: Visit, toy_clip: Path) -> None:
    def refuse(route: Any) -> None:
        route.fulfill(status=429, json={"problem": "4 tabs of this page are open"})

    page = visit(
        prepare=lambda page: page.route("**/api/tabs", refuse, times=2),
        expects="429",  # a refusal is a failed request, of which browsers complain
    )
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("4 tabs of this page are open")
    page.locator("#problem-close").click()
    expect(alert).to_be_hidden()
    page.set_input_files("#file", toy_clip)
    expect(alert).to_contain_text("4 tabs of this page are open")  # not silence
    drop(page, toy_clip)
    expect(alert).to_be_hidden()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("notes.mp4", b"Dear diary\n" * 99, "notes.mp4: FFmpeg cannot read it"),
        ("large.mp4", bytes(3 * 2**20), "large.mp4: it has 3 MiB; expected at most 2 MiB"),
        ("empty.mp4", b"", "empty.mp4: the file is empty"),
    ],
    ids=["notes", "large", "empty"],
)
def test_bad_files_are_explained_and_the_next_one_works(
    visit: Visit, toy_clip: Path, name: str, content: bytes, said: str
) -> None:
    # A refused upload is a failed request, of which browsers complain; nothing else is.
    page = visit(expects="400")
    page.set_input_files("#file", {"name": name, "mimeType": "video/mp4", "buffer": content})
    page.wait_for_selector("#problem:visible")
    assert said in page.get_by_role("alert").inner_text()
    expect(page.locator("#drop")).to_be_visible()
    drop(page, toy_clip)
    expect(page.locator("#problem")).to_be_hidden()


def test_each_of_several_bad_files_is_explained(visit: Visit) -> None:
    page = visit(expects="400")
    names = "notes.mp4", "diary.avi"
    files = [{"name": n, "mimeType": "video/mp4", "buffer": b"Dear diary\n" * 99} for n in names]
    page.set_input_files("#file", files)
    said = page.get_by_role("alert")
    for name in names:
        expect(said).to_contain_text(f"{name}: FFmpeg cannot read it")


FIRST_NEWS_OF_A_FAILURE = """
const set = Object.getOwnPropertyDescriptor(EventSource.prototype, "onmessage").set;
Object.defineProperty(EventSource.prototype, "onmessage", { set(heard) {
  const failed = (event) => JSON.parse(event.data).clips.some((clip) => clip.state === "failed");
  set.call(this, (event) => { if (failed(event)) heard(event); });
}});
"""
"""A page that hears of nothing before a clip has failed, as it does of one that fails fast."""


def test_a_clip_that_fails_before_the_first_news_is_explained(visit: Visit) -> None:
    page = visit(prepare=lambda page: page.add_init_script(FIRST_NEWS_OF_A_FAILURE))
    diary = {"name": "notes.mp4", "mimeType": "video/mp4", "buffer": b"Dear diary\n" * 99}
    page.set_input_files("#file", diary)
    page.wait_for_selector("#problem:visible")
    assert "notes.mp4: FFmpeg cannot read it" in page.get_by_role("alert").inner_text()


def test_the_clip_survives_a_reload_and_not_a_closed_tab(
    visit: Visit, server: Server, toy_clip: Path
) -> None:
    before = set(server.files())
    page = visit()
    drop(page, toy_clip)
    page.reload()
    page.wait_for_selector("#predict:visible")
    assert page.locator("#clip-name").inner_text() == "toy.avi"
    assert new_files(server, before)
    page.context.close()
    deadline = time.monotonic() + 60
    while new_files(server, before):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_two_tabs_hold_their_own_clips(visit: Visit, toy_clip: Path) -> None:
    one, two = visit(), visit()
    drop(one, toy_clip)
    assert two.locator("#drop").is_visible()
    drop(two, {"name": "two.avi", "mimeType": "video/avi", "buffer": toy_clip.read_bytes()})
    for page in (one, two):
        predict(page, "linear", horizon=3)
    assert one.locator("#clip-name").inner_text() == "toy.avi"
    assert two.locator("#clip-name").inner_text() == "two.avi"
