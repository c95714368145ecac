"""The weights that come along do what their cards say."""

from pathlib import Path
from typing import Any

import pytest
import torch

import vidpred
from vidpred.data.moving_shapes import write_moving_shapes
from vidpred.errors import DataError
from vidpred.evaluation.fingerprints import digest_of_names
from vidpred.evaluation.protocol import NamedProtocol, build_protocol
from vidpred.evaluation.scoring.methods import PredictorMethod
from vidpred.evaluation.scoring.scoring_pass import evaluate
from vidpred.evaluation.sources.video_clips import VideoClips
from vidpred.export import model_card
from vidpred.files import file_sha256
from vidpred.storage import SavedPredictor, packaged_weights, read_saved

WEIGHTS = packaged_weights()
CLOSE = {"psnr": 0.02, "sharpness": 0.02, "ssim": 0.001}
"""Largest differences, in dB where the metric is: other processors round otherwise."""

MOST_CLIPS = 100
"""Of a score that is measured again; the 291 of clean-subset take six minutes."""


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `vidpred data toy ROOT --groups 3 --frames 8` writes; toy scores are measured on it."""
    root = tmp_path_factory.mktemp("weights") / "shapes"
    return write_moving_shapes(root, num_groups=3, num_frames=8)


def test_some_come_along() -> None:
    assert WEIGHTS


@pytest.mark.parametrize("name", WEIGHTS)
def test_the_card_is_that_of_the_file(name: str) -> None:
    path = WEIGHTS[name]
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    assert card == model_card(read_saved(path), name=path.name, sha256=file_sha256(path))
    assert path.stat().st_size < 5_000_000
    assert vidpred.load(name)(torch.rand(1, 4, 3, 37, 50), 2).shape == (1, 2, 3, 37, 50)


@pytest.mark.slow
@pytest.mark.parametrize("name", WEIGHTS)
def test_its_toy_scores_come_out_again(name: str, toy: Path, tmp_path: Path) -> None:
    saved = read_saved(WEIGHTS[name])
    assert reproduce(saved, toy, tmp_path), "no score on the card is of moving shapes"


@pytest.mark.slow
@pytest.mark.parametrize("name", WEIGHTS)
def test_its_real_scores_come_out_again(name: str, real_data: Path, tmp_path: Path) -> None:
    if not reproduce(read_saved(WEIGHTS[name]), real_data / "ucf101", tmp_path):
        pytest.skip("no score on the card is of the videos that are here")


def reproduce(saved: SavedPredictor, root: Path, results: Path) -> int:
    """Measure again what was measured on these videos; gives how many scores were."""
    found = 0
    for score in saved.scores:
        if score["clips"]["clips_scored"] > MOST_CLIPS:
            continue
        protocol = build_protocol(score["protocol"])
        assert protocol.digest == score["protocol_digest"]
        source = clips_of(score, protocol, root)
        if source is not None:
            found += 1
            compare(score, saved, protocol, source, results / str(found))
    return found


def clips_of(score: dict[str, Any], protocol: NamedProtocol, root: Path) -> VideoClips | None:
    """Give the clips of a score where this root has the very same ones."""
    try:
        source = VideoClips(protocol.protocol, root)
    except DataError:
        return None
    there = [name for unit in source.units() for name in unit.names]
    listed = digest_of_names(source.names) == score["clips"]["list_digest"]
    scored = digest_of_names(there) == score["clips"]["scored_digest"]
    return source if listed and scored else None


def compare(
    score: dict[str, Any],
    saved: SavedPredictor,
    protocol: NamedProtocol,
    source: VideoClips,
    results: Path,
) -> None:
    cpu = torch.device("cpu")
    method = PredictorMethod(saved.build(), {"name": "ours", "kind": "model", "details": {}}, cpu)
    (result,) = evaluate(protocol, source, [method], results, device=cpu, workers=1)
    for key, summary in score["summary"].items():
        again = result["summary"][key]
        close = CLOSE[key.partition(".")[0]]
        assert again["clips"] == summary["clips"]
        assert again["per_frame"] == pytest.approx(summary["per_frame"], abs=close), key
