import pytest
import torch

from vidpred.metrics import psnr, sharpness, ssim
from vidpred.prediction.frame_scores import COPY_LAST, PREDICTION, Scores, measure


def test_measures_are_those_of_the_metrics() -> None:
    torch.manual_seed(0)
    pred, target, last = torch.rand(3, 3, 24, 30)
    values = measure(pred, target, last)
    for name, function in (("PSNR", psnr), ("SSIM", ssim), ("sharpness", sharpness)):
        for method, frame in ((PREDICTION, pred), (COPY_LAST, last)):
            expected = function(frame[None, None], target[None, None], data_range=1.0)
            assert values[name, method] == pytest.approx(expected.item(), abs=1e-5)
    assert ("SSIM", PREDICTION) not in measure(*torch.rand(3, 3, 10, 30))


def test_a_table_gives_means_by_step() -> None:
    first, second = Scores(), Scores()
    first.add(1, {("PSNR", PREDICTION): 30.0, ("PSNR", COPY_LAST): 10.0})
    first.add(2, {("PSNR", PREDICTION): 20.0, ("PSNR", COPY_LAST): 9.0})
    second.add(1, {("PSNR", PREDICTION): 40.0, ("PSNR", COPY_LAST): 11.0})
    first.merge(second)
    assert first.positions == 2
    head, *rows = first.lines()
    assert head.split() == ["t+1", "t+2", "mean"]
    assert [row.split()[-3:] for row in rows] == [
        ["35.00", "20.00", "27.50"],
        ["10.50", "9.00", "9.75"],
    ]
