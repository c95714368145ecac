"""The page's server over real connections: what comes in, what goes out, what is left behind."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from page_client import Client
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from vidpred.metrics.registry import METRICS
from vidpred.page.uploads import Upload
from vidpred.video import read_clip_array

Open = Callable[[], Client]


def test_frames_shown_are_the_true_ones_and_exactly_what_is_scored(
    client: Open, toy_clip: Path
) -> None:
    tab = client()
    clip = tab.ready(toy_clip)
    assert (clip["state"], clip["frames"], clip["width"], clip["height"]) == ("ready", 24, 64, 48)
    assert clip["fps"] == 12
    done = tab.predicted(clip["key"], "small", last=8, horizon=3)
    assert (done["state"], done["known"], done["truth"], done["done"]) == ("done", 4, 3, 3)
    frames = read_clip_array(toy_clip, 0, 24)
    for k in range(4):
        assert np.array_equal(tab.picture(done["key"], "known", 0, k), frames[5 + k])
    for step in (1, 2, 3):
        truth = tab.picture(done["key"], "truth", 0, step)
        pred = tab.picture(done["key"], "pred", 0, step)
        assert np.array_equal(truth, frames[8 + step])
        # An independent PSNR of the very pictures that the browser gets.
        expected = peak_signal_noise_ratio(truth, pred, data_range=255)
        assert done["futures"][0]["psnr"][step - 1] == pytest.approx(expected, abs=1e-3)
        copied = peak_signal_noise_ratio(truth, frames[8], data_range=255)
        assert done["copy_last"]["psnr"][step - 1] == pytest.approx(copied, abs=1e-3)


def test_the_difference_is_signed(client: Open, toy_clip: Path) -> None:
    tab = client()
    done = tab.predicted(tab.ready(toy_clip)["key"], "copy_last", last=8, horizon=2)
    frames = read_clip_array(toy_clip, 8, 3).astype(float)
    shown = tab.picture(done["key"], "difference", 0, 2).astype(int)
    assert np.array_equal(shown, tab.picture(done["key"], "copy-difference", 0, 2))
    luma = (frames[0] - frames[2]) @ [0.299, 0.587, 0.114]
    red, blue = shown[..., 0] > shown[..., 2], shown[..., 0] < shown[..., 2]
    assert (luma[red & (shown[..., 3] > 2)] > 0).all()
    assert (luma[blue & (shown[..., 3] > 2)] < 0).all()
    assert np.abs(shown[..., 3] - np.minimum(255, 3 * np.abs(luma))).max() <= 1


def test_baselines_and_bundled_models_are_offered(server: Any) -> None:
    about = requests.get(f"{server.address}/api/about", timeout=30).json()
    kinds = {model["name"]: model["kind"] for model in about["models"]}
    assert kinds["small"] == "bundled"
    assert {"copy_last", "linear", "optical_flow"} <= {
        name for name, kind in kinds.items() if kind == "baseline"
    }
    assert about["models"][0]["kind"] != "baseline"  # the first one is chosen when nothing is


def test_futures_of_a_stochastic_model_differ_and_repeat_with_the_seed(
    client: Open, toy_clip: Path
) -> None:
    tab = client()
    clip = tab.ready(toy_clip)["key"]
    pictures = []
    for seed in (1, 1, 2):
        done = tab.predicted(clip, "noisy", horizon=2, samples=3, seed=seed)
        assert [len(future["psnr"]) for future in done["futures"]] == [2, 2, 2]
        assert done["total"] == done["done"] == 6
        pictures.append([tab.picture(done["key"], "pred", k, 2) for k in range(3)])
    assert not np.array_equal(pictures[0][0], pictures[0][1])
    assert all(np.array_equal(a, b) for a, b in zip(pictures[0], pictures[1], strict=True))
    assert not np.array_equal(pictures[0][0], pictures[2][0])
    # One future is the point prediction, which for this model is the last frame.
    point = tab.predicted(clip, "noisy", horizon=2, seed=5)
    assert point["futures"] == [point["copy_last"]]
    refused = tab.ask(clip, "small", samples=3)
    assert refused.status_code == 400
    assert "one future" in refused.json()["problem"]


def test_beyond_the_end_nothing_is_scored(client: Open, toy_clip: Path) -> None:
    tab = client()
    clip = tab.ready(toy_clip)["key"]
    done = tab.predicted(clip, last=23, horizon=2)
    assert (done["state"], done["truth"], done["futures"]) == ("done", 0, [{}])
    assert done["following"] == 0
    assert tab.picture(done["key"], "pred", 0, 2).shape == (48, 64, 3)
    part = tab.predicted(clip, last=21, horizon=4)
    assert (part["truth"], len(part["futures"][0]["psnr"])) == (2, 2)
    assert part["following"] == 2


def test_frames_can_be_reduced_and_the_truth_with_them(client: Open, toy_clip: Path) -> None:
    tab = client()
    done = tab.predicted(tab.ready(toy_clip)["key"], reduce=2)
    assert (done["width"], done["height"]) == (32, 24)
    frames = read_clip_array(toy_clip, 9, 1)[0].astype(float)
    mean = frames.reshape(24, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(tab.picture(done["key"], "truth", 0, 1) - mean).max() <= 0.5


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"last": 24}, "expected 0 to 23"),
        ({"last": -1}, "whole number from 0"),
        ({"last": 2.5}, "whole number"),
        ({"last": 1, "model": "small"}, "small sees 4 known frames"),
        ({"horizon": 13}, "from 1 to 12"),
        ({"horizon": True}, "whole number"),
        ({"reduce": 3}, "expected one of"),
        ({"reduce": 8}, "sides of at least 16"),
        ({"model": "../../etc/passwd"}, "expected one of flow_refiner"),
        ({"clip": "../x"}, "no longer there"),
    ],
)
def test_questions_that_cannot_be_answered_are_refused(
    client: Open, toy_clip: Path, wanted: dict[str, Any], said: str
) -> None:
    tab = client()
    question = {"clip": tab.ready(toy_clip)["key"], **wanted}
    answer = tab.ask(**question)
    assert answer.status_code in (400, 404)
    assert said in answer.json()["problem"]


def test_a_model_that_fails_is_named_and_the_next_one_runs(
    client: Open, toy_clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tab = client()
    clip = tab.ready(toy_clip)["key"]
    failed = tab.predicted(clip, "broken")
    assert failed["state"] == "failed"
    assert failed["problem"].startswith("broken: ")
    assert "a bug" in caplog.text  # the traceback is in the terminal
    assert tab.predicted(clip)["state"] == "done"


def test_progress_is_told_while_it_predicts(client: Open, toy_clip: Path) -> None:
    tab = client()
    clip = tab.ready(toy_clip)["key"]
    key = tab.ask(clip, "slow", horizon=6).json()["prediction"]
    seen = set()

    def over(one: dict[str, Any]) -> bool:
        seen.add(one["done"])
        assert one["following"] == 6  # before the first picture, too
        if one["state"] == "predicting" and one["done"] == 2:
            assert one["left"] > 0
            assert len(one["futures"][0]["psnr"]) >= 2  # scores come with the frames
        return bool(one["state"] == "done")

    tab.wait_for(key, over)
    assert len(seen) >= 4
    assert tab.picture(key, "pred", 0, 6).shape == (48, 64, 3)


def test_a_canceled_prediction_leaves_nothing(client: Open, server: Any, toy_clip: Path) -> None:
    tab = client()
    clip = tab.ready(toy_clip)["key"]
    key = tab.ask(clip, "slow", horizon=12).json()["prediction"]
    tab.wait_for(key, lambda one: one["done"] >= 1)
    assert any("prediction-" in name for name in server.files())
    begun = time.monotonic()
    assert requests.delete(f"{tab.path}/predictions/{key}", timeout=30).status_code == 204
    assert not any("prediction-" in name for name in server.files())
    # The worker is free after the frame that it was at, not after eleven more.
    assert tab.predicted(clip)["state"] == "done"
    assert time.monotonic() - begun < 10
    assert not any(key in name for name in server.files())


def test_a_tab_that_is_closed_in_the_middle_is_cleared_away(
    client: Open, server: Any, toy_clip: Path
) -> None:
    leaving, staying = client(), client()
    clip = leaving.ready(toy_clip)["key"]
    key = leaving.ask(clip, "slow", horizon=12).json()["prediction"]
    leaving.wait_for(key, lambda one: one["done"] >= 1)
    other = staying.ready(toy_clip)["key"]
    leaving.close()
    deadline = time.monotonic() + 30
    while any(clip in name for name in server.files()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert requests.get(f"{leaving.path}/events", timeout=30).status_code == 404
    # What the other tab holds is untouched, and its prediction runs.
    assert staying.predicted(other)["state"] == "done"


def test_two_tabs_know_nothing_of_each_other(client: Open, toy_clip: Path) -> None:
    one, two = client(), client()
    clip = one.ready(toy_clip)["key"]
    two.ready(toy_clip, "other.avi")
    assert [held["name"] for held in two.held["clips"]] == ["other.avi"]
    assert two.ask(clip).status_code == 404
    assert requests.get(f"{two.path}/clips/{clip}/frames/0.jpg", timeout=30).status_code == 404
    # Both ask at once: one waits for the other, and both are answered.
    first = one.ask(clip, "slow", horizon=4).json()["prediction"]
    second = two.ask(two.held["clips"][0]["key"], "slow", horizon=2).json()["prediction"]
    two.wait_for(second, lambda one: one["state"] == "waiting")
    for tab, key in ((one, first), (two, second)):
        tab.wait_for(key, lambda one: one["state"] == "done")


def test_tabs_clips_and_predictions_are_bounded(client: Open, server: Any, toy_clip: Path) -> None:
    tabs = [client() for _ in range(3)]
    refused = requests.post(f"{server.address}/api/tabs", timeout=30)
    assert refused.status_code == 429
    assert "close one" in refused.json()["problem"]
    tab = tabs[0]
    clips = [tab.ready(toy_clip)["key"] for _ in range(2)]
    full = tab.upload(toy_clip, "third.avi")
    assert full.status_code == 429
    assert full.json()["problem"].startswith("third.avi: this tab holds 2 clips")
    assert requests.delete(f"{tab.path}/clips/{clips[0]}", timeout=30).status_code == 204
    keys = [tab.predicted(tab.ready(toy_clip)["key"])["key"]]
    keys += [tab.predicted(clips[1])["key"] for _ in range(2)]
    assert [held["key"] for held in tab.held["predictions"]] == keys[1:]  # the oldest made room


def test_a_clip_waits_for_those_that_may_turn_out_to_be_none(
    client: Open, toy_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab, inspect, may_fail = client(), Upload._inspect, threading.Event()

    def slowly(upload: Upload) -> None:
        if upload.name == "notes.avi":
            assert may_fail.wait(60)
        inspect(upload)

    monkeypatch.setattr(Upload, "_inspect", slowly)
    tab.ready(toy_clip)
    assert tab.upload(b"Dear diary", "notes.avi").status_code == 201
    with ThreadPoolExecutor(1) as pool:
        good = pool.submit(tab.upload, toy_clip, "good.avi")
        with pytest.raises(TimeoutError):
            good.result(timeout=0.5)
        may_fail.set()
        assert good.result(timeout=60).status_code == 201


def test_an_example_needs_no_upload(client: Open, server: Any) -> None:
    tab = client()
    key = requests.post(f"{tab.path}/examples/toy", timeout=30).json()["clip"]
    tab.wait(lambda held: held["clips"] and held["clips"][0]["state"] == "ready")
    assert tab.predicted(key)["state"] == "done"
    assert requests.post(f"{tab.path}/examples/other", timeout=30).status_code == 404


def test_removing_a_clip_removes_what_was_predicted_from_it(
    client: Open, server: Any, toy_clip: Path
) -> None:
    tab = client()
    clip = tab.ready(toy_clip)["key"]
    tab.predicted(clip)
    requests.delete(f"{tab.path}/clips/{clip}", timeout=30)
    tab.wait(lambda held: held == {"clips": [], "predictions": []})
    assert server.files() == []


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/static/__init__.py",
        "/../../etc/passwd",
        "/api/tabs/..%2f../events",
        "/nothing",
    ],
)
def test_paths_lead_nowhere(server: Any, path: str) -> None:
    request = requests.Request("GET", server.address).prepare()
    request.url = server.address + path  # not normalized
    answer = requests.Session().send(request, timeout=30)
    assert answer.status_code == 404
    assert "problem" in answer.json()


def test_pictures_have_no_other_names(client: Open, toy_clip: Path) -> None:
    tab = client()
    clip = tab.ready(toy_clip)["key"]
    done = tab.predicted(clip)["key"]
    base = f"{tab.path}/predictions/{done}"
    for path in (f"{base}/known/0/9.png", f"{base}/clip/0/0.png", f"{base}/..%2f/0/0.png"):
        assert requests.get(path, timeout=30).status_code == 404
    for digits in (300, 5000):
        number = "9" * digits
        paths = (f"{tab.path}/clips/{clip}/frames/{number}.jpg", f"{base}/known/0/{number}.png")
        for path in (*paths, f"{base}/known/{number}/0.png"):
            answer = requests.get(path, timeout=30)
            assert answer.status_code == 404
            assert answer.json()["problem"] == "this picture is not there"
    assert requests.get(f"{tab.path}/clips/{clip}/frames/99.jpg", timeout=30).status_code == 404
    assert requests.get(f"{tab.path}/clips/{clip}/frames/-1.jpg", timeout=30).status_code == 404


def test_a_picture_that_is_removed_just_now_is_not_there(
    client: Open, toy_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = client()
    clip = tab.ready(toy_clip)["key"]
    monkeypatch.setattr(Path, "is_file", lambda path: True)  # as it was a moment ago
    missing = requests.get(f"{tab.path}/clips/{clip}/frames/99.jpg", timeout=30)
    assert missing.status_code == 404
    assert missing.json()["problem"] == "this picture is not there"


def test_every_answer_keeps_the_page_to_itself(server: Any) -> None:
    for path in ("/", "/static/page.css", "/api/about", "/nothing"):
        headers = requests.get(server.address + path, timeout=30).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers
        assert headers["cache-control"] == "no-store"


def test_the_page_asks_for_nothing_from_elsewhere() -> None:
    folder = Path(__file__).parents[2] / "vidpred" / "page" / "static"
    files = list(folder.iterdir())
    assert {file.suffix for file in files} == {".html", ".css", ".js", ".svg"}
    for file in files:
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text, file.name
        assert "https://" not in text, file.name
        assert " style=" not in text, file.name  # the content security policy refuses it


def test_the_page_knows_the_measures_by_their_names(client: Open, toy_clip: Path) -> None:
    tab = client()
    done = tab.predicted(tab.ready(toy_clip)["key"])
    words = Path(__file__).parents[2] / "vidpred" / "page" / "static" / "words.js"
    for name, values in done["copy_last"].items():
        info = METRICS[name]
        assert f'{name}: {{ label: "{info.label}", unit: "{info.unit}"' in words.read_text()
        assert len(values) == 3


def test_questions_that_are_no_json_are_refused(client: Open) -> None:
    path = f"{client().path}/predictions"
    for body in ("[" * 4000, "{", "[]", "\xff"):
        answer = requests.post(path, data=body, timeout=30)
        assert answer.status_code == 400
        assert "the request is no JSON" in answer.json()["problem"]


def test_what_is_no_video_is_not_called_damaged(client: Open, tmp_path: Path) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    Image.new("RGB", (64, 48)).save(tmp_path / "a.jpg")
    for name in ("a.png", "a.jpg"):
        clip = client().ready(tmp_path / name, name)
        assert clip["state"] == "failed"
        assert "it is no video, or of a kind that this page does not take" in clip["problem"]
