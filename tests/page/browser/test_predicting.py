"""The page in a real browser: what somebody sees, presses and hears."""

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_site import Server

from vidpred.page.limits import Limits
from vidpred.video import read_clip_array

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

pytestmark = [
    pytest.mark.slow,  # some seconds each
    pytest.mark.skipif(
        os.environ.get("VIDPRED_PAGE_BROWSER") != "1",
        reason="minutes of a browser, with time limits; set VIDPRED_PAGE_BROWSER=1 to run them",
    ),
]

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
PATIENCE_MS = 180_000

Visit = Callable[..., Any]


@pytest.fixture(scope="module")
def limits() -> Limits:
    return Limits(upload_bytes=2 * 2**20, grace_seconds=5.0)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no chromium on the path")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Visitor:
    """A page with everything that it asked for and complained about."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
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
        self.page.goto(address)
        self.page.wait_for_selector("#examples button", state="attached")


@pytest.fixture
def visit(browser: Any, server: Server) -> Iterator[Visit]:
    visitors: list[Visitor] = []

    def start(**options: Any) -> Any:
        visitors.append(Visitor(browser, f"{server.address}/", **options))
        return visitors[-1].page

    yield start
    for visitor in visitors:
        outside = [url for url in visitor.requests if not url.startswith((server.address, "blob:"))]
        visitor.context.close()
        assert not outside
        assert not visitor.complaints
    deadline = time.monotonic() + 60
    while server.files():  # a closed tab leaves nothing
        assert time.monotonic() < deadline
        time.sleep(0.1)


def drop(page: Any, clip: Path | dict[str, Any]) -> None:
    page.set_input_files("#file", clip)
    page.wait_for_selector("#predict:visible")


def until(page: Any, condition: str) -> None:
    """Wait for a condition; Playwright's own way needs `eval`, which the page forbids."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(50)


def predict(page: Any, model: str = "copy_last", horizon: int = 4) -> None:
    page.select_option("#model", model)
    page.fill("#horizon", str(horizon))
    done = page.locator("#past-list li").count()
    page.click("#predict")
    until(page, f"document.querySelectorAll('#past-list li').length > {done}")


def pixels(page: Any, kind: str) -> np.ndarray:
    """Give what the canvas of a panel shows."""
    found = page.locator(f".panel[data-kind={kind}] canvas").evaluate(
        # A copy: reading a canvas of the page often makes the browser warn.
        """c => { const copy = new OffscreenCanvas(c.width, c.height);
        const context = copy.getContext("2d", { willReadFrequently: true });
        context.drawImage(c, 0, 0);
        return [c.height, c.width, ...context.getImageData(0, 0, c.width, c.height).data]; }"""
    )
    return np.array(found[2:], np.uint8).reshape(found[0], found[1], 4)


def moment(page: Any) -> str:
    return str(page.locator("#moment strong").inner_text()).replace("\N{MINUS SIGN}", "-")


def test_a_dropped_clip_is_predicted_and_shown_next_to_the_truth(
    visit: Visit, toy_clip: Path
) -> None:
    page = visit()
    assert page.get_by_role("heading", name="What comes next?").is_visible()
    drop(page, toy_clip)
    assert "64 \N{MULTIPLICATION SIGN} 48" in page.locator("#clip-facts").inner_text()
    last = int(page.get_by_role("slider", name="Last known frame").get_attribute("aria-valuenow"))
    predict(page, horizon=4)
    assert moment(page) == "t+4"  # it follows what is predicted
    frames = read_clip_array(toy_clip, 0, 24)
    # The canvas holds the very pixels that are scored.
    assert np.array_equal(pixels(page, "truth")[..., :3], frames[last + 4])
    assert np.array_equal(pixels(page, "pred")[..., :3], frames[last])
    assert np.array_equal(pixels(page, "copy")[..., :3], frames[last])
    assert pixels(page, "difference")[..., 3].max() > 100
    page.wait_for_selector("#verdict:has-text('copy_last repeats the last frame: ')")
    shown = [page.locator(f".panel[data-kind={k}] .value").inner_text() for k in ("pred", "copy")]
    assert shown[0] == shown[1]
    assert re.fullmatch(r"\d+\.\d\d dB", shown[0])
    assert page.locator("#chart .line.pred").get_attribute("points").count(",") == 4


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


def test_the_keyboard_alone_is_enough(visit: Visit) -> None:
    page = visit()
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the page"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.get_by_role("button", name="Try toy").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#predict:visible")
    until(page, "document.activeElement.id === 'reel'")
    reel = page.locator("#reel")
    page.keyboard.press("Home")
    assert reel.get_attribute("aria-valuenow") == "0"
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    assert reel.get_attribute("aria-valuenow") == "6"
    assert "frame 6" in reel.get_attribute("aria-valuetext")
    page.select_option("#model", "noisy")
    page.fill("#samples", "3")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("p")
    page.wait_for_selector("#past-list li")
    page.keyboard.press("Home")
    assert moment(page) == "t-3"
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert moment(page) == "t+2"
    first = pixels(page, "pred")
    page.keyboard.press("]")
    until(page, "document.querySelectorAll('#future-list input')[1].checked")
    page.wait_for_timeout(300)
    assert not np.array_equal(pixels(page, "pred"), first)
    page.keyboard.down("t")
    page.wait_for_selector(".flag:visible")
    assert np.array_equal(pixels(page, "pred"), pixels(page, "truth"))
    page.keyboard.up("t")
    page.wait_for_selector(".flag", state="hidden")
    page.keyboard.press("2")
    assert (
        page.get_by_role("button", name="Enlarge the prediction").get_attribute("aria-pressed")
        == "true"
    )
    page.keyboard.press("Escape")
    page.wait_for_selector(".panel.large", state="detached")
    page.keyboard.press(" ")
    page.wait_for_selector("#play[data-playing=true]")
    page.keyboard.press(" ")
    page.wait_for_selector("#play[data-playing=false]")
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keyboard").is_visible()
    page.keyboard.press("Escape")
    # Whoever dictates to the computer can turn letters off.
    page.get_by_role("button", name="Keyboard").click()
    page.get_by_label("Letters and digits are shortcuts").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    assert page.locator(".panel.large").count() == 0


def test_futures_are_shown_side_by_side(visit: Visit, toy_clip: Path) -> None:
    page = visit()
    drop(page, toy_clip)
    page.select_option("#model", "noisy")
    page.wait_for_selector("#samples-field")
    page.fill("#samples", "3")
    predict(page, "noisy", horizon=3)
    assert page.get_by_role("radio", name=re.compile(r"^\d: \d+\.\d\d dB$")).count() == 3
    assert page.locator("#chart .line.other").count() == 2
    page.select_option("#model", "small")
    page.wait_for_selector("#samples-field", state="hidden")


def test_progress_is_shown_and_can_be_ended(visit: Visit, server: Server, toy_clip: Path) -> None:
    page = visit()
    drop(page, toy_clip)
    page.select_option("#model", "slow")
    page.fill("#horizon", "32")
    page.click("#predict")
    bar = page.get_by_role("progressbar", name="Predicting")
    until(
        page, "Number(document.querySelector('#progress .bar').getAttribute('aria-valuenow')) > 5"
    )
    assert bar.is_visible()
    assert re.match(r"Frame \d+ of 32", page.locator("#progress-text").inner_text())
    assert page.evaluate("document.activeElement.id") == "cancel"  # focus is not lost
    page.keyboard.press("Enter")
    page.wait_for_selector("#predict:visible")
    assert not any("prediction" in name for name in server.files())


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("notes.mp4", b"Dear diary\n" * 99, "notes.mp4: FFmpeg cannot read it"),
        ("large.mp4", bytes(3 * 2**20), "large.mp4: it has 3 MiB; expected at most 2 MiB"),
        ("empty.mp4", b"", "empty.mp4: the file is empty"),
    ],
)
def test_bad_files_are_explained_and_the_next_one_works(
    browser: Any, server: Server, toy_clip: Path, name: str, content: bytes, said: str
) -> None:
    visitor = Visitor(browser, f"{server.address}/")
    page = visitor.page
    page.set_input_files("#file", {"name": name, "mimeType": "video/mp4", "buffer": content})
    page.wait_for_selector("#problem:visible")
    assert said in page.get_by_role("alert").inner_text()
    assert page.locator("#drop").is_visible()
    drop(page, toy_clip)
    assert page.locator("#problem").is_hidden()
    # A refused upload is a failed request, of which browsers complain; nothing else is.
    assert all("400" in complaint for complaint in visitor.complaints)
    visitor.context.close()


def test_the_clip_survives_a_reload_and_not_a_closed_tab(
    visit: Visit, server: Server, toy_clip: Path
) -> None:
    page = visit()
    drop(page, toy_clip)
    page.reload()
    page.wait_for_selector("#predict:visible")
    assert page.locator("#clip-name").inner_text() == "toy.avi"
    assert server.files()


def test_two_tabs_hold_their_own_clips(visit: Visit, toy_clip: Path) -> None:
    one, two = visit(), visit()
    drop(one, toy_clip)
    assert two.locator("#drop").is_visible()
    drop(two, {"name": "two.avi", "mimeType": "video/avi", "buffer": toy_clip.read_bytes()})
    for page in (one, two):
        predict(page, "linear", horizon=3)
    assert one.locator("#clip-name").inner_text() == "toy.avi"
    assert two.locator("#clip-name").inner_text() == "two.avi"


def test_moments_can_be_chosen_with_the_pointer(visit: Visit, toy_clip: Path) -> None:
    page = visit()
    drop(page, toy_clip)
    box = page.locator("#reel").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 10.5 / 24, box["y"] + 30)
    assert page.locator("#reel").get_attribute("aria-valuenow") == "10"
    page.mouse.click(box["x"] + box["width"] * 1.5 / 24, box["y"] + 30)
    page.select_option("#model", "small")
    page.wait_for_selector("#note:has-text('sees 4 known frames')")
    assert page.locator("#predict").is_disabled()
    page.mouse.click(box["x"] + box["width"] * 22.5 / 24, box["y"] + 30)
    page.wait_for_selector("#note:has-text('ends 1 frame after this')")
    predict(page, "linear", horizon=3)
    assert page.locator("[data-kind=truth] .absent").is_visible()
    page.locator("#steps").click(position={"x": 2, "y": 100})
    until(page, "document.querySelector('#steps').getAttribute('aria-valuenow') === '0'")
    assert moment(page) == "t-3"


def test_playing_runs_through_known_and_predicted_frames(visit: Visit, toy_clip: Path) -> None:
    page = visit(reduced_motion="no-preference")
    drop(page, toy_clip)
    predict(page, "linear", horizon=4)
    page.wait_for_selector("#play[data-playing=true]")  # it plays by itself when it is done
    seen: set[str] = set()
    deadline = time.monotonic() + 30
    while not {"t-2", "t+2"} <= seen and time.monotonic() < deadline:
        seen.add(moment(page))
        page.wait_for_timeout(30)
    assert {"t-2", "t+2"} <= seen
    page.get_by_role("button", name="Pause").click()
    held = moment(page)
    page.wait_for_timeout(400)
    assert moment(page) == held


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_everything_without_sideways_scrolling(
    visit: Visit, toy_clip: Path, scheme: str
) -> None:
    page = visit(viewport=PHONE, color_scheme=scheme, has_touch=True)
    wide = "document.documentElement.scrollWidth"
    assert page.evaluate(wide) <= PHONE["width"]
    name = "a_very_long_name_" * 8 + ".avi"
    drop(page, {"name": name, "mimeType": "video/avi", "buffer": toy_clip.read_bytes()})
    assert page.evaluate(wide) <= PHONE["width"]
    predict(page, "small", horizon=32)
    page.locator("#numbers summary").click()
    assert page.evaluate(wide) <= PHONE["width"]
    for selector in ("#play", "#back", "#forward", "#predict"):
        box = page.locator(selector).bounding_box()
        assert min(box["width"], box["height"]) >= 40  # large enough for a finger
    panels = [page.locator(f"[data-kind={k}] .screen").bounding_box() for k in ("truth", "pred")]
    assert panels[0]["y"] == pytest.approx(panels[1]["y"], abs=2)  # side by side


def test_dark_differs_and_the_choice_is_kept(visit: Visit) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light, dark = visit(color_scheme="light"), visit(color_scheme="dark")
    assert light.evaluate(ground) != dark.evaluate(ground)
    light.get_by_role("button", name="Use the dark theme").click()
    assert light.evaluate(ground) == dark.evaluate(ground)
    light.reload()
    assert light.evaluate(ground) == dark.evaluate(ground)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(visit: Visit, toy_clip: Path, scheme: str, axe: str) -> None:
    page = visit(color_scheme=scheme)

    def faults() -> list[str]:
        page.evaluate(axe)
        found = page.evaluate("axe.run()")
        return [f"{v['id']}: {[n['html'] for n in v['nodes']]}" for v in found["violations"]]

    assert faults() == []
    drop(page, toy_clip)
    assert faults() == []
    predict(page, "small", horizon=4)
    page.locator("#numbers summary").click()
    assert faults() == []
    page.get_by_role("button", name="Keyboard").click()
    assert faults() == []


@pytest.fixture(scope="module")
def axe() -> str:
    """axe-core from `npm install axe-core` in a folder that VIDPRED_AXE names."""
    import os

    folder = os.environ.get("VIDPRED_AXE")
    path = Path(folder or ".") / "node_modules" / "axe-core" / "axe.min.js"
    if not path.is_file():
        pytest.skip("no axe-core here: run npm install axe-core, and set VIDPRED_AXE to the folder")
    return path.read_text(encoding="utf-8")


def test_everything_is_named(visit: Visit, toy_clip: Path) -> None:
    page = visit()
    drop(page, toy_clip)
    predict(page, "small", horizon=4)
    assert page.locator("html").get_attribute("lang") == "en"
    for landmark in ("banner", "main", "contentinfo"):
        assert page.get_by_role(landmark).count() == 1
    assert page.locator("h1:visible").count() == 1
    for canvas in page.locator(".panel canvas:visible").all():
        assert len(canvas.get_attribute("aria-label")) >= 10
    nameless = page.evaluate(
        """[...document.querySelectorAll("button, select, input, a, [role=slider]")].filter((e) =>
            !(e.labels?.length || e.textContent.trim() || e.getAttribute("aria-label")
            || e.type === "file")).map((e) => e.outerHTML)"""
    )
    assert nameless == []
    assert "from" in page.locator("#chart title").text_content()


def test_a_real_clip(visit: Visit, real_data: Path) -> None:
    page = visit()
    clips = sorted((real_data / "ucf101" / "UCF-101").glob("*/*.avi"))
    drop(page, clips[0])
    assert "320 \N{MULTIPLICATION SIGN} 240" in page.locator("#clip-facts").inner_text()
    last = int(page.locator("#reel").get_attribute("aria-valuenow"))
    predict(page, "small", horizon=2)
    truth = read_clip_array(clips[0], last + 2, 1)[0]
    assert np.array_equal(pixels(page, "truth")[..., :3], truth)
    assert "than copying the last frame" in page.locator("#verdict").inner_text()
