"""The report's HTML, without a browser: what is in it, and that names stay names."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from synthetic_results import make_result, synthetic_results, write_results

from vidpred.evaluation.compare.comparison import Comparison, compare
from vidpred.evaluation.compare.wording import metric_name, verdict
from vidpred.evaluation.report import write_report
from vidpred.evaluation.report.appearance import appearances
from vidpred.evaluation.report.clip_cards import clip_cards
from vidpred.evaluation.report.page import render
from vidpred.evaluation.report.protocol_words import protocol_in_words
from vidpred.evaluation.report.tables import ranking_tables
from vidpred.evaluation.results.gathering import read_results
from vidpred.evaluation.results.result import PICTURES_FOLDER, Result
from vidpred.video import read_clip, write_video

RAW = '</script><img src=x onerror="alert(1)">&'


def compared(results: list[Result]) -> Comparison:
    return compare({f"{r['method']['name']}.json": r for r in results}, resamples=100)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    results = synthetic_results("mathieu2016-ucf101", num_videos=9)
    return write_results(folder, results, height=48, width=64)


def test_everything_is_in_one_file(home: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    comparison = compare(read_results([home]), resamples=100)
    path = tmp_path / "new" / "report.html"
    write_report(path, comparison, progress=lambda done, total: steps.append((done, total)))
    page = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 15_000_000
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    assert steps[0][0] == 0
    assert steps[-1][0] == steps[-1][1] == len({e["clip"] for e in comparison["extremes"]})
    own = page.replace(
        page[page.index("plotly.js v") - 200 : page.index("Draws what the page")], ""
    )
    # Nothing is looked for elsewhere: all sources are data, all links lead inside the page.
    for place in re.findall(r'(?:src|href)="([^"]{0,40})', own):
        assert place.startswith(("data:", "#")), place
    assert "default-src 'none'" in own
    for name in comparison["entrants"]:
        assert name in own
    for said in ("9 of 379 videos, 9 clips", "not a benchmark number", "How this was measured"):
        assert said in own
    assert comparison["protocol_digest"] in own
    assert "Scores as coded" in own


def test_numbers_of_the_plots_are_those_of_the_comparison(home: Path) -> None:
    comparison = compare(read_results([home]), resamples=100)
    data = embedded(render(comparison))
    key = comparison["measure"]
    for name, score in comparison["measures"][key]["scores"].items():
        assert data["measures"][key]["scores"][name]["mean"] == score["mean"]
    assert data["clips"] == [point["clip"] for point in comparison["points"]]


def embedded(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found.group(1))


def test_names_of_users_stay_text() -> None:
    rows: list[Any] = [
        {
            "clip": RAW + str(k),
            "video": RAW + str(k),
            "start": None,
            "motion": [None],
            "moving": [None],
            "values": {"psnr.standard.whole": [20.0 + k]},
        }
        for k in range(2)
    ]
    protocol = {
        "name": RAW,
        "description": RAW,
        "videos": {"class_path": RAW, "init_args": {RAW: RAW}},
        "clips": {"context_frames": 4, "horizon": 1, "starts": [0]},
        "measures": [{"metric": "psnr"}],
        "skip": None,
    }
    page = render(compared([make_result(RAW, protocol, rows, kind="files")]))
    assert "<img src=x" not in page
    data = embedded(page)
    assert data["methods"][0]["name"] == RAW
    assert data["clips"] == [RAW + "0", RAW + "1"]


def test_clips_without_pictures_are_said_so(home: Path) -> None:
    comparison = compared(synthetic_results(num_videos=6))  # of files that are nowhere
    cards = clip_cards(comparison)
    assert cards
    assert {card["pictures"]["absent"] for card in cards} == {
        "The evaluation left no pictures of this clip."
    }
    assert all(not card["pictures"]["video"] and not card["pictures"]["strip"] for card in cards)
    shown = clip_cards(compare(read_results([home]), resamples=100))
    assert all(card["pictures"]["video"].startswith("data:video/mp4;base64,") for card in shown)
    assert all(card["pictures"]["strip"].startswith("data:image/png;base64,") for card in shown)
    assert all("copy_last" in card["pictures"]["strip_alt"] for card in shown)


def test_damaged_and_odd_pictures_do_not_stop_the_report(tmp_path: Path) -> None:
    results = synthetic_results("mathieu2016-ucf101", num_videos=4)
    home = write_results(tmp_path, results, height=32, width=32, num_shown=4)
    comparison = compare(read_results([home]), resamples=10)
    damaged, single, short, pastless = sorted(
        path.name for path in (home / PICTURES_FOLDER).iterdir()
    )
    (home / PICTURES_FOLDER / damaged / "truth.mp4").write_bytes(b"no video")
    for name in ("linear", "copy_last", "optical_flow", "l2"):
        (home / PICTURES_FOLDER / single / f"{name}.mp4").unlink()
    frames = read_clip(home / PICTURES_FOLDER / short / "truth.mp4", 0, 6)
    write_video(home / PICTURES_FOLDER / short / "l2.mp4", frames[:1])  # one frame of two
    write_video(home / PICTURES_FOLDER / pastless / "truth.mp4", frames[4:])
    cards = {card["clip"]: card for card in clip_cards(comparison)}
    assert "cannot be read" in cards[damaged]["pictures"]["absent"]
    assert cards[single]["pictures"]["strip_alt"].endswith("predictions: adv_gdl.")
    assert "l2" not in cards[short]["pictures"]["strip_alt"]
    assert "0 known frames" in cards[pastless]["pictures"]["strip_alt"]
    assert cards[pastless]["pictures"]["video"]


@pytest.mark.slow
def test_pictures_keep_to_their_room(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    comparison = compare(read_results([home]), resamples=10)
    whole = clip_cards(comparison)
    first = next(card for card in whole if any(tag["place"] == 1 for tag in card["tags"]))
    room = len(first["pictures"]["strip"]) + len(first["pictures"]["video"])
    monkeypatch.setattr("vidpred.evaluation.report.clip_cards.MEDIA_BUDGET", room)
    some = clip_cards(comparison)
    assert (
        sum(len(card["pictures"]["strip"]) + len(card["pictures"]["video"]) for card in some)
        <= room
    )
    left = [card for card in some if not card["pictures"]["video"]]
    assert left
    assert "to keep this page small" in left[0]["pictures"]["absent"]
    assert any(card["pictures"]["video"] for card in some)


def test_models_have_colors_and_baselines_greys() -> None:
    looks = appearances(compared(synthetic_results(num_videos=3)))
    models = {look["color"] for look in looks.values() if look["kind"] == "model"}
    greys = {look["color"] for look in looks.values() if look["kind"] == "baseline"}
    assert models == {"accent-0", "accent-1"}
    assert greys == {"grey-0", "grey-1", "grey-2"}
    assert {look["dash"] for look in looks.values() if look["kind"] == "model"} == {"solid"}
    assert len({(look["color"], look["symbol"], look["dash"]) for look in looks.values()}) == 5


def test_whiskers_share_a_scale() -> None:
    table = ranking_tables(compared(synthetic_results(num_videos=8)))[0]
    assert [row["rank"] for row in table["rows"]] == [1, 2, 3, 4, 5]
    cells = [row["cells"][0] for row in table["rows"]]
    places = [cell["whisker"]["at"] for cell in cells if cell["whisker"]]
    assert places == sorted(places, reverse=True)  # the better, the further to the right
    assert [cell["state"] for cell in cells].count("best") == 1
    low = min(cell["whisker"]["low"] for cell in cells if cell["whisker"])
    high = max(cell["whisker"]["high"] for cell in cells if cell["whisker"])
    assert (low, high) == (4, 96)
    copy = next(row["cells"][0] for row in table["rows"] if row["name"] == "copy_last")
    assert copy["whisker"]
    assert copy["whisker"]["mark"] == copy["whisker"]["at"]


def test_the_protocol_is_told_in_words() -> None:
    comparison = compared(synthetic_results("mathieu2016-ucf101", num_videos=3))
    words = dict(protocol_in_words(comparison))
    assert words["Videos"] == "UCF101Videos (split 1, every 10, expected 379)"
    assert words["Clips"].startswith("4 frames in, 2 predicted, starting at frame 0 of a video.")
    assert words["Frames"] == "240 \N{MULTIPLICATION SIGN} 320 pixels (resize), RGB."
    assert words["Intervals"].startswith("95 % percentile bootstrap")
    assert words["Moving area"].startswith("OpticalFlowMask (estimator DISFlow, threshold 0.2)")
    assert "at or above 50 in PSNR" in words["Left out"]


def test_one_method_alone_makes_a_report() -> None:
    page = render(compared(synthetic_results("quick", num_videos=1)[:1]))
    assert "nothing else is here" in page


def test_nothing_that_counts_makes_a_report() -> None:
    (own,) = synthetic_results("mathieu2016-ucf101", num_videos=2)[:1]
    for row in own["rows"]:
        row["values"] = {key: [None, None] for key in row["values"]}
    page = render(compared([own]))
    assert "nothing is ranked" in page
    for row in own["rows"]:
        row["values"] = {key: [30.0, None] for key in row["values"]}
    comparison = compared([own])
    (said,) = verdict(comparison)
    assert said.startswith(f"No clip counts for {metric_name(comparison['measure'])} (")
    assert ") at t+2, so nothing is ranked." in said
