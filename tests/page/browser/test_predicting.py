"""Predictions in a real browser: what is predicted, how it is shown, how it ends."""

import re
import threading
import time
from pathlib import Path

import pytest
from page_browser import (
    Visit,
    at_moment,
    drop,
    eventually,
    moment,
    new_files,
    pixels,
    predict,
    shows,
    until,
)
from page_site import Server, Slow
from torch import Tensor

from vidpred.video import read_clip_array

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
expect = sync_api.expect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]  # some seconds each


def test_a_dropped_clip_is_predicted_and_shown_next_to_the_truth(
    visit: Visit, toy_clip: Path
) -> None:
    page = visit()
    assert page.get_by_role("heading", name="What comes next?").is_visible()
    drop(page, toy_clip)
    facts = page.locator("#clip-facts").inner_text()
    assert facts.startswith("64 \N{MULTIPLICATION SIGN} 48")
    assert facts.endswith("mpeg4")
    last = int(page.get_by_role("slider", name="Last known frame").get_attribute("aria-valuenow"))
    predict(page, horizon=4)
    at_moment(page, "t+4")  # it follows what is predicted
    frames = read_clip_array(toy_clip, 0, 24)
    # The canvas holds the very pixels that are scored.
    shows(page, "truth", frames[last + 4])
    shows(page, "pred", frames[last])
    shows(page, "copy", frames[last])
    eventually(page, lambda: pixels(page, "difference")[..., 3].max() > 100)
    page.wait_for_selector("#verdict:has-text('copy_last repeats the last frame: ')")
    shown = [page.locator(f".panel[data-kind={k}] .value").inner_text() for k in ("pred", "copy")]
    assert shown[0] == shown[1]
    assert re.fullmatch(r"\d+\.\d\d dB", shown[0])
    assert page.locator("#chart .line.pred").get_attribute("points").count(",") == 4


def test_futures_are_shown_side_by_side(visit: Visit, toy_clip: Path) -> None:
    page = visit()
    drop(page, toy_clip)
    page.select_option("#model", "noisy")
    page.wait_for_selector("#samples-field")
    page.fill("#samples", "3")
    predict(page, "noisy", horizon=3)
    futures = page.get_by_role("radio", name=re.compile(r"^\d: \d+\.\d\d dB$"))
    expect(futures).to_have_count(3)
    expect(page.locator("#chart .line.other")).to_have_count(2)
    page.locator("#numbers summary").click()
    command = page.locator("#command").inner_text()
    assert re.search(r"--model CHECKPOINT --at \d+ --horizon 3 --samples 3 --seed \d+$", command)
    assert re.search(r"best \d+\.\d\d dB", page.locator("#past-list").inner_text())
    assert "3 futures" in page.locator("#past-list").inner_text()
    page.select_option("#model", "small")
    page.wait_for_selector("#samples-field", state="hidden")


def test_progress_is_shown_and_can_be_ended(visit: Visit, server: Server, toy_clip: Path) -> None:
    # Pictures that were asked for just before are gone with the prediction, as browsers complain.
    page = visit(expects="404")
    drop(page, toy_clip)
    before = set(server.files())
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
    assert any("prediction" in name for name in new_files(server, before))
    page.keyboard.press("Enter")
    page.wait_for_selector("#predict:visible")
    assert new_files(server, before) == []


def test_a_reload_keeps_the_prediction_that_runs_and_what_was_asked(
    visit: Visit, toy_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end, step = threading.Event(), Slow.step

    def slowly(model: Slow, context: Tensor) -> Tensor:
        assert may_end.wait(100)
        return step(model, context)

    monkeypatch.setattr(Slow, "step", slowly)
    page = visit()
    drop(page, toy_clip)
    page.select_option("#model", "slow")
    page.fill("#horizon", "3")
    page.click("#predict")
    page.wait_for_selector("#cancel:visible")
    page.reload()
    page.wait_for_selector("#cancel:visible")
    expect(page.locator("[data-kind=pred] .name")).to_have_text("slow")
    may_end.set()
    at_moment(page, "t+3")  # it follows what is predicted
    expect(page.locator("#model")).to_have_value("slow")
    expect(page.locator("#horizon")).to_have_value("3")


def test_a_model_that_fails_is_named_and_nothing_is_asked_of_it(
    visit: Visit, toy_clip: Path
) -> None:
    page = visit()
    drop(page, toy_clip)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.select_option("#model", "broken")
    page.click("#predict")
    expect(page.get_by_role("alert")).to_contain_text("broken: predicting failed")
    expect(page.locator("#predict")).to_be_visible()
    assert not [url for url in asked if url.endswith(".png")]


def test_moments_can_be_chosen_with_the_pointer(visit: Visit, toy_clip: Path) -> None:
    page = visit()
    drop(page, toy_clip)
    reel = page.locator("#reel")

    def press(frame: int) -> None:
        box = reel.bounding_box()  # 24 frames side by side
        page.mouse.click(box["x"] + box["width"] * (frame + 0.5) / 24, box["y"] + 30)
        expect(reel).to_have_attribute("aria-valuenow", str(frame))

    press(10)
    press(1)
    page.select_option("#model", "small")
    page.wait_for_selector("#note:has-text('sees 4 known frames')")
    assert page.locator("#predict").is_disabled()
    press(22)
    page.wait_for_selector("#note:has-text('ends 1 frame after this')")
    predict(page, "linear", horizon=3)
    expect(page.locator("[data-kind=truth] .absent")).to_be_visible()
    page.locator("#steps").click(position={"x": 2, "y": 100})
    expect(page.locator("#steps")).to_have_attribute("aria-valuenow", "0")
    at_moment(page, "t-3")


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
    page.wait_for_selector("#play[data-playing=false]")
    held = moment(page)
    page.wait_for_timeout(400)
    assert moment(page) == held


def test_a_real_clip(visit: Visit, real_data: Path) -> None:
    page = visit()
    clips = sorted((real_data / "ucf101" / "UCF-101").glob("*/*.avi"))
    drop(page, clips[0])
    assert "320 \N{MULTIPLICATION SIGN} 240" in page.locator("#clip-facts").inner_text()
    last = int(page.locator("#reel").get_attribute("aria-valuenow"))
    predict(page, "small", horizon=2)
    shows(page, "truth", read_clip_array(clips[0], last + 2, 1)[0])
    assert "than copying the last frame" in page.locator("#verdict").inner_text()
