"""Averages over clips: dB, time, clips without motion, several processes."""

import math
import multiprocessing
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from vidpred.metrics import PSNR, SSIM, Sharpness, psnr, sharpness, ssim
from vidpred.metrics.frame_average import FrameAverage


def clips(seed: int, count: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    pred, target = torch.rand(2, count, 3, 1, 12, 12, generator=generator)
    return pred, target


def test_the_mean_is_of_the_db_not_the_db_of_the_mean() -> None:
    # Mistake 10 of public code. Errors of 0.1 and 0.01 of full scale are 20 and 40 dB: their mean
    # is 30, the dB of the mean square error would be 22.97.
    still = torch.zeros(2, 1, 1, 8, 8)
    pred = still.clone()
    pred[0] += 0.1
    pred[1] += 0.01
    metric = PSNR(data_range=1.0)
    metric.update(pred, still)
    assert metric.compute().item() == pytest.approx(30, abs=1e-4)


@pytest.mark.parametrize(
    ("metric", "function"),
    [
        (PSNR(data_range=1.0), psnr),
        (SSIM(data_range=1.0), ssim),
        (Sharpness(data_range=1.0), sharpness),
        (PSNR(data_range=1.0, variant="mathieu_code", horizon=3), psnr),
        (SSIM(data_range=1.0, variant="mathieu_code", horizon=3), ssim),
        (Sharpness(data_range=1.0, variant="mathieu_formula", horizon=3), sharpness),
    ],
)
def test_batches_average_to_the_function_of_all_clips(
    metric: FrameAverage, function: object
) -> None:
    assert callable(function)
    pred, target = clips(0, count=5)
    metric.update(pred[:2], target[:2])
    metric.update(pred[2:], target[2:])
    expected = function(pred, target, data_range=1.0, variant=metric.variant).mean(dim=0)
    torch.testing.assert_close(metric.compute(), expected.double())
    assert metric.compute().shape == (3,)
    assert metric.clips().tolist() == [5, 5, 5]


def test_clips_without_motion_are_left_out_and_counted() -> None:
    pred, target = clips(1)
    mask = torch.ones(4, 3, 1, 12, 12, dtype=torch.bool)
    mask[0, 1] = False
    mask[:, 2] = False
    metric = PSNR(data_range=1.0)
    metric.update(pred, target, mask)
    scores = psnr(pred, target, data_range=1.0)
    mean = metric.compute()
    assert mean[0].item() == pytest.approx(scores[:, 0].mean().item(), abs=1e-4)
    assert mean[1].item() == pytest.approx(scores[1:, 1].mean().item(), abs=1e-4)
    assert mean[2].isnan()
    assert metric.clips().tolist() == [4, 3, 0]
    assert metric.skipped.tolist() == [0, 1, 4]


def test_reset_forgets_all_clips() -> None:
    metric = PSNR(data_range=1.0)
    metric.update(*clips(2))
    metric.reset()
    metric.update(*clips(3))
    expected = psnr(*clips(3), data_range=1.0).mean(dim=0)
    torch.testing.assert_close(metric.compute(), expected.double())
    assert metric.clips().tolist() == [4, 4, 4]


def test_memory_does_not_grow_with_clips() -> None:
    metric = PSNR(data_range=1.0)
    for seed in range(3):
        metric.update(*clips(seed))
        assert {name: state.numel() for name, state in metric.metric_state.items()} == {
            "total": 3,
            "count": 3,
            "skipped": 3,
        }


def test_refuses_another_number_of_frames() -> None:
    pred, target = clips(0)
    with pytest.raises(ValueError, match="3 frames; expected 2"):
        PSNR(data_range=1.0, horizon=2).update(pred, target)
    metric = PSNR(data_range=1.0)
    metric.update(pred, target)
    with pytest.raises(ValueError, match="2 frames; expected 3"):
        metric.update(pred[:, :2], target[:, :2])
    with pytest.raises(ValueError, match="expected equal shapes"):
        metric.update(pred, target[:, :1])
    with pytest.raises(ValueError, match="horizon is 0"):
        PSNR(data_range=1.0, horizon=0)
    with pytest.raises(ValueError, match="variant is 'wang'"):
        SSIM(data_range=1.0, variant="wang")


@pytest.mark.parametrize("horizon", [None, 3])
def test_calling_it_gives_the_scores_of_the_call_and_keeps_all(horizon: int | None) -> None:
    metric = PSNR(data_range=1.0, horizon=horizon)
    pred, target = clips(0, count=5)
    scores = psnr(pred, target, data_range=1.0).double()
    for some in (slice(0, 2), slice(2, 5)):
        torch.testing.assert_close(metric(pred[some], target[some]), scores[some].mean(dim=0))
    torch.testing.assert_close(metric.compute(), scores.mean(dim=0))
    assert metric.clips().tolist() == [5, 5, 5]


def _score_in_one_process(rank: int, store: str, results: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    pred, target = clips(0, count=5)
    mask = torch.ones(5, 3, 1, 12, 12, dtype=torch.bool)
    mask[0, 0] = False
    mine = slice(0, 2) if rank == 0 else slice(2, 5)  # unequal shares
    metric = PSNR(data_range=1.0, horizon=3)
    metric.update(pred[mine], target[mine], mask[mine])
    torch.save((metric.compute(), metric.clips(), metric.count), f"{results}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_agree_with_one(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    arguments = (str(tmp_path / "store"), str(tmp_path))
    workers = [
        context.Process(target=_score_in_one_process, args=(rank, *arguments)) for rank in (0, 1)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=120)
        assert worker.exitcode == 0
    scores = psnr(*clips(0, count=5), data_range=1.0).double()
    scores[0, 0] = math.nan
    for rank, own in ((0, [1, 2, 2]), (1, [3, 3, 3])):
        mean, counted, state = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(mean, scores.nanmean(dim=0))
        assert counted.tolist() == [4, 5, 5]
        assert state.tolist() == own  # asking leaves each process its own clips
