"""The report in a real browser: what a reader sees, presses and hears."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import DESKTOP
from synthetic_results import make_result, synthetic_results, write_results

from vidpred.evaluation.compare.comparison import compare
from vidpred.evaluation.report import write_report
from vidpred.evaluation.results.gathering import read_results

pytestmark = pytest.mark.slow  # a second or two each

PHONE = {"width": 360, "height": 780}
LINES = """name => {
  const lines = []; let top;
  for (const text of [...name.childNodes].filter((node) => node.nodeType === 3))
    for (let k = 0; k < text.length; k++) {
      const letter = document.createRange(); letter.setStart(text, k); letter.setEnd(text, k + 1);
      const at = letter.getBoundingClientRect().top;
      if (at === top) lines[lines.length - 1] += text.data[k]; else lines.push(text.data[k]);
      top = at;
    }
  return lines;
}"""
"""The text of each line of an element."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("browser")
    write_results(home, synthetic_results(num_videos=14), height=48, width=64)
    write_report(home / "report.html", compare(read_results([home]), resamples=500))
    return home / "report.html"


class Reader:
    """A page with everything that it asked for and complained about."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.context = browser.new_context(**{"viewport": DESKTOP, **options})
        self.page = self.context.new_page()
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
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("#tradeoff-plot .main-svg")


@pytest.fixture
def read(browser: Any, report: Path) -> Iterator[Any]:
    readers: list[Reader] = []

    def start(path: Path = report, **options: Any) -> Any:
        readers.append(Reader(browser, path, **options))
        return readers[-1].page

    yield start
    for reader in readers:
        outside = [url for url in reader.requests if not url.startswith(("file:", "data:"))]
        reader.context.close()
        assert not outside
        assert not reader.complaints


def column(page: Any, index: int) -> list[str]:
    cells = page.locator(f".ranking:visible tbody tr > :nth-child({index})")
    return [text.split()[0] for text in cells.locator(".value, .name").all_inner_texts()]


def numbers(texts: list[str]) -> list[float]:
    return [float(text.replace("\N{MINUS SIGN}", "-")) for text in texts]


def test_tables_sort_by_mouse_and_keyboard(read: Any) -> None:
    page = read()
    heads = page.locator(".ranking:visible thead th")
    assert heads.nth(1).get_attribute("aria-sort") == "descending"
    psnr = numbers(column(page, 2))
    assert psnr == sorted(psnr, reverse=True)
    heads.nth(1).locator("button").click()
    assert heads.nth(1).get_attribute("aria-sort") == "ascending"
    assert numbers(column(page, 2)) == sorted(psnr)
    heads.nth(5).locator("button").focus()
    page.keyboard.press("Enter")
    assert heads.nth(5).get_attribute("aria-sort") == "descending"
    assert heads.nth(1).get_attribute("aria-sort") is None
    sharp = numbers(column(page, 6))
    assert sharp == sorted(sharp, reverse=True)
    page.keyboard.press("Space")
    assert numbers(column(page, 6)) == sorted(sharp)
    heads.nth(0).locator("button").click()
    assert column(page, 1) == ["adv_gdl", "copy_last", "l2", "linear", "optical_flow"]


def test_area_and_measure_drive_table_plots_and_verdict(read: Any) -> None:
    page = read()
    assert "PSNR (moving area)" in page.locator("#verdict").inner_text()
    assert page.locator("#curves figcaption").inner_text().startswith("PSNR, moving area")
    moving = column(page, 2)
    page.get_by_role("radio", name="Whole frame").check(force=True)
    assert "PSNR (whole frame)" in page.locator("#verdict").inner_text()
    assert column(page, 2) != moving
    page.get_by_label("Measure", exact=True).select_option(label="SSIM")
    assert "SSIM (whole frame)" in page.locator("#verdict").inner_text()
    assert "SSIM" in page.locator("#curves-plot .ytitle").text_content()
    assert "SSIM" in page.locator("#motion-plot .ytitle").text_content()
    head = page.locator(".ranking:visible thead th[aria-sort]")
    assert head.inner_text().startswith("SSIM")
    page.get_by_role("radio", name="Gain over copy last").check(force=True)
    assert page.locator("#motion-plot .ytitle").text_content() == "gain over copy last"


def test_hovering_shows_values(read: Any) -> None:
    page = read()
    for plot, expected in (
        ("#curves-plot", ["t+", "dB", "clips"]),
        ("#motion-plot", ["dB", "motion"]),
        ("#tradeoff-plot", ["PSNR", "Sharpness"]),
    ):
        page.locator(plot).scroll_into_view_if_needed()
        point = page.locator(f"{plot} .scatterlayer .trace .points path").nth(3).bounding_box()
        page.mouse.move(point["x"] + point["width"] / 2 - 1, point["y"] + point["height"] / 2)
        page.mouse.move(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
        hover = page.locator(f"{plot} .hoverlayer .hovertext")
        hover.first.wait_for()
        said = hover.first.text_content()
        assert all(word in said for word in expected), said
        page.mouse.move(5, 300)


def test_methods_can_be_hidden_in_all_plots_at_once(read: Any) -> None:
    page = read()
    before = page.locator("#tradeoff-plot .scatterlayer .trace").count()
    chip = page.locator("#curves .chips button", has_text="linear")
    chip.focus()
    page.keyboard.press("Space")
    assert chip.get_attribute("aria-pressed") == "false"
    other = page.locator("#tradeoff .chips button", has_text="linear")
    assert other.get_attribute("aria-pressed") == "false"
    assert page.locator("#tradeoff-plot .scatterlayer .trace").count() == before - 1
    other.click()
    assert page.locator("#tradeoff-plot .scatterlayer .trace").count() == before


def test_videos_play(read: Any) -> None:
    page = read()
    video = page.locator("video:visible").first
    video.scroll_into_view_if_needed()
    assert video.evaluate("v => v.muted && v.loop && v.controls && v.playsInline")
    page.wait_for_function("v => v.currentTime > 0.2 && !v.error", arg=video.element_handle())
    assert video.evaluate("v => v.videoWidth") > 100
    page.evaluate("window.scrollTo(0, 0)")
    page.wait_for_function("v => v.paused", arg=video.element_handle())
    video.scroll_into_view_if_needed()
    page.wait_for_function("v => !v.paused", arg=video.element_handle())
    video.evaluate("v => v.pause()")  # the reader's own wish outlives scrolling
    page.evaluate("window.scrollTo(0, 0)")
    page.wait_for_timeout(300)
    video.scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    assert video.evaluate("v => v.paused")


def test_reduced_motion_is_respected(read: Any) -> None:
    page = read(reduced_motion="reduce")
    video = page.locator("video:visible").first
    video.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    assert video.evaluate("v => v.paused && v.currentTime === 0")


def test_clips_are_shown_by_method(read: Any) -> None:
    page = read()
    first = page.locator(".card:visible").count()
    assert 0 < first < page.locator(".card").count()
    page.locator("#clip-filter select").select_option(label="all methods")
    assert page.locator(".card:visible").count() == page.locator(".card").count()
    page.locator("#clip-filter select").select_option(label="l2")
    for tags in page.locator(".card:visible .tags").all_inner_texts():
        assert "l2" in tags


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(read: Any, scheme: str) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python holds axe-core"
    )
    found = axe.Axe().run(read(color_scheme=scheme)).response["violations"]
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_everything_without_sideways_scrolling(read: Any, scheme: str) -> None:
    page = read(viewport=PHONE, color_scheme=scheme, has_touch=True)
    page.locator("#clip-filter select").select_option(label="all methods")
    for details in page.locator("details").all():
        details.evaluate("d => { d.open = true }")
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    box = page.locator(".ranking:visible .scroll")
    assert box.evaluate("b => b.scrollWidth > b.clientWidth")  # the table scrolls inside its box
    name = page.locator(".ranking:visible tbody th").first
    before = name.bounding_box()["x"]
    box.evaluate("b => { b.scrollLeft = 200 }")
    assert name.bounding_box()["x"] == pytest.approx(before, abs=1)  # and the method stays


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP])
def test_names_of_equal_scores_share_a_list(read: Any, tmp_path: Path, viewport: Any) -> None:
    copies = {"adv_gdl": 4, "optical_flow": 1, "copy_last": 1}
    results = synthetic_results(num_videos=14)
    results += [
        make_result(f"{name}_again_{k}", r["protocol"], r["rows"], kind=r["method"]["kind"])
        for r in results
        for name in [r["method"]["name"]]
        for k in range(copies.get(name, 0))
    ]
    path = tmp_path / "report.html"
    write_report(path, compare({f"{k}.json": r for k, r in enumerate(results)}, resamples=50))
    page = read(path, viewport=viewport)
    names = page.locator("#tradeoff-plot .textpoint text")
    boxes = names.evaluate_all("all => all.map((e) => e.getBoundingClientRect().toJSON())")
    assert len(boxes) == (3 if viewport is PHONE else 5)  # of five places; two have no room there
    for k, box in enumerate(boxes):
        assert 0 <= box["left"] < box["right"] <= viewport["width"]
        for other in boxes[:k]:
            apart = box["right"] <= other["left"] or other["right"] <= box["left"]
            assert apart or box["bottom"] <= other["top"] or other["bottom"] <= box["top"]
    assert names.filter(has_text="and 2 more").count() == 1


def test_a_long_name_breaks_between_its_words(read: Any, tmp_path: Path) -> None:
    results = synthetic_results(num_videos=4)
    name = "optical_flow_duplicates"
    results.append(make_result(name, results[2]["protocol"], results[2]["rows"], kind="baseline"))
    path = tmp_path / "report.html"
    write_report(path, compare({f"{k}.json": r for k, r in enumerate(results)}, resamples=50))
    page = read(path, viewport=PHONE)
    shown = page.locator(".ranking:visible .name", has_text=name)
    assert shown.evaluate(LINES) == ["optical_flow_", "duplicates"]


def test_dark_differs_and_can_be_chosen(read: Any) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light, dark = read(color_scheme="light"), read(color_scheme="dark")
    assert light.evaluate(ground) != dark.evaluate(ground)
    line = "document.querySelector('#curves-plot .gridlayer path').style.stroke"
    assert light.evaluate(line) != dark.evaluate(line)
    light.get_by_role("button", name="Use the dark theme").click()
    assert light.evaluate(ground) == dark.evaluate(ground)
    assert light.evaluate(line) == dark.evaluate(line)
    light.wait_for_timeout(500)  # the browser stores it from another process
    light.reload()
    assert light.evaluate(ground) == dark.evaluate(ground)  # the choice is kept


def test_everything_has_a_text_alternative(read: Any) -> None:
    page = read()
    assert page.locator("html").get_attribute("lang") == "en"
    for landmark in ("banner", "main", "navigation", "contentinfo"):
        assert page.get_by_role(landmark).count() == 1
    for picture in page.locator("img").all():
        assert len(picture.get_attribute("alt")) > 20
    for video in page.locator("video").all():
        assert "truth and predictions" in video.get_attribute("aria-label")
        assert video.get_attribute("poster").startswith("data:image/jpeg;base64,")
    figures = page.locator("figure")
    assert figures.count() == 3
    for figure in figures.all():
        plot = figure.locator(".plot")
        assert plot.get_attribute("role") == "group"  # it holds buttons, which no picture may
        assert plot.locator(".modebar-btn").count() == 4  # and none that sends data anywhere
        assert len(plot.get_attribute("aria-label")) > 40
        figure.locator("summary").click()
        assert figure.locator("table tbody tr").count() >= 4
    # Tables without a caption are named by the box that they stand in.
    assert page.locator("table:not(:has(caption))").count() == figures.count()
    assert page.locator(".scroll:not([aria-label]):not([aria-labelledby])").count() == 0
    for heading, level in (("h1", 1), ("h2", 6)):
        assert page.locator(heading).count() == level
    # All but what is drawn is named to a screen reader.
    nameless = page.evaluate(
        """[...document.querySelectorAll("button, select, input, a")].filter((e) => !(
            e.labels?.length || e.textContent.trim() || e.getAttribute("aria-label")
            || e.dataset.title)).length"""
    )
    assert nameless == 0


def test_the_keyboard_reaches_the_results_and_shows_where_it_is(read: Any) -> None:
    page = read()
    page.keyboard.press("Tab")
    skip = page.locator(":focus")
    assert skip.inner_text() == "Skip to the results"
    page.wait_for_function("document.activeElement.getBoundingClientRect().top >= 0")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    assert focused.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    assert focused.evaluate("e => parseFloat(getComputedStyle(e).outlineWidth)") >= 2


def test_without_scripts_all_tables_and_clips_are_there(browser: Any, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator(".ranking:visible").count() == page.locator(".ranking").count() == 2
    assert page.locator(".card:visible").count() == page.locator(".card").count()
    context.close()


def test_names_of_users_run_nothing(read: Any, tmp_path: Path) -> None:
    bad = '</script><img src=x onerror="window.ran=1"><b>\'&'
    results = synthetic_results(num_videos=8)
    protocol = results[0]["protocol"]
    renamed = make_result(bad, protocol, results[3]["rows"])
    for result in (*results[:3], renamed):
        for row in result["rows"]:
            row["clip"] += bad
    results = [*results[:3], renamed]
    path = tmp_path / "report.html"
    write_report(path, compare({f"{k}.json": r for k, r in enumerate(results)}, resamples=50))
    page = read(path)
    assert page.evaluate("window.ran") is None
    assert page.locator(".ranking:visible tbody .name", has_text="<b>'&").count() == 1
    page.locator("#tradeoff-plot").scroll_into_view_if_needed()
    texts = page.locator("#tradeoff-plot .textpoint, #tradeoff-plot text").all_text_contents()
    assert f"{bad[:23]}…" in texts  # cut, so that it fits


def test_forced_colors_leave_the_meaning(read: Any) -> None:
    page = read(forced_colors="active")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for selector in (".ranking .swatch:not(.baseline)", ".segments input:checked + span"):
        chosen = page.locator(selector).first
        assert chosen.evaluate("e => getComputedStyle(e).backgroundColor") != ground, selector


def test_a_likelihood_is_drawn_for_the_methods_that_have_one(read: Any, tmp_path: Path) -> None:
    results = synthetic_results("quick", num_videos=14)
    nats = {"metric": "nats_per_frame", "variant": "standard", "area": "whole"}
    protocol = {**results[0]["protocol"]}
    protocol["measures"] = [*protocol["measures"], nats]
    for result in results:
        for k, row in enumerate(result["rows"]):
            known = result["method"]["name"] == "l2"  # which others are ahead of by PSNR
            horizon = protocol["clips"]["horizon"]
            row["values"]["nats_per_frame.standard.whole"] = [
                100.0 + k if known else None
            ] * horizon
    results = [
        make_result(r["method"]["name"], protocol, r["rows"], kind=r["method"]["kind"])
        for r in results
    ]
    path = tmp_path / "report.html"
    write_report(path, compare({f"{k}.json": r for k, r in enumerate(results)}, resamples=50))
    page = read(path)
    page.get_by_role("radio", name="Whole frame").check(force=True)
    page.get_by_label("Measure", exact=True).select_option(label="NLL")
    clips = len(results[0]["rows"])
    assert page.locator("#motion figcaption").inner_text().endswith(f"; {clips} clips.")
    assert page.locator("#motion-plot .scatterlayer .points path").count() >= clips
    page.locator("#motion summary").click()
    rows = page.locator("#motion details table tr")
    assert rows.first.locator("th").count() == 1 + page.locator("#motion details td").count()
