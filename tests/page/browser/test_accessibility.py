"""Names, contrasts and roles: what axe-core finds, and what it does not look at."""

from pathlib import Path

import pytest
from page_browser import DESKTOP, PHONE, Visit, drop, predict

pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]  # some seconds each


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(visit: Visit, toy_clip: Path, scheme: str) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python holds axe-core"
    ).Axe()
    page = visit(color_scheme=scheme)

    def faults() -> list[str]:
        found = axe.run(page).response["violations"]
        return [f"{v['id']}: {[n['html'] for n in v['nodes']]}" for v in found]

    assert faults() == []
    drop(page, toy_clip)
    assert faults() == []
    predict(page, "small", horizon=4)
    page.locator("#numbers summary").click()
    assert faults() == []
    page.set_viewport_size(PHONE)
    assert faults() == []
    page.set_viewport_size(DESKTOP)
    page.get_by_role("button", name="Keyboard").click()
    assert faults() == []


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
