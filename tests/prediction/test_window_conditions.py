"""What a prediction of a video is conditioned on: rows of the frames that it knows and predicts."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vidpred.errors import PredictionError, VideoError
from vidpred.models import Condition, Predictor
from vidpred.prediction.pipeline import Ended, Predicted, predict_inputs
from vidpred.prediction.rollout import Rollout
from vidpred.prediction.video_predictor import VideoPredictor
from vidpred.prediction.window_conditions import conditions_of, read_condition_option
from vidpred.prediction.windows import At, Every, Input, Last, Place
from vidpred.video import write_video
from vidpred.video.conditions import conditions_path, write_conditions


class Dial(Predictor):
    """Shows the level that the condition of each frame names, in 255ths."""

    conditions = ("level",)

    def __init__(self) -> None:
        super().__init__(context_frames=2)

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        assert condition is not None
        assert condition["level"].shape[1] == 3
        return (
            condition["level"][:, -1].view(-1, 1, 1, 1, 1) / 255 * torch.ones_like(context[:, :1])
        )

    def config(self) -> dict[str, Any]:
        return {}


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Ten frames, and a level for each and for four more: 10, 11, 12, ..."""
    path = tmp_path / "a.avi"
    write_video(path, torch.full((10, 3, 16, 16), 90, dtype=torch.uint8))
    write_conditions(path, {"level": np.arange(10.0, 24.0), "other": np.zeros(1)})
    return path


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (Last(), [20, 21, 22]),  # frame 9 is the last one known
        (Last(held_back=3), [17, 18, 19]),
        (At(index=4), [15, 16, 17]),
        (At(seconds=Fraction(4, 25)), [15, 16, 17]),
        (Every(6), [12, 13, 14, 18, 19, 20]),  # from frames 1 and 7
    ],
)
def test_predictions_get_the_rows_of_their_frames(
    video: Path, place: Place, expected: list[int]
) -> None:
    source = Input(video, conditions=conditions_of(video, ("level",), {}))
    rollout = Rollout(Dial(), device=torch.device("cpu"), max_memory=4 * 2**30, batch_size=4)
    events = list(predict_inputs([source], place, rollout, 3, measure=None))
    assert isinstance(events[-1], Ended)
    assert events[-1].problem is None
    levels = [int(event.pixels[0, 0, 0]) for event in events if isinstance(event, Predicted)]
    assert levels == expected


def test_too_few_rows_are_named(video: Path) -> None:
    source = Input(video, conditions=conditions_of(video, ("level",), {}))
    rollout = Rollout(Dial(), device=torch.device("cpu"), max_memory=4 * 2**30, batch_size=4)
    (ended,) = predict_inputs([source], Last(), rollout, 5, measure=None)
    assert isinstance(ended, Ended)
    assert isinstance(ended.problem, VideoError)
    assert "condition 'level' has 14 rows, and frame 14 was asked for" in str(ended.problem)


def test_given_rows_take_the_place_of_the_file(video: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "plan.npy", np.arange(20))
    given = read_condition_option("level", tmp_path / "plan.npy")
    rows = conditions_of(video, ("level",), given)
    assert rows is not None
    assert rows.keys() == {"level"}
    assert rows["level"][3] == 3
    assert conditions_of(video, (), given) is None


def test_a_loaded_predictor_reads_the_rows_of_a_video(video: Path) -> None:
    predictor = VideoPredictor(Dial())
    # Frame 9 is the last one known, and row t is 10 + t.
    assert [int(frame[0, 0, 0]) for frame in predictor(video, 3)] == [20, 21, 22]
    shown = predictor.show(video, 2)
    torch.testing.assert_close(shown.pred[:, 0, 0, 0] * 255, torch.tensor([20.0, 21.0]))
    with pytest.raises(VideoError, match=r"has 14 rows, and frame 14 was asked for"):
        predictor(video, 5)
    with pytest.raises(ValueError, match=r"of a video the arrays next to it are read"):
        predictor(video, 3, condition={"level": torch.zeros(1, 5)})
    conditions_path(video).unlink()
    with pytest.raises(PredictionError, match=r"conditioned on level, and the video comes with f"):
        predictor(video, 3)


def test_missing_and_unreadable_conditions_are_named(video: Path, tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match=r"conditioned on speed, and the video comes with l"):
        conditions_of(video, ("speed",), {})
    for content, problem in (
        (np.array(["left"]), "holds no numbers by frame"),
        (np.array([0.0, np.nan]), "holds NaN or infinite values"),
    ):
        np.save(tmp_path / "bad.npy", content)
        with pytest.raises(PredictionError, match=problem):
            read_condition_option("level", tmp_path / "bad.npy")
    (tmp_path / "bad.npy").write_bytes(b"no array")
    with pytest.raises(PredictionError, match=r"--condition level: .*cannot be read as an array"):
        read_condition_option("level", tmp_path / "bad.npy")


def test_the_future_is_no_condition_of_a_prediction(video: Path) -> None:
    with pytest.raises(PredictionError, match="it reconstructs and cannot predict"):
        conditions_of(video, ["true_frames"], {"true_frames": torch.zeros(14, 3, 16, 16)})
