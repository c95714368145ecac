"""`metrics.csv` of a run: one row a step, a tidy form, and charts with model and copy-last."""

import csv
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from PIL import Image

from vidpred.loggers import RunCSVLogger
from vidpred.loggers.curves import (
    TIDY_COLUMNS,
    charts,
    draw_picture,
    read_rows,
    write_tidy,
)
from vidpred.loggers.curves_page import draw_page

LOGGED: list[tuple[dict[str, float], int]] = [
    ({"train/loss_g": 1.0, "train/lp_loss_scale_2": 0.5, "epoch": 0}, 50),
    ({"val/psnr": 20.0, "val/psnr_copy_last": 21.0, "epoch": 0}, 50),
    ({"train/health/diversity": 0.9}, 50),
    ({"train/loss_g": 0.5, "train/lp_loss_scale_2": 0.25, "epoch": 1}, 100),
    ({"val/psnr": 22.0, "val/psnr_copy_last": 21.0, "val/psnr_moving_t+02": 15.0}, 100),
]


def write(folder: Path, *, saved_after: tuple[int, ...] = ()) -> list[dict[str, str]]:
    logger = RunCSVLogger(folder, flush_logs_every_n_steps=1000)
    for number, (metrics, step) in enumerate(LOGGED):
        logger.log_metrics(metrics, step)
        if number in saved_after:
            logger.save()
    logger.save()
    return read_rows(folder / "metrics.csv")


@pytest.mark.parametrize("saved_after", [(), (0,), (0, 1, 2, 3, 4), (1, 3)])
def test_a_step_is_one_row_however_often_it_is_written(
    tmp_path: Path, saved_after: tuple[int, ...]
) -> None:
    rows = write(tmp_path, saved_after=saved_after)
    assert [row["step"] for row in rows] == ["50", "100"]
    first, last = rows
    assert (first["train/loss_g"], first["val/psnr"]) == ("1.0", "20.0")
    assert first["train/health/diversity"] == "0.9"
    assert first["val/psnr_moving_t+02"] == ""
    assert (last["val/psnr"], last["val/psnr_moving_t+02"]) == ("22.0", "15.0")


def test_a_step_that_is_read_back_from_the_file_is_joined(tmp_path: Path) -> None:
    """A resumed run begins at the step of its checkpoint, whose row is in the file."""
    logger = RunCSVLogger(tmp_path)
    logger.log_metrics({"train/loss_g": 1.0}, 50)
    state = logger.state_dict()
    logger.log_metrics({"val/psnr": 20.0}, 50)
    logger.save()
    again = RunCSVLogger(tmp_path)
    again.load_state_dict(state)
    again.log_metrics({"val/psnr": 20.0}, 50)
    again.log_metrics({"train/loss_g": 0.5}, 100)
    again.save()
    rows = read_rows(tmp_path / "metrics.csv")
    assert [(row["step"], row["train/loss_g"], row["val/psnr"]) for row in rows] == [
        ("50", "1.0", "20.0"),
        ("100", "0.5", ""),
    ]


def test_the_tidy_form_has_one_value_a_row(tmp_path: Path) -> None:
    rows = write(tmp_path)
    write_tidy(rows, tmp_path / "tidy.csv")
    with (tmp_path / "tidy.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert tuple(found[0]) == TIDY_COLUMNS
    assert len(found) == sum(bool(v) for row in rows for k, v in row.items() if "/" in k)
    second = {"step": "100", "stage": "val", "metric": "psnr", "area": "moving", "frame": "2"}
    assert [row["value"] for row in found if second.items() <= row.items()] == ["15.0"]
    scale = [row for row in found if row["scale"] == "2"]
    assert [(row["metric"], row["predictor"]) for row in scale] == [("lp_loss", "")] * 2


def test_model_and_copy_last_share_a_chart(tmp_path: Path) -> None:
    found = {chart.title: chart.curves for chart in charts(write(tmp_path))}
    assert found["Training losses"] == {"loss_g": [(50, 1.0), (100, 0.5)]}
    assert found["PSNR, dB: mean over predicted frames (whole frame, validation)"] == {
        "model": [(50, 20.0), (100, 22.0)],
        "copy last": [(50, 21.0), (100, 21.0)],
    }
    assert charts([]) == []


def test_what_the_terminal_prints_is_drawn_under_its_name() -> None:
    """The PSNR of the first predicted frame, which selects best.ckpt, and not the mean of all."""
    logged = {"val/psnr_moving": "20.0", "val/psnr_moving_t+01": "21.5", "val/psnr_t+02": "18.0"}
    logged |= {"val/psnr_moving_copy_last_t+01": "19.0"}
    found = {chart.title: chart.curves for chart in charts([{"step": "50", **logged}])}
    assert found == {
        "PSNR t+1, dB (moving area, validation)": {
            "model": [(50, 21.5)],
            "copy last": [(50, 19.0)],
        },
        "PSNR, dB: mean over predicted frames (moving area, validation)": {"model": [(50, 20.0)]},
    }


@pytest.mark.parametrize("last", [1, 2, 3, 1200])
def test_batches_are_whole_numbers_from_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda drawing, *_, **__: drawn.append(drawing))
    steps = {last, last // 2 or 1}
    rows = [{"step": str(step), "train/loss": "1.0"} for step in sorted(steps)]
    with pytest.raises(FileNotFoundError):  # nothing was saved that could replace the file
        draw_picture(charts(rows), tmp_path / "curves.png")
    (panel,) = drawn[0].axes
    ticks = panel.get_xticks()
    assert panel.get_xlim()[0] == 0
    assert all(tick == round(tick) for tick in ticks)


def test_every_term_of_the_loss_is_drawn() -> None:
    """Names of docs/own-loss.md; a term with several scales is drawn as their sum, 0.5 + 0.25."""
    logged = {
        "train/loss": "3.0",
        "train/l1": "2.0",
        "train/charbonnier_scale_2": "0.5",
        "train/charbonnier_scale_1": "0.25",
        "train/accepted_crops": "1.0",
        "train/real_score_scale_1": "0.5",
        "train/health/gradient_cosine_lp_loss_adversarial_loss": "0.1",
    }
    found = {chart.title: chart.curves for chart in charts([{"step": "50", **logged}])}
    assert found == {
        "Training losses": {"loss": [(50, 3.0)]},
        "Loss terms (before weights, summed over scales)": {
            "l1": [(50, 2.0)],
            "charbonnier": [(50, 0.75)],
        },
    }


def test_the_picture_and_the_page_are_whole(tmp_path: Path) -> None:
    found = charts(write(tmp_path))
    draw_picture(found, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        picture.load()
        assert picture.width > 500
    draw_page(found, tmp_path / "curves.html", "my run")
    page = (tmp_path / "curves.html").read_text(encoding="utf-8")
    assert "PSNR, dB: mean over predicted frames (whole frame, validation)" in page
    assert "cdn" not in page.split("plotly.js v")[0]


@pytest.mark.slow
def test_the_page_counts_the_batches_of_a_short_run_from_0(tmp_path: Path, browser: Any) -> None:
    rows = [{"step": "2", "train/loss": "1.0"}]
    draw_page(charts(rows), tmp_path / "curves.html", "short")
    with browser.new_context() as context:
        page = context.new_page()
        page.goto((tmp_path / "curves.html").as_uri())
        page.wait_for_selector("#chart-0 .xtick")
        assert page.locator("#chart-0 .xtick").all_text_contents() == ["0", "1", "2"]


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_is_whole_on_every_screen(
    tmp_path: Path, browser: Any, width: int, scheme: str
) -> None:
    """Charts do not overlap, nothing is off the side, axe finds nothing, nothing is fetched."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python holds axe-core"
    )
    draw_page(charts(write(tmp_path)), tmp_path / "curves.html", "my <run>")
    with browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, has_touch=width < 400
    ) as context:
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto((tmp_path / "curves.html").as_uri())
        page.wait_for_selector("#chart-2 .main-svg")
        assert page.title() == "my <run>: curves"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        plots = [plot.bounding_box() for plot in page.locator(".plot").all()]
        assert all(200 < plot["width"] < width for plot in plots)
        columns = {round(plot["x"]) for plot in plots}
        assert len(columns) == (2 if width == 1280 else 1)
        assert page.locator("#chart-2").get_attribute("aria-label").startswith("PSNR, dB: mean")
        assert axe.Axe().run(page).response["violations"] == []
        assert said == []
        assert len(asked) == 1
