"""What the bundled flow refiner has learned, on worlds whose future is known."""

import pytest
import torch
from flow.patterns import moving_texture
from torch import Tensor

from vidpred.metrics import psnr
from vidpred.models import CopyLastFrame, OpticalFlowExtrapolation, Predictor
from vidpred.storage import trained_predictor

IDENTICAL = 50.0
"""PSNR, in dB, as which identical frames count; Mathieu et al. 2016 leave such frames out."""


@pytest.fixture(scope="module")
def refiner() -> Predictor:
    return trained_predictor("flow_refiner").eval()


@torch.no_grad()
def scores(predictor: Predictor, clips: Tensor, horizon: int) -> Tensor:
    """Give the PSNR of each clip and frame, (B, horizon), after a context of 4 frames."""
    pred = predictor(clips[:, :4], horizon)
    return psnr(pred, clips[:, 4 : 4 + horizon], data_range=1.0).clamp(max=IDENTICAL)


def test_repeated_frames_are_predicted_better_than_by_copying_and_by_flow(
    refiner: Predictor,
) -> None:
    """Of each five frames two repeat the one before, as from 15 to 25 frames a second."""
    shown, indices = 0, []
    for t in range(16):
        shown += t > 0 and t % 5 not in (0, 2)
        indices.append(shown)
    frames = moving_texture((2.0, 1.0), num_frames=shown + 1)[indices]
    clips = torch.stack([frames[phase : phase + 12] for phase in range(5)])
    ours = scores(refiner, clips, 8).mean()
    assert ours > scores(CopyLastFrame(), clips, 8).mean() + 1
    assert ours > scores(OpticalFlowExtrapolation(), clips, 8).mean() + 1


def test_a_nearly_still_clip_is_as_good_as_copying(refiner: Predictor) -> None:
    """Noise of 1 % of full scale over a still texture."""
    noise = 0.01 * torch.randn(2, 6, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    clips = (moving_texture((0.0, 0.0), num_frames=1) + noise).clamp(0, 1)
    difference = scores(refiner, clips, 2) - scores(CopyLastFrame(), clips, 2)
    assert difference.min() > -0.3


def scene() -> Tensor:
    """An even pan over a texture, (12, 3, 96, 128)."""
    return moving_texture((-2.0, 1.0), num_frames=12)[:, [1, 2, 0]]


@pytest.mark.parametrize("cut", [1, 2])
def test_after_a_cut_the_prediction_follows_the_last_scene(refiner: Predictor, cut: int) -> None:
    clip = torch.cat([moving_texture((2.0, 1.0), num_frames=cut), scene()[cut:]])[None]
    assert scores(refiner, clip, 1).item() > scores(CopyLastFrame(), clip, 1).item() + 5


def test_an_even_pan_is_continued(refiner: Predictor) -> None:
    clip = scene()[None]
    ours, copied = scores(refiner, clip, 4)[0], scores(CopyLastFrame(), clip, 4)[0]
    assert (ours > copied + 5).all()


def test_colors_and_brightness_stay_over_eight_frames(refiner: Predictor) -> None:
    clip = moving_texture((0.25, 0.5), num_frames=4)
    with torch.no_grad():
        last = refiner(clip[None, :4], 8)[0, 7]
    known = clip[3]
    assert last.mean().item() == pytest.approx(known.mean().item(), rel=0.02)
    # A single color has the saturation of its largest minus its smallest channel, on average.
    saturation = [float((f.amax(0) - f.amin(0)).mean()) for f in (last, known)]
    assert saturation[0] == pytest.approx(saturation[1], rel=0.05)
