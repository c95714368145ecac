"""The other conventions of published numbers, and how far they lie from the standard ones."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vidpred.metrics import PSNR, SSIM, Sharpness, psnr, sharpness, ssim, ssim_map, ssim_of_map
from vidpred.metrics.frame_average import FrameAverage
from vidpred.ops import frame_difference_mask, to_unit
from vidpred.video import read_clip

Metric = Callable[..., Tensor]
METRICS = pytest.mark.parametrize("metric", [psnr, ssim, sharpness])
Clips = tuple[Tensor, Tensor, Tensor]


@pytest.fixture(scope="session", params=["random", "real"])
def clips(request: pytest.FixtureRequest) -> Clips:
    """Predictions, targets (B, T, 3, H, W) in [0, 1] and masks of what moves."""
    if request.param == "random":
        generator = torch.Generator().manual_seed(3)
        target = torch.rand(2, 2, 3, 24, 33, generator=generator)
        noise = 0.1 * torch.randn(target.shape, generator=generator)
        mask = torch.rand(2, 2, 1, 24, 33, generator=generator) < 0.3
        return (target + noise).clamp(0, 1), target, mask
    real_data: Path = request.getfixturevalue("real_data")
    videos = sorted((real_data / "ucf101" / "UCF-101" / "Punch").glob("*.avi"))
    frames = torch.stack([to_unit(read_clip(video, 10, 6)) for video in videos[:2]])
    target = frames[:, 4:]
    mask = frame_difference_mask(frames, 2)
    assert mask.flatten(2).any(dim=2).all()
    return frames[:, 3:4].expand_as(target), target, mask


@METRICS
def test_masked_mean_is_the_standard_over_the_mask(metric: Metric, clips: Clips) -> None:
    pred, target, mask = clips
    masked = metric(pred, target, data_range=1.0, variant="masked_mean", mask=mask)
    standard = metric(pred, target, data_range=1.0, mask=mask)
    assert masked.isfinite().all()
    assert torch.equal(masked, standard)
    assert not torch.isclose(masked, metric(pred, target, data_range=1.0)).any()


@METRICS
def test_masked_mean_does_not_look_at_what_stands_still(metric: Metric, clips: Clips) -> None:
    # Further from the mask than half of SSIM's window and than a gradient reaches.
    pred, target, mask = clips
    mask = mask.clone()
    mask[..., : mask.shape[-1] // 2] = False
    mask[..., -8:, -8:] = True
    noise = torch.rand(pred.shape, generator=torch.Generator().manual_seed(0))
    far = torch.zeros_like(mask)
    far[..., : mask.shape[-1] // 2 - 6] = True
    expected = metric(pred, target, data_range=1.0, variant="masked_mean", mask=mask)
    actual = metric(
        torch.where(far, noise, pred), target, data_range=1.0, variant="masked_mean", mask=mask
    )
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


@METRICS
def test_masked_mean_asks_for_a_mask(metric: Metric) -> None:
    frames = torch.rand(1, 1, 3, 16, 16)
    with pytest.raises(ValueError, match=r"mask is None; expected a boolean mask .* 'standard'"):
        metric(frames, frames, data_range=1.0, variant="masked_mean")


@pytest.mark.parametrize(("cls", "metric"), [(PSNR, psnr), (SSIM, ssim), (Sharpness, sharpness)])
def test_the_averages_know_masked_mean(
    cls: type[FrameAverage], metric: Metric, clips: Clips
) -> None:
    pred, target, mask = clips
    average = cls(data_range=1.0, variant="masked_mean")
    average.update(pred, target, mask)
    expected = metric(pred, target, data_range=1.0, mask=mask).double().mean(dim=0)
    torch.testing.assert_close(average.per_frame(), expected)


@pytest.mark.parametrize("masked", [False, True])
def test_peak_one_on_signed_lies_6_02_db_below_the_standard(clips: Clips, masked: bool) -> None:
    pred, target, mask = clips
    area = mask if masked else None
    scores = psnr(pred, target, data_range=1.0, variant="peak_one_on_signed", mask=area)
    standard = psnr(pred, target, data_range=1.0, mask=area)
    assert (standard - scores).flatten().tolist() == pytest.approx([6.0206] * 4, abs=1e-4)
    # Its own words: peak 1, frames in [-1, 1].
    for b, t in np.ndindex(*scores.shape):
        where = mask[b, t].expand(3, -1, -1) if masked else torch.ones_like(pred[b, t]).bool()
        a, c = (frames[b, t].double().mul(2).sub(1)[where].numpy() for frames in (pred, target))
        expected = 10 * np.log10(1 / np.mean((a - c) ** 2))
        assert scores[b, t].item() == pytest.approx(expected, abs=1e-4)


def test_peak_one_on_signed_of_identical_frames_keeps_its_distance() -> None:
    frames = torch.rand(1, 1, 3, 16, 16)
    score = psnr(frames, frames, data_range=1.0, variant="peak_one_on_signed")
    assert score.item() == pytest.approx(100 - 20 * math.log10(2), abs=1e-4)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("data_range", [1.0, 255.0])
def test_uint8_wrap_is_what_numpy_computes(clips: Clips, data_range: float, masked: bool) -> None:
    pred, target, mask = (frames for frames in clips)
    scores = psnr(
        pred * data_range,
        target * data_range,
        data_range=data_range,
        variant="uint8_wrap",
        mask=mask if masked else None,
    )
    for b, t in np.ndindex(*scores.shape):
        x, y = (np.rint(frames[b, t].numpy() * 255).astype(np.uint8) for frames in (pred, target))
        if masked:
            where = np.broadcast_to(mask[b, t].numpy(), x.shape)
            x, y = x[where], y[where]
        mse = ((x - y) ** 2).mean()
        expected = 10 * np.log10(255**2 / mse) if mse else 100.0
        assert scores[b, t].item() == pytest.approx(min(expected, 100.0), abs=1e-4)


def test_uint8_wrap_is_never_below_the_standard_of_the_same_8_bit_frames() -> None:
    generator = torch.Generator().manual_seed(0)
    for spread in (2, 8, 20, 100):
        target = torch.randint(0, 256, (4, 2, 3, 16, 16), generator=generator)
        noise = torch.randint(-spread, spread + 1, target.shape, generator=generator)
        pred = (target + noise).clamp(0, 255).to(torch.uint8)
        wrapped = psnr(pred, target.to(torch.uint8), data_range=255.0, variant="uint8_wrap")
        standard = psnr(pred, target.to(torch.uint8), data_range=255.0)
        if spread < 16:  # no square above 255 wraps
            torch.testing.assert_close(wrapped, standard)
        else:
            assert (wrapped > standard + 1).all()


def test_uint8_wrap_takes_differences_of_16_for_none() -> None:
    # 16^2 = 256 = 0 in 8 bits: infinite for NumPy, the cap here.
    target = torch.full((1, 1, 3, 16, 16), 100.0)
    score = psnr(target + 16, target, data_range=255.0, variant="uint8_wrap")
    assert score.item() == 100
    # 17^2 = 289 = 33.
    score = psnr(target + 17, target, data_range=255.0, variant="uint8_wrap")
    assert score.item() == pytest.approx(10 * math.log10(255**2 / 33), abs=1e-4)


def test_128_lies_0_034_db_below_peak_2_on_whole_frames(clips: Clips) -> None:
    pred, target, _ = clips
    difference = psnr(pred, target, data_range=1.0) - psnr(
        pred, target, data_range=1.0, variant="mathieu_code"
    )
    offset = -20 * math.log10(127.5 / 128)
    assert offset == pytest.approx(0.034, abs=1e-4)
    assert difference.flatten().tolist() == pytest.approx([offset] * 4, abs=1e-4)


def test_black_static_pixels_add_10_db_at_10_percent_motion(clips: Clips) -> None:
    # The same moving pixels, but all pixels in the denominator: 10 log10(1 / 0.1), less the 0.034.
    pred, target, _ = clips
    pred, target = pred[..., :20, :30], target[..., :20, :30]
    mask = torch.zeros(*pred.shape[:2], 600, dtype=torch.bool)
    moving = torch.randperm(600, generator=torch.Generator().manual_seed(0))[:60]
    mask[..., moving] = True
    mask = mask.reshape(*pred.shape[:2], 1, 20, 30)
    # Real frames may stand still here, and 0 against 0 has no offset.
    pred = (pred * 0.9 + 0.05).clamp(0, 1)
    coded, mean = (
        psnr(pred, target, data_range=1.0, variant=variant, mask=mask)
        for variant in ("mathieu_code", "masked_mean")
    )
    expected = 10 + 20 * math.log10(127.5 / 128)
    assert (coded - mean).flatten().tolist() == pytest.approx([expected] * 4, abs=1e-4)


def test_one_map_serves_the_whole_frame_and_the_moving_area(clips: Clips) -> None:
    pred, target, mask = clips
    similarity = ssim_map(pred * 255, target * 255, data_range=255.0)
    b, t, _, h, w = pred.shape
    assert similarity.shape == (b, t, 1, h - 10, w - 10)
    whole = ssim(pred * 255, target * 255, data_range=255.0)
    masked = ssim(pred * 255, target * 255, data_range=255.0, mask=mask)
    assert torch.equal(ssim_of_map(similarity), whole)
    assert torch.equal(ssim_of_map(similarity, mask), masked)
    with pytest.raises(ValueError, match="mask has shape"):
        ssim_of_map(similarity, mask[..., 1:, :])
    with pytest.raises(ValueError, match=r"expected torch\.bool"):
        ssim_of_map(similarity, mask.float())
