"""The documentation builds without a warning and without a network, and agrees with the project."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_architecture import ALLOWED, FOUNDATION

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("**/*.md"))]
BUILDERS = ("sphinx", "myst_parser", "furo")
NOWHERE = "http://127.0.0.1:9"

REMOTE = re.compile(
    r"<(?:script|img|iframe|source)[^>]+src=\"(?:https?:)?//|<link[^>]+href=\"(?:https?:)?//"
)
"""What a browser would fetch from elsewhere; links that a reader follows are no part of it."""

MARGINAL_WORDS = re.compile(
    r"\b(tells?|told|beside|stands?|anew|nobody|for ever|goes? on|comes? along|colours?|grey)\b",
    flags=re.IGNORECASE,
)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_site_builds_strictly_and_without_a_network(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    absent = [name for name in BUILDERS if importlib.util.find_spec(name) is None]
    if absent:
        pytest.skip(f"{', '.join(absent)} not installed: pip install -e '.[docs]'")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"),
            *("-d", str(tmp_path / "doctrees"), str(DOCS), str(tmp_path / "html")),
        ],
        capture_output=True,
        text=True,
        check=False,
        # Whatever would be fetched while building ends at a port where no server is.
        env={**os.environ, "PYTHONPATH": str(ROOT), "http_proxy": NOWHERE, "https_proxy": NOWHERE},
    )
    assert done.returncode == 0, done.stderr
    for page in (tmp_path / "html").glob("**/*.html"):
        assert not REMOTE.search(page.read_text(encoding="utf-8")), page
    assert "MultiScaleGenerator" in (tmp_path / "html/api/models.html").read_text(encoding="utf-8")
    # Last: without a browser this skips, which hides none of the above.
    browser = request.getfixturevalue("browser")
    _require_accessible(browser, tmp_path / "html/index.html", tmp_path / "html/benchmark.html")


def _require_accessible(browser: Any, *pages: Path) -> None:
    """Ask axe for serious faults on a phone."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python holds axe-core"
    )
    with browser.new_context(viewport={"width": 390, "height": 800}) as context:
        view = context.new_page()
        for page in pages:
            view.goto(page.as_uri())
            assert view.evaluate("document.documentElement.scrollWidth") <= 390
            found = axe.Axe().run(view).response["violations"]
            assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []


def test_the_picture_shows_the_arrows_of_the_architecture() -> None:
    picture = (DOCS / "architecture.svg").read_text(encoding="utf-8")
    arrows: dict[str, set[str]] = {
        name: set() for name in re.findall(r'data-package="(\w+)"', picture)
    }
    for source, target in re.findall(r'data-from="(\w+)" data-to="(\w+)"', picture):
        arrows[source].add(target)
    assert {name: _reached(name, arrows) for name in arrows} == {
        name: _reached(name, {key: below - FOUNDATION for key, below in ALLOWED.items()})
        for name in ALLOWED
    }
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    assert [name for name in ALLOWED if f"| `{name}` |" not in page] == []


def _reached(name: str, arrows: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    following = list(arrows[name])
    while following:
        below = following.pop()
        if below not in found:
            found.add(below)
            following += arrows[below]
    return found


def test_the_api_reference_has_what_the_pages_import() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    imported = re.findall(r"^from (vidpred\S*) import (.+)$", text, flags=re.MULTILINE)
    assert imported
    reference = "\n".join(page.read_text(encoding="utf-8") for page in DOCS.glob("api/*.md"))
    listed = set(re.findall(r"\.\. auto\w+:: (\S+)", reference))
    absent = [
        f"{module}.{name}"
        for module, names in imported
        for name in names.split(", ")
        if not {module, f"{module}.{name}"} & listed
    ]
    assert absent == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_use_the_terms_of_the_field(page: Path) -> None:
    prose = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert MARGINAL_WORDS.findall(prose) == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 1000
