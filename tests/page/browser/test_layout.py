"""Sizes and themes: what fits on a telephone, and what is dark."""

from pathlib import Path

import pytest
from page_browser import PHONE, Visit, drop, predict

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
