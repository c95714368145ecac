from collections.abc import Sequence

import pytest
import torch

from vidpred.metrics import psnr, sharpness, ssim
from vidpred.ops import frame_difference_mask
from vidpred.prediction.frame_scores import COPY_LAST, PREDICTION, Scores, measure


def test_measures_are_those_of_the_metrics() -> None:
    torch.manual_seed(0)
    pred, target, last = torch.rand(3, 3, 24, 30)
    values = measure(pred, target, last)
    for name, function in (("psnr", psnr), ("ssim", ssim), ("sharpness", sharpness)):
        for method, frame in ((PREDICTION, pred), (COPY_LAST, last)):
            expected = function(frame[None, None], target[None, None], data_range=1.0)
            assert values[name, method] == pytest.approx(expected.item(), abs=1e-5)
    assert ("ssim", PREDICTION) not in measure(*torch.rand(3, 3, 10, 30))


def test_a_table_gives_means_by_step() -> None:
    first, second = Scores(), Scores()
    first.add(1, {("psnr", PREDICTION): 30.0, ("psnr", COPY_LAST): 10.0})
    first.add(2, {("psnr", PREDICTION): 20.0, ("psnr", COPY_LAST): 9.0})
    second.add(1, {("psnr", PREDICTION): 40.0, ("psnr", COPY_LAST): 11.0})
    first.merge(second)
    assert first.positions == 2
    head, *rows = first.lines()
    assert head.split() == ["t+1", "t+2", "mean"]
    assert [row.split()[-3:] for row in rows] == [
        ["35.00", "20.00", "27.50"],
        ["10.50", "9.00", "9.75"],
    ]


@pytest.mark.parametrize(
    ("horizon", "columns"), [(10, range(1, 11)), (11, [1, 2, 4, 8, 11]), (16, [1, 2, 4, 8, 16])]
)
def test_a_table_of_many_frames_is_as_wide_as_a_screen(
    horizon: int, columns: Sequence[int]
) -> None:
    scores = Scores()
    for step in range(1, horizon + 1):
        scores.add(step, {("psnr", PREDICTION): float(step)})
    head, row = scores.lines()
    assert head.split() == [*(f"t+{step}" for step in columns), "mean"]
    cells = [*columns, (1 + horizon) / 2]  # the mean of all, not of the columns
    assert row.split()[-len(cells) :] == [f"{value:.2f}" for value in cells]


def test_the_moving_area_is_that_of_the_protocols() -> None:
    torch.manual_seed(0)
    pred, target, last = torch.rand(3, 3, 24, 30)
    before = torch.rand(2, 3, 24, 30)
    before[1, :, :12] = before[0, :, :12]  # the upper half stands still
    values = measure(pred, target, last, (before[0], before[1]))
    mask = frame_difference_mask(torch.cat([before, target[None]])[None], 1)
    assert not mask[..., :12, :].any()
    for method, frame in ((PREDICTION, pred), (COPY_LAST, last)):
        # The mean square deviation of the marked pixels, by hand.
        deviation = ((frame - target) ** 2).mean(dim=0)[mask[0, 0, 0]].mean()
        expected = -10 * torch.log10(deviation)
        assert values["psnr.moving", method] == pytest.approx(expected.item(), abs=1e-3)


def test_where_nothing_moves_the_cell_is_empty() -> None:
    torch.manual_seed(0)
    frame, still = torch.rand(2, 3, 24, 30)
    scores = Scores()
    scores.add(1, measure(frame, still, still, (still, still)))
    scores.add(2, measure(frame, still, still, (frame, still)))
    (row,) = (line for line in scores.lines() if line.startswith("PSNR, moving area, dB, pred"))
    assert len(row.split("prediction")[1].split()) == 2  # t+2 and the mean
    assert ("psnr.moving", PREDICTION) not in measure(frame, still, still)


def test_frames_of_one_row_have_no_measure() -> None:
    frame = torch.rand(3, 1, 30)
    assert measure(frame, frame, frame, (frame, 1 - frame)) == {}
