from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidpred.prediction.pipeline import Predicted
from vidpred.prediction.step_pictures import WIDEST_PANEL, BesideTruth
from vidpred.prediction.windows import Window
from vidpred.video.playing import Look, play
from vidpred.video.streaming import streaming


def test_wide_frames_are_compared_in_panels_that_players_take(tmp_path: Path) -> None:
    height, width = 400, 2 * WIDEST_PANEL + 5
    grey = np.full((height, width, 3), 90, np.uint8)
    window = Window(Look(height, width, Fraction(25)), None, (grey,), (grey,))
    known, predicted = BesideTruth()(Predicted(0, window, 1, grey))
    assert known.shape == predicted.shape
    assert WIDEST_PANEL < known.shape[1] < 3.2 * WIDEST_PANEL
    # What is grey is so after averaging, the last column of a panel included.
    assert (predicted == 90).all(axis=-1).sum() >= 2 * (width // 3) * (height // 3)


@pytest.mark.slow
def test_large_frames_are_written_without_looking_ahead(tmp_path: Path) -> None:
    row, column = np.mgrid[:2050, :2052]
    frame = np.stack([row // 9, column // 9, row // 9], axis=-1).astype(np.uint8)
    for suffix in (".mp4", ".webm"):
        path = tmp_path / f"large{suffix}"
        with streaming(path, Look(2050, 2052, Fraction(25))) as sink:
            for _ in range(2):
                sink.write(frame)
        back = list(play(path))
        assert len(back) == 2
        assert np.abs(back[1].pixels.astype(int) - frame).mean() < 3
