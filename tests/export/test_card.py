"""Model cards compare what can be compared, and bold is for the best."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from synthetic_results import make_result

from vidpred.evaluation.results.result import Result
from vidpred.export import model_card
from vidpred.export.hub_folder import card_head
from vidpred.export.scores import THIS, scores_of
from vidpred.files import file_sha256
from vidpred.models import DCGANGenerator, GeneratorScale, MultiScaleGenerator
from vidpred.storage import SavedPredictor
from vidpred.storage.description import describe_frames, describe_predictor
from vidpred.storage.saved import write_saved

MOVING, WHOLE, BITS = "psnr.mathieu_code.moving", "psnr.standard.whole", "lpips.standard.whole"
MEASURES = [
    {"metric": "psnr", "variant": "mathieu_code", "area": "moving"},
    {"metric": "psnr", "variant": "standard", "area": "whole"},
    {"metric": "lpips", "variant": "standard", "area": "whole"},
]
PROTOCOL: dict[str, Any] = {
    "name": "coded",
    "description": "A protocol that skips.",
    "videos": {"class_path": "vidpred.evaluation.FolderVideos", "init_args": {}},
    "clips": {"starts": [0], "context_frames": 4, "horizon": 1},
    "measures": MEASURES,
    "skip": {"measure": MEASURES[0], "at_least": 50.0},
}


@pytest.fixture
def saved(tmp_path: Path) -> SavedPredictor:
    network = MultiScaleGenerator((GeneratorScale((4,), (3, 3)),), context_frames=3)
    path = tmp_path / "tiny.safetensors"
    saved = SavedPredictor(
        path=path,
        description=describe_predictor(network),
        weights={name: torch.zeros_like(w) for name, w in network.state_dict().items()},
        frames=describe_frames(network),
    )
    write_saved(path, saved)
    return saved


def result(name: str, kind: str, values: dict[str, tuple[float, float, float]]) -> Result:
    rows = [
        {
            "clip": clip,
            "video": clip,
            "start": 0,
            "fingerprint": "",
            "motion": [1.0],
            "moving": [0.1],
            "values": {MOVING: [moving], WHOLE: [whole], BITS: [distance]},
        }
        for clip, (moving, whole, distance) in values.items()
    ]
    return make_result(name, PROTOCOL, rows, kind=kind)


@pytest.fixture
def results(saved: SavedPredictor) -> dict[str, Result]:
    """Copying loses its easy clip to the skip, so that its own mean is 2 dB below the model's."""
    copied = result(
        "copy_last",
        "baseline",
        {"easy": (51.0, 40.0, 0.1), "fair": (40.3, 30.0, 0.2), "hard": (30.3, 20.0, 0.3)},
    )
    model = result(
        "mine",
        "model",
        {"easy": (49.0, 39.0, 0.2), "fair": (40.0, 31.0, 0.3), "hard": (30.0, 20.5, 0.4)},
    )
    model["method"]["details"] = {"sha256": file_sha256(saved.path)}
    return {"copy_last.json": copied, "mine.json": model}


def rows_of(card: str) -> dict[str, list[str]]:
    """By measure and area, the cells of the columns this and copy_last."""
    lines = (line.strip("| ").split(" | ") for line in card.splitlines() if line.startswith("| "))
    return {f"{c[0]}; {c[1].split(',')[0]}": c[2:] for c in lines if len(c) > 2}


def test_columns_are_over_the_clips_that_all_have(
    saved: SavedPredictor, results: dict[str, Result]
) -> None:
    (score,) = scores_of(saved, results)
    own = score["summary"][MOVING]["mean"]
    assert own == pytest.approx((49 + 40 + 30) / 3)
    copied = score["baselines"]["copy_last"][MOVING]["mean"]
    assert copied is not None
    assert own - copied > 2  # what the old cards showed
    common = score["common"]
    assert common[THIS][MOVING]["mean"] == pytest.approx(35.0)
    assert common["copy_last"][MOVING]["mean"] == pytest.approx(35.3)
    assert common[THIS][MOVING]["clips"] == common["copy_last"][MOVING]["clips"] == [2]
    assert common[THIS][WHOLE]["clips"] == [3]  # the skip is of the moving area
    card = model_card(dataclasses.replace(saved, scores=[dict(score)]), name="t.st", sha256="")
    rows = rows_of(card)
    assert rows["PSNR, dB; moving area"] == ["35.00", "**35.30**"]
    assert rows["PSNR, dB; whole frame"] == ["**30.17**", "30.00"]
    assert rows["LPIPS, lower is better; whole frame"] == ["0.300", "**0.200**"]
    assert "wherever that is so for one column: 2 clips in every column" in card
    behind = "PSNR (moving area, as coded by Mathieu et al. 2016), LPIPS (whole frame)"
    assert f"no better than copying the last frame in {behind}" in card


def test_what_is_equal_to_copying_is_no_better(
    saved: SavedPredictor, results: dict[str, Result]
) -> None:
    for own, copied in zip(*(result["rows"] for result in results.values()), strict=True):
        copied["values"] = own["values"]
    scores = [dict(score) for score in scores_of(saved, results)]
    card = model_card(dataclasses.replace(saved, scores=scores), name="t.st", sha256="")
    assert "no better than copying the last frame in PSNR (moving area" in card
    assert "PSNR (whole frame), LPIPS (whole frame)" in card


def test_frames_are_those_that_the_predictor_takes(saved: SavedPredictor) -> None:
    assert "Frames are RGB in [0, 1], (B, T, C, H, W), of any size. SHA-256" in model_card(
        saved, name="t.st", sha256=""
    )
    gray = describe_frames(DCGANGenerator(image_size=32, channels=1))
    card = model_card(dataclasses.replace(saved, frames=gray), name="t.st", sha256="")
    assert "Frames are gray in [0, 1], (B, T, C, H, W), of 32 x 32 pixels. SHA-256" in card


def test_limits_are_those_of_the_kind_of_predictor(
    saved: SavedPredictor, results: dict[str, Result]
) -> None:
    scores = [dict(score) for score in scores_of(saved, results)]
    card = model_card(dataclasses.replace(saved, scores=scores), name="t.st", sha256="")
    assert "frames ahead; predictions that are fed back drift and blur." in card
    assert "It gives one future and no certainty" in card
    frames = {**(saved.frames or {}), "direct": True, "stochastic": True}
    direct = dataclasses.replace(saved, scores=scores, frames=frames)
    card = model_card(direct, name="t.st", sha256="")
    assert "fed back" not in card
    assert "It gives one future" not in card
    assert "`sample` draws single futures" in card


def test_scores_of_drawn_futures_are_not_said_to_be_of_the_point_prediction(
    saved: SavedPredictor, results: dict[str, Result]
) -> None:
    for result in results.values():
        samples = {"count": 10, "seed": 0, "reduce": "best_of_k", "by": None}
        result["protocol"] = {**result["protocol"], "samples": samples}
    scores = [dict(score) for score in scores_of(saved, results)]
    frames = {**(saved.frames or {}), "stochastic": True}
    drawn = dataclasses.replace(saved, scores=scores, frames=frames)
    card = model_card(drawn, name="t.st", sha256="")
    assert "10 futures of each clip (seed 0); the best one counts, chosen by each measure" in card
    assert "Baselines predict one." in card
    assert "- Scores are of its point prediction, except in `coded`. Where several" in card
    index = card_head(drawn, "mine")["model-index"][0]["results"][0]["metrics"]
    assert index[0]["name"].endswith("as coded by Mathieu et al. 2016, best of 10 futures)")
    # A predictor with one future has been scored by that, whatever the protocol.
    one = dataclasses.replace(saved, scores=scores)
    assert "futures of each clip" not in model_card(one, name="t.st", sha256="")


def test_equal_scores_are_both_bold_and_one_column_alone_is_not(
    saved: SavedPredictor, results: dict[str, Result]
) -> None:
    for row in results["copy_last.json"]["rows"]:
        row["values"][WHOLE] = [30.1667]
    (score,) = scores_of(saved, results)
    card = model_card(dataclasses.replace(saved, scores=[dict(score)]), name="t.st", sha256="")
    assert rows_of(card)["PSNR, dB; whole frame"] == ["**30.17**", "**30.17**"]
    (score,) = scores_of(saved, {"mine.json": results["mine.json"]})
    card = model_card(dataclasses.replace(saved, scores=[dict(score)]), name="t.st", sha256="")
    assert "**" not in card


def test_files_of_0_1_show_no_means_of_other_clips_in_one_line(
    saved: SavedPredictor, results: dict[str, Result]
) -> None:
    (score,) = scores_of(saved, results)
    old = {key: value for key, value in score.items() if key != "common"}
    card = model_card(dataclasses.replace(saved, scores=[old]), name="t.st", sha256="")
    rows = rows_of(card)
    assert rows["PSNR, dB; moving area"] == ["39.67", "\N{EN DASH}"]
    assert rows["PSNR, dB; whole frame"] == ["**30.17**", "30.00"]
    assert "for each method alone: its lines there hold no other method" in card
