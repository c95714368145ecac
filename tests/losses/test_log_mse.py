"""The loss that is the mean PSNR of clips."""

import math

import pytest
import torch

from vidpred.losses import log_mse_loss
from vidpred.losses.log_mse import FLOOR
from vidpred.metrics import psnr


def test_it_is_the_mean_psnr_up_to_its_factor() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(3, 3, 16, 16, generator=generator)
    pred = (target + 0.1 * torch.rand(3, 3, 16, 16, generator=generator)).clamp(0, 1)
    decibels = psnr(pred[:, None], target[:, None], data_range=1.0).mean()
    torch.testing.assert_close(
        -10 / math.log(10) * log_mse_loss(pred, target), decibels.float(), atol=0.05, rtol=0
    )


def test_with_a_mask_it_is_that_of_the_moving_pixels() -> None:
    target, pred = torch.zeros(2, 3, 8, 8), torch.full((2, 3, 8, 8), 0.5)
    mask = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    mask[:, :, :4] = True
    pred[:, :, :4] = 0.1
    torch.testing.assert_close(
        log_mse_loss(pred, target, mask), torch.tensor(math.log(0.01 + FLOOR))
    )


def test_nothing_is_gained_above_47_decibels() -> None:
    still = torch.zeros(1, 3, 8, 8)
    loss = log_mse_loss(still, still)
    assert -10 / math.log(10) * loss.item() == pytest.approx(47, abs=0.02)
    assert log_mse_loss(still, still, torch.ones(1, 1, 8, 8, dtype=torch.bool)) == loss
    # At an error of 3 gray levels the floor is a seventh of it.
    assert log_mse_loss(still + 3 / 255, still).exp().item() == pytest.approx(9 / 255**2 + 2e-5)


def test_a_mask_counts_from_16_pixels() -> None:
    pred, target = (
        torch.stack([torch.full((3, 8, 8), v) for v in (0.1, 0.4)]),
        torch.zeros(2, 3, 8, 8),
    )
    mask = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    mask[0] = True
    mask[1, 0, :2] = True
    both = math.log(0.01 + FLOOR) / 2 + math.log(0.16 + FLOOR) / 2
    assert log_mse_loss(pred, target, mask).item() == pytest.approx(both, rel=1e-5)
    mask[1, 0, 1, 7] = False  # 15 are left
    assert log_mse_loss(pred, target, mask).item() == pytest.approx(
        math.log(0.01 + FLOOR), rel=1e-5
    )


def test_a_clip_in_which_nothing_moves_does_not_count() -> None:
    target = torch.zeros(2, 3, 8, 8)
    pred = torch.stack([torch.full((3, 8, 8), 0.1), torch.full((3, 8, 8), 0.9)]).requires_grad_()
    mask = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    mask[0] = True
    loss = log_mse_loss(pred, target, mask)
    torch.testing.assert_close(loss.detach(), torch.tensor(math.log(0.01 + FLOOR)))
    loss.backward()
    assert pred.grad is not None
    assert pred.grad[0].abs().min() > 0
    assert not pred.grad[1].any()
    assert log_mse_loss(pred, target, torch.zeros_like(mask)) == 0


def test_other_shapes_are_refused() -> None:
    frames = torch.zeros(1, 3, 8, 8)
    with pytest.raises(ValueError, match="shape"):
        log_mse_loss(frames, frames[..., :4])
    with pytest.raises(ValueError, match=r"mask has shape .*expected \(1, 1, 8, 8\)"):
        log_mse_loss(frames, frames, torch.ones(1, 3, 8, 8, dtype=torch.bool))
