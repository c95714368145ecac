"""`mathieu_code` and `mathieu_formula` against the evaluation of Mathieu et al. 2016.

The reference is written here once more, frame by frame in NumPy and SciPy from the description
alone, in the authors' units, so that it shares nothing with the package: frames are (C, H, W) in
[-1, 1], masks (H, W), true where moving.
"""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import convolve2d
from torch import Tensor

from vidpred import metrics
from vidpred.ops import frame_difference_mask, to_unit
from vidpred.video import read_clip

Array = NDArray[np.float64]


def blacked_out(frame: Array, mask: NDArray[np.bool_] | None) -> Array:
    frame = frame.copy()
    if mask is not None:
        frame[:, ~mask] = -1
    return frame


def reference_psnr(pred: Array, target: Array, mask: NDArray[np.bool_] | None = None) -> float:
    d = blacked_out(pred, mask) - blacked_out(target, mask)
    denominator = 128**2 * (d**2).sum() / d.size
    if not denominator > 1e-4:
        denominator = 1e-4
    return float(10 * np.log10(255**2 / denominator))


def gradients(frame: Array, i: int, j: int) -> tuple[Array, Array]:
    return np.abs(frame[:, i, j - 1] - frame[:, i, j]), np.abs(frame[:, i - 1, j] - frame[:, i, j])


def reference_sharpness(
    pred: Array, target: Array, mask: NDArray[np.bool_] | None = None, *, formula: bool = False
) -> float:
    pred, target = blacked_out(pred, mask), blacked_out(target, mask)
    channels, height, width = pred.shape
    total = 0.0
    for i in range(1, height - 1):
        for j in range(1, width - 1):
            pred_x, pred_y = gradients(pred, i, j)
            target_x, target_y = gradients(target, i, j)
            if formula:
                total += np.abs((pred_x + pred_y) - (target_x + target_y)).sum()
            else:
                total += (np.abs(pred_x - target_x) + np.abs(pred_y - target_y)).sum()
    denominator = 128**2 * total / (channels * height * width)
    if not denominator > 1e-4:
        denominator = 1e-4
    return float(10 * np.log10(255**2 / denominator))


def reference_ssim(pred: Array, target: Array, mask: NDArray[np.bool_] | None = None) -> float:
    def luminance(frame: Array) -> Array:
        grey = (blacked_out(frame, mask) + 1) / 2 * 255
        if len(grey) == 1:
            return grey[0]
        return 0.299 * grey[0] + 0.587 * grey[1] + 0.114 * grey[2]

    x, y = luminance(pred), luminance(target)
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()

    def mean(image: Array) -> Array:
        return np.asarray(convolve2d(image, window, mode="full"))

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    similarity = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    assert similarity.shape == (x.shape[0] + 10, x.shape[1] + 10)
    return float(similarity.mean())


def reference_sharpness_formula(
    pred: Array, target: Array, mask: NDArray[np.bool_] | None = None
) -> float:
    return reference_sharpness(pred, target, mask, formula=True)


Reference = Callable[[Array, Array, NDArray[np.bool_] | None], float]
Metric = Callable[..., Tensor]

CASES = [
    pytest.param(metrics.psnr, "mathieu_code", reference_psnr, 1e-4, id="psnr"),
    pytest.param(metrics.ssim, "mathieu_code", reference_ssim, 1e-5, id="ssim"),
    pytest.param(metrics.sharpness, "mathieu_code", reference_sharpness, 1e-4, id="sharpness"),
    pytest.param(
        metrics.sharpness, "mathieu_formula", reference_sharpness_formula, 1e-4, id="formula"
    ),
]


def agrees(
    metric: Metric,
    variant: str,
    reference: Reference,
    tolerance: float,
    pred: Tensor,
    target: Tensor,
    mask: Tensor | None,
) -> None:
    scores = metric(pred, target, data_range=1.0, variant=variant, mask=mask)
    of_8_bits = metric(255 * pred, 255 * target, data_range=255.0, variant=variant, mask=mask)
    torch.testing.assert_close(of_8_bits, scores, atol=tolerance, rtol=0)
    for b, t in np.ndindex(*scores.shape):
        expected = reference(
            pred[b, t].double().numpy() * 2 - 1,
            target[b, t].double().numpy() * 2 - 1,
            None if mask is None else mask[b, t, 0].numpy(),
        )
        assert scores[b, t].item() == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("metric", "variant", "reference", "tolerance"), CASES)
def test_equals_the_authors_code_on_random_frames(
    metric: Metric,
    variant: str,
    reference: Reference,
    tolerance: float,
    channels: int,
    masked: bool,
) -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(2, 2, channels, 23, 18, generator=generator)
    pred = (target + 0.2 * torch.randn(target.shape, generator=generator)).clamp(0, 1)
    mask = torch.rand(2, 2, 1, 23, 18, generator=generator) < 0.3 if masked else None
    agrees(metric, variant, reference, tolerance, pred, target, mask)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("metric", "variant", "reference", "tolerance"), CASES)
def test_equals_the_authors_code_on_real_frames(
    metric: Metric,
    variant: str,
    reference: Reference,
    tolerance: float,
    masked: bool,
    real_data: Path,
) -> None:
    videos = sorted((real_data / "ucf101" / "UCF-101" / "JumpingJack").glob("*.avi"))
    # A corner of 90 x 120 pixels, because the reference walks over them in Python.
    clips = torch.stack([to_unit(read_clip(video, 10, 6)) for video in videos[:2]])
    clips = clips[..., 60:150, 100:220]
    mask = frame_difference_mask(clips, 2)
    assert 0 < mask.float().mean() < 1
    target = clips[:, 4:]
    copied = clips[:, 3:4].expand_as(target)
    agrees(metric, variant, reference, tolerance, copied, target, mask if masked else None)


def test_black_outside_the_mask_adds_10_db_at_10_percent_motion() -> None:
    # The sum of squares comes from a tenth of the pixels, the denominator counts all: x 1/10.
    still = torch.full((1, 1, 3, 20, 20), 0.25)
    pred = still + 0.1
    mask = torch.zeros(1, 1, 1, 20, 20, dtype=torch.bool)
    mask[..., :2, :] = True
    whole = metrics.psnr(pred, still, data_range=1.0, variant="mathieu_code")
    masked = metrics.psnr(pred, still, data_range=1.0, variant="mathieu_code", mask=mask)
    assert (masked - whole).item() == pytest.approx(10, abs=1e-4)


def test_128_puts_the_scale_0_034_db_below_the_standard() -> None:
    # 20 log10(2 * 128 / 255), since the standard's peak on [-1, 1] is 2.
    still = torch.full((1, 1, 3, 20, 20), 0.25)
    standard = metrics.psnr(still + 0.1, still, data_range=1.0)
    coded = metrics.psnr(still + 0.1, still, data_range=1.0, variant="mathieu_code")
    assert (standard - coded).item() == pytest.approx(20 * math.log10(256 / 255), abs=1e-4)
    assert (standard - coded).item() == pytest.approx(0.034, abs=1e-3)


def test_the_floor_caps_identical_frames_at_88_13_db() -> None:
    still = torch.full((1, 1, 3, 20, 20), 0.25)
    psnr = metrics.psnr(still, still, data_range=1.0, variant="mathieu_code")
    sharpness = metrics.sharpness(still, still, data_range=1.0, variant="mathieu_code")
    expected = pytest.approx(10 * math.log10(255**2 / 1e-4), abs=1e-4)
    assert psnr.item() == expected
    assert sharpness.item() == expected


def test_the_formula_is_never_below_the_code() -> None:
    # |a + b| <= |a| + |b|.
    generator = torch.Generator().manual_seed(1)
    pred, target = torch.rand(2, 8, 2, 3, 16, 16, generator=generator)
    coded, formula = (
        metrics.sharpness(pred, target, data_range=1.0, variant=variant)
        for variant in ("mathieu_code", "mathieu_formula")
    )
    assert (formula > coded).all()


@pytest.mark.parametrize(("metric", "variant", "reference", "tolerance"), CASES)
def test_a_frame_without_motion_is_nan(
    metric: Metric, variant: str, reference: Reference, tolerance: float
) -> None:
    mask = torch.zeros(1, 2, 1, 16, 16, dtype=torch.bool)
    mask[:, 1] = True
    pred, target = torch.rand(2, 1, 2, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    scores = metric(pred, target, data_range=1.0, variant=variant, mask=mask)
    assert scores.isnan().tolist() == [[True, False]]


def test_ssim_asks_for_luminance_or_rgb() -> None:
    frames = torch.zeros(1, 1, 2, 16, 16)
    with pytest.raises(ValueError, match="2 channels"):
        metrics.ssim(frames, frames, data_range=1.0, variant="mathieu_code")


def test_identical_frames_reach_the_floor_in_every_variant() -> None:
    frames = torch.randint(0, 256, (1, 1, 3, 40, 50)).float() / 255
    cap = 10 * math.log10(255**2 / 1e-4)
    for variant in ("mathieu_code", "mathieu_formula"):
        score = metrics.sharpness(frames, frames, data_range=1.0, variant=variant).item()
        assert score == pytest.approx(cap, abs=1e-4)
