"""MS-SSIM against its own words, from single-scale parts of scikit-image."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from vidpred.metrics import MSSSIM, ms_ssim

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def frames(batch: int = 1, time: int = 1, height: int = 176, width: int = 192) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(batch * time, 3, height // 16, width // 16, generator=generator)
    target = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    pred = (target + 0.1 * torch.randn(target.shape, generator=generator)).clamp(0, 1)
    return [images.unflatten(0, (batch, time)) for images in (pred, target)]


def reference(pred: Tensor, target: Tensor) -> float:
    """Wang et al. 2003 on a (C, H, W) pair in float64: contrasts of all scales, luminance last."""
    x, y = pred.double().numpy(), target.double().numpy()
    value = 1.0
    for scale, weight in enumerate(WEIGHTS):
        last = scale == len(WEIGHTS) - 1
        value *= part(x, y, luminance=last) ** weight
        x, y = halved(x), halved(y)
    return value


def part(x: NDArray[np.float64], y: NDArray[np.float64], *, luminance: bool) -> float:
    def mean(image: NDArray[np.float64]) -> NDArray[np.float64]:
        # Radius 5; "mirror" does not repeat the border.
        return np.stack([gaussian_filter(c, 1.5, radius=5, mode="mirror") for c in image])

    c1, c2 = 0.01**2, 0.03**2
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    contrast = (2 * cov + c2) / (vx + vy + c2)
    if luminance:
        return float(((2 * mx * my + c1) / (mx**2 + my**2 + c1) * contrast).mean())
    return float(contrast[:, 5:-5, 5:-5].mean())


def halved(x: NDArray[np.float64]) -> NDArray[np.float64]:
    c, h, w = x.shape
    return x[:, : h // 2 * 2, : w // 2 * 2].reshape(c, h // 2, 2, w // 2, 2).mean(axis=(2, 4))


def test_equals_its_own_words_for_each_clip_and_frame() -> None:
    pred, target = frames(2, 2)
    scores = ms_ssim(pred, target, data_range=1.0)
    assert scores.shape == (2, 2)
    assert scores.unique().numel() == 4
    for b, t in np.ndindex(2, 2):
        expected = reference(pred[b, t], target[b, t])
        assert scores[b, t].item() == pytest.approx(expected, abs=1e-5)


def test_float64_frames_are_measured_in_float64() -> None:
    # Bright and flat, where float32 is off by 2e-4.
    pred, target = (0.9 + 0.01 * images.double() for images in frames())
    score = ms_ssim(pred, target, data_range=1.0)
    assert score.dtype == torch.float64
    assert score.item() == pytest.approx(reference(pred[0, 0], target[0, 0]), abs=1e-7)


def test_the_unit_of_the_frames_does_not_matter() -> None:
    pred, target = frames()
    expected = ms_ssim(pred, target, data_range=1.0)
    actual = ms_ssim(pred * 255, target * 255, data_range=255.0)
    torch.testing.assert_close(actual, expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ms_ssim(pred, target, data_range=1.0), expected)


def test_identical_frames_have_1_and_worse_ones_less() -> None:
    pred, target = frames()
    assert ms_ssim(target, target, data_range=1.0).item() == pytest.approx(1, abs=1e-6)
    assert ms_ssim(pred, target, data_range=1.0) < 0.99


def test_gradients_reach_the_prediction() -> None:
    pred, target = frames()
    pred.requires_grad_()
    ms_ssim(pred, target, data_range=1.0).sum().backward()
    assert pred.grad is not None
    assert pred.grad.abs().sum() > 0


def test_refuses_small_frames_and_masks() -> None:
    pred, target = frames(height=176, width=192)
    with pytest.raises(ValueError, match="H and W at least 176"):
        ms_ssim(pred[..., :175, :], target[..., :175, :], data_range=1.0)
    with pytest.raises(ValueError, match="H and W at least 176"):
        ms_ssim(pred[..., :175], target[..., :175], data_range=1.0)
    mask = torch.ones(1, 1, 1, 176, 192, dtype=torch.bool)
    with pytest.raises(ValueError, match="MS-SSIM was given a mask; expected None"):
        ms_ssim(pred, target, data_range=1.0, mask=mask)
    with pytest.raises(ValueError, match="MS-SSIM was given a mask"):
        MSSSIM(data_range=1.0).update(pred, target, mask)
    with pytest.raises(ValueError, match="data_range is 0"):
        ms_ssim(pred, target, data_range=0)


def test_the_average_is_over_clips() -> None:
    pred, target = frames(2, 2)
    metric = MSSSIM(data_range=1.0)
    metric.update(pred[:1], target[:1])
    metric.update(pred[1:], target[1:])
    expected = ms_ssim(pred, target, data_range=1.0).double().mean(dim=0)
    torch.testing.assert_close(metric.per_frame(), expected)
    assert metric.higher_is_better
