"""The standard conventions against scikit-image, torchmetrics and closed forms; what is refused."""

import inspect
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor
from torchmetrics.functional.image import (
    peak_signal_noise_ratio as torchmetrics_psnr,
)
from torchmetrics.functional.image import (
    structural_similarity_index_measure as torchmetrics_ssim,
)

from vidpred.metrics import psnr, sharpness, ssim
from vidpred.ops import to_unit
from vidpred.video import read_clip

Metric = Callable[..., Tensor]
METRICS = pytest.mark.parametrize("metric", [psnr, ssim, sharpness])


def noisy(
    *shape: int, seed: int = 0, noise: float = 0.1, scale: float = 1.0
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(shape, generator=generator)
    pred = (target + noise * torch.randn(shape, generator=generator)).clamp(0, 1)
    return pred * scale, target * scale


def skimage_map(pred: Tensor, target: Tensor, data_range: float) -> np.ndarray:
    """Similarity of two (C, H, W) frames by scikit-image, where the window lies inside."""
    _, similarity = structural_similarity(
        pred.double().numpy(),
        target.double().numpy(),
        data_range=data_range,
        channel_axis=0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    return np.asarray(similarity)[:, 5:-5, 5:-5]


FRAMES = {
    "noise": noisy(2, 2, 3, 24, 33),
    "one channel": noisy(2, 1, 1, 11, 17),
    "nearly equal": noisy(1, 1, 3, 32, 32, noise=1e-3),
    "whole frame of UCF101": noisy(1, 1, 3, 240, 320),
    "8 bits": noisy(1, 2, 3, 16, 16, scale=255.0),
    # E[x^2] - E[x]^2 in float32 is off by 2e-4 here.
    "bright and flat": (
        torch.full((1, 1, 3, 32, 32), 0.9),
        torch.full((1, 1, 3, 32, 32), 0.89),
    ),
}


def real_frames(real_data: Path, channels: int) -> tuple[Tensor, Tensor]:
    """Two clips of two frames, copied from the frame before: whole ones of UCF101."""
    videos = sorted((real_data / "ucf101" / "UCF-101" / "Surfing").glob("*.avi"))
    clips = torch.stack([to_unit(read_clip(video, 20, 3)) for video in videos[:2]])
    clips = clips[:, :, 1:2] if channels == 1 else clips
    return clips[:, :1].expand(-1, 2, -1, -1, -1), clips[:, 1:]


@pytest.mark.parametrize("name", FRAMES)
def test_psnr_equals_scikit_image_and_torchmetrics(name: str) -> None:
    psnr_equals(*FRAMES[name], data_range=255.0 if name == "8 bits" else 1.0)


@pytest.mark.parametrize("channels", [1, 3])
def test_psnr_equals_them_on_real_frames(real_data: Path, channels: int) -> None:
    psnr_equals(*real_frames(real_data, channels), data_range=1.0)


def psnr_equals(pred: Tensor, target: Tensor, *, data_range: float) -> None:
    scores = psnr(pred, target, data_range=data_range)
    for b, t in np.ndindex(*scores.shape):
        expected = peak_signal_noise_ratio(
            target[b, t].double().numpy(), pred[b, t].double().numpy(), data_range=data_range
        )
        assert scores[b, t].item() == pytest.approx(expected, abs=1e-5)
        other = torchmetrics_psnr(pred[b, t].double(), target[b, t].double(), data_range=data_range)
        assert scores[b, t].item() == pytest.approx(other.item(), abs=1e-5)


@pytest.mark.parametrize("name", FRAMES)
def test_ssim_equals_scikit_image_and_torchmetrics(name: str) -> None:
    ssim_equals(*FRAMES[name], data_range=255.0 if name == "8 bits" else 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_equals_them_on_real_frames(real_data: Path, channels: int) -> None:
    ssim_equals(*real_frames(real_data, channels), data_range=1.0)


def ssim_equals(pred: Tensor, target: Tensor, *, data_range: float) -> None:
    scores = ssim(pred, target, data_range=data_range)
    for b, t in np.ndindex(*scores.shape):
        expected = skimage_map(pred[b, t], target[b, t], data_range).mean()
        assert scores[b, t].item() == pytest.approx(expected, abs=1e-5)
    # torchmetrics averages a map that it reflects at the border; inside it is the same map.
    _, similarity = torchmetrics_ssim(
        pred.flatten(0, 1).double(),
        target.flatten(0, 1).double(),
        data_range=data_range,
        return_full_image=True,
    )
    other = similarity[..., 5:-5, 5:-5].mean(dim=(1, 2, 3))
    torch.testing.assert_close(scores.flatten().double(), other, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", FRAMES)
def test_sharpness_equals_numpy(name: str) -> None:
    pred, target = FRAMES[name]
    data_range = 255.0 if name == "8 bits" else 1.0
    scores = sharpness(pred, target, data_range=data_range)
    for b, t in np.ndindex(*scores.shape):
        x, y = (frames[b, t].double().numpy() / data_range for frames in (pred, target))
        strengths = sum(
            np.abs(np.abs(np.diff(x, axis=axis)) - np.abs(np.diff(y, axis=axis))).mean()
            for axis in (1, 2)
        )
        expected = min(100.0, -10 * np.log10(strengths)) if strengths else 100.0
        assert scores[b, t].item() == pytest.approx(expected, abs=1e-4)


def test_masked_ssim_is_the_mean_of_the_map_over_moving_centers() -> None:
    pred, target = noisy(1, 1, 3, 24, 24)
    mask = torch.zeros(1, 1, 1, 24, 24, dtype=torch.bool)
    mask[..., :8, 6:15] = True
    similarity = skimage_map(pred[0, 0], target[0, 0], 1.0)
    expected = similarity[:, mask[0, 0, 0, 5:-5, 5:-5].numpy()].mean()
    actual = ssim(pred, target, data_range=1.0, mask=mask)
    assert actual.item() == pytest.approx(expected, abs=1e-5)


def test_a_constant_offset_has_a_closed_psnr() -> None:
    # Half of the full scale everywhere: 20 log10(2).
    still = torch.zeros(1, 1, 3, 16, 16)
    expected = pytest.approx(20 * math.log10(2), abs=1e-5)
    assert psnr(still + 0.5, still, data_range=1.0).item() == expected
    assert psnr(still + 64, still, data_range=128.0).item() == expected


def test_psnr_of_the_moving_area_counts_moving_pixels_alone() -> None:
    still = torch.zeros(1, 1, 3, 10, 10)
    pred = still.clone()
    pred[..., :1, :] = 0.5
    mask = torch.zeros(1, 1, 1, 10, 10, dtype=torch.bool)
    mask[..., :1, :] = True
    masked = psnr(pred, still, data_range=1.0, mask=mask)
    assert masked.item() == pytest.approx(20 * math.log10(2), abs=1e-5)
    # All pixels are ten times as many.
    whole = psnr(pred, still, data_range=1.0)
    assert whole.item() == pytest.approx(20 * math.log10(2) + 10, abs=1e-5)


def test_sharpness_of_a_step_edge_has_a_closed_form() -> None:
    # One of 7 columns of differences is 0.5 against 0; nothing along H.
    flat = torch.zeros(1, 1, 1, 6, 8)
    edge = flat.clone()
    edge[..., 4:] = 0.5
    expected = 10 * math.log10(1 / (0.5 / 7))
    assert sharpness(edge, flat, data_range=1.0).item() == pytest.approx(expected, abs=1e-5)
    # With a transposed edge the 5 rows of differences.
    edge = flat.clone()
    edge[..., 3:, :] = 0.5
    expected = 10 * math.log10(1 / (0.5 / 5))
    assert sharpness(edge, flat, data_range=1.0).item() == pytest.approx(expected, abs=1e-5)


def test_sharpness_sums_both_directions_and_looks_at_strength_alone() -> None:
    # A corner of 0.5 in a 2 x 2 frame: one of two differences in each direction, means 0.25 + 0.25.
    flat = torch.zeros(1, 1, 1, 2, 2)
    corner = flat.clone()
    corner[..., 1, 1] = 0.5
    value = sharpness(corner, flat, data_range=1.0).item()
    assert value == pytest.approx(10 * math.log10(1 / 0.5), abs=1e-5)
    # An inverted picture has the same edges.
    assert sharpness(1 - corner, corner, data_range=1.0).item() == 100


def test_masked_sharpness_counts_differences_with_a_moving_pixel() -> None:
    # Of 5 differences in the row only those left and right of the moving pixel: 0.5 and 0, mean
    # 0.25; along H, the one above and the one below, both 0.
    flat = torch.zeros(1, 1, 1, 3, 6)
    edge = flat.clone()
    edge[..., 2:] = 0.5
    mask = torch.zeros(1, 1, 1, 3, 6, dtype=torch.bool)
    mask[..., 1, 2] = True
    value = sharpness(edge, flat, data_range=1.0, mask=mask).item()
    assert value == pytest.approx(10 * math.log10(1 / 0.25), abs=1e-5)


@METRICS
def test_the_unit_of_the_frames_does_not_matter(metric: Metric) -> None:
    pred, target = noisy(2, 2, 3, 16, 21)
    one = metric(pred, target, data_range=1.0)
    torch.testing.assert_close(one, metric(pred * 255, target * 255, data_range=255.0))


@METRICS
def test_there_is_no_range_by_default(metric: Metric) -> None:
    # Mistake 9 of public code: an implied range shifts every dB.
    parameter = inspect.signature(metric).parameters["data_range"]
    assert parameter.default is inspect.Parameter.empty
    assert parameter.kind is inspect.Parameter.KEYWORD_ONLY


@METRICS
@pytest.mark.parametrize("channels", [1, 3])
def test_gives_one_value_per_clip_and_frame(metric: Metric, channels: int) -> None:
    pred, target = noisy(3, 2, channels, 13, 17)
    scores = metric(pred, target, data_range=1.0)
    assert scores.shape == (3, 2)
    assert scores.dtype == torch.float32
    alone = metric(pred[1:2, 1:], target[1:2, 1:], data_range=1.0)
    torch.testing.assert_close(scores[1:2, 1:], alone)


@METRICS
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(metric: Metric, dtype: torch.dtype) -> None:
    pred, target = (frames.to(dtype) for frames in noisy(1, 1, 3, 16, 16))
    expected = metric(pred.float(), target.float(), data_range=1.0)
    assert torch.equal(metric(pred, target, data_range=1.0), expected)


@METRICS
def test_8_bit_frames_do_not_wrap(metric: Metric) -> None:
    pred, target = ((frames * 255).round() for frames in noisy(1, 1, 3, 16, 16))
    expected = metric(pred, target, data_range=255.0)
    actual = metric(pred.to(torch.uint8), target.to(torch.uint8), data_range=255.0)
    assert torch.equal(actual, expected)


@METRICS
def test_identical_frames_have_the_best_finite_score(metric: Metric) -> None:
    frames, _ = noisy(1, 2, 3, 16, 16)
    best = 1.0 if metric is ssim else 100.0
    assert metric(frames, frames, data_range=1.0).tolist() == [[best, best]]


@METRICS
def test_a_worse_prediction_scores_lower(metric: Metric) -> None:
    good = metric(*noisy(1, 1, 3, 32, 32, noise=0.05), data_range=1.0)
    bad = metric(*noisy(1, 1, 3, 32, 32, noise=0.2), data_range=1.0)
    assert bad < good


@METRICS
def test_gradients_reach_the_prediction(metric: Metric) -> None:
    pred, target = noisy(1, 1, 3, 16, 16)
    pred.requires_grad_()
    metric(pred, target, data_range=1.0).sum().backward()
    assert pred.grad is not None
    assert pred.grad.isfinite().all()
    assert pred.grad.abs().sum() > 0


@METRICS
def test_a_frame_whose_mask_is_empty_is_nan(metric: Metric) -> None:
    pred, target = noisy(1, 2, 3, 16, 16)
    mask = torch.ones(1, 2, 1, 16, 16, dtype=torch.bool)
    mask[:, 0] = False
    assert metric(pred, target, data_range=1.0, mask=mask).isnan().tolist() == [[True, False]]


def test_ssim_is_nan_where_only_the_border_moves() -> None:
    pred, target = noisy(1, 1, 3, 16, 16)
    mask = torch.zeros(1, 1, 1, 16, 16, dtype=torch.bool)
    mask[..., :5, :] = True
    assert ssim(pred, target, data_range=1.0, mask=mask).isnan().all()


@METRICS
def test_a_full_mask_changes_nothing(metric: Metric) -> None:
    pred, target = noisy(2, 2, 3, 16, 19)
    mask = torch.ones(2, 2, 1, 16, 19, dtype=torch.bool)
    whole = metric(pred, target, data_range=1.0)
    torch.testing.assert_close(metric(pred, target, data_range=1.0, mask=mask), whole)


@METRICS
def test_refuses_what_it_cannot_score(metric: Metric) -> None:
    frames = torch.rand(1, 2, 3, 16, 16)
    mask = torch.ones(1, 2, 1, 16, 16, dtype=torch.bool)
    with pytest.raises(TypeError, match=r"target of type ndarray; expected a torch\.Tensor"):
        metric(frames, frames.numpy(), data_range=1.0)
    with pytest.raises(ValueError, match="expected equal shapes"):
        metric(frames[:, :1], frames, data_range=1.0)
    with pytest.raises(ValueError, match=r"\(B, T, C, H, W\)"):
        metric(frames[0], frames[0], data_range=1.0)
    with pytest.raises(ValueError, match="at least one of each"):
        metric(frames[:0], frames[:0], data_range=1.0)
    for data_range in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="data_range is"):
            metric(frames, frames, data_range=data_range)
    with pytest.raises(ValueError, match=r"pred has values from -1 to .*; expected \[0, 1\]"):
        metric(frames - 1 - frames.min(), frames, data_range=1.0)
    with pytest.raises(ValueError, match=r"target has values .* to 255"):
        metric(frames, frames / frames.max() * 255, data_range=1.0)
    with pytest.raises(ValueError, match="pred contains NaN"):
        metric(frames.clone().index_fill_(3, torch.tensor([2]), math.nan), frames, data_range=1.0)
    with pytest.raises(ValueError, match=r"expected torch\.bool"):
        metric(frames, frames, data_range=1.0, mask=mask.float())
    with pytest.raises(ValueError, match="mask has shape"):
        metric(frames, frames, data_range=1.0, mask=mask[..., :8, :])
    with pytest.raises(ValueError, match="mask has shape"):
        metric(frames, frames, data_range=1.0, mask=mask.expand(-1, -1, 3, -1, -1))
    with pytest.raises(ValueError, match="variant is 'wang'"):
        metric(frames, frames, data_range=1.0, variant="wang")


@METRICS
def test_rounding_beyond_the_range_is_tolerated(metric: Metric) -> None:
    frames = torch.rand(1, 1, 3, 16, 16)
    frames[..., 0, 0] = 1.0005
    for data_range in (1.0, 255.0):
        scaled = frames * data_range
        assert metric(scaled, scaled, data_range=data_range).isfinite().all()


def test_ssim_refuses_frames_smaller_than_its_window() -> None:
    frames = torch.rand(1, 1, 3, 10, 32)
    with pytest.raises(ValueError, match="at least 11"):
        ssim(frames, frames, data_range=1.0)
