"""Sizes and themes: what fits on a telephone, and what is dark."""

from pathlib import Path

import pytest
import torch
from page_browser import DESKTOP, PHONE, Visit, drop, predict

from vidpred.video import write_video

pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]  # some seconds each


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


def test_portrait_clips_have_their_shape_and_whole_captions(visit: Visit, tmp_path: Path) -> None:
    write_video(tmp_path / "tall.avi", torch.full((12, 3, 96, 64), 128, dtype=torch.uint8), fps=12)
    page = visit()
    drop(page, tmp_path / "tall.avi")
    page.select_option("#model", "noisy")
    page.fill("#samples", "2")
    predict(page, "noisy", horizon=3)
    box = page.locator("#future-list canvas").first.bounding_box()
    assert box["width"] / box["height"] == pytest.approx(64 / 96, rel=0.02)
    for width in (DESKTOP["width"], 2560):
        page.set_viewport_size({"width": width, "height": 900})
        cut = """[...document.querySelectorAll(".panel .name")].filter(
            (e) => e.scrollWidth > e.clientWidth).map((e) => e.textContent)"""
        assert page.evaluate(cut) == []


def test_numbers_fit(visit: Visit, tmp_path: Path) -> None:
    """A clip without motion, which copying predicts to 100 dB."""
    write_video(tmp_path / "still.avi", torch.full((40, 3, 48, 64), 128, dtype=torch.uint8), fps=12)
    page = visit(viewport=PHONE)
    drop(page, tmp_path / "still.avi")
    page.locator("#reel").press("Home")
    for _ in range(3):
        page.locator("#reel").press("ArrowRight")
    predict(page, "copy_last", horizon=32)
    outside = """[...document.querySelectorAll("#chart .tick")].filter((e) =>
        e.getBoundingClientRect().left < e.ownerSVGElement.getBoundingClientRect().left
        ).map((e) => e.textContent)"""
    ticks = page.locator("#chart .tick").all_text_contents()
    assert any(tick.startswith("100.") for tick in ticks), ticks
    assert page.evaluate(outside) == []
    assert "100 dB: identical" in page.locator("#measure-about").inner_text()
    page.locator("#numbers summary").click()
    assert page.locator("#numbers thead th").first.inner_text() == "mean"
    name = page.locator("#numbers tbody th").first
    before = name.bounding_box()["x"]
    page.locator("#numbers .scroll").evaluate("e => e.scrollBy(400, 0)")
    assert name.bounding_box()["x"] == pytest.approx(before, abs=1)


def test_forced_colors_leave_the_meaning(visit: Visit, toy_clip: Path) -> None:
    page = visit(forced_colors="active")
    drop(page, toy_clip)
    predict(page, horizon=3)
    ground = "getComputedStyle(document.body).backgroundColor"
    for selector in (".panel .swatch.pred", ".span.future", ".segments input:checked + span"):
        color = f"getComputedStyle(document.querySelector('{selector}')).backgroundColor"
        assert page.evaluate(color) != page.evaluate(ground), selector
    ramp = "getComputedStyle(document.querySelector('.ramp')).backgroundImage"
    assert "gradient" in page.evaluate(ramp)
