"""What the bundled flow refiner has learned, on worlds whose future is known."""

import pytest
import torch
import torch.nn.functional as F
from flow.patterns import moving_texture
from torch import Tensor

from vidpred.metrics import psnr
from vidpred.models import CopyLastFrame, FlowRefiner, OpticalFlowExtrapolation, Predictor
from vidpred.models.flow_evidence import carry, evidence_of
from vidpred.storage import load_predictor

FITTED = [
    [0.50347, 0.50129, 0.49978],
    [0.49922, 0.48744, 0.51243],
    [0.49849, 0.48821, 0.51125],
    [0.14049, 0.13255, 0.12347],
    [0.12086, 0.09762, 0.09160],
    [0.12406, 0.08207, 0.08546],
]
"""What the bundled weights gave when they were written, see the last test."""

IDENTICAL = 50.0
"""PSNR, in dB, as which identical frames count; Mathieu et al. 2016 leave such frames out."""


@pytest.fixture(scope="module")
def refiner() -> FlowRefiner:
    bundled = load_predictor("flow_refiner")
    assert isinstance(bundled, FlowRefiner)
    return bundled


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


@pytest.mark.parametrize(
    ("sharp", "lost"),
    # The mean blurs a fine texture, whose colors are then paler.
    [(True, 0.05), (False, 0.15)],
)
def test_colors_and_brightness_stay_over_eight_frames(
    refiner: FlowRefiner, sharp: bool, lost: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refiner, "sharp", sharp)
    clip = moving_texture((0.25, 0.5), num_frames=4)
    with torch.no_grad():
        last = refiner(clip[None, :4], 8)[0, 7]
    known = clip[3]
    assert last.mean().item() == pytest.approx(known.mean().item(), rel=0.02)
    # A single color has the saturation of its largest minus its smallest channel, on average.
    saturation = [float((f.amax(0) - f.amin(0)).mean()) for f in (last, known)]
    assert saturation[0] == pytest.approx(saturation[1], rel=lost)


def test_it_predicts_from_given_flows_what_it_was_fitted_to_predict(refiner: FlowRefiner) -> None:
    """Means and deviations by color of frames 1, 4 and 8, from smooth noise and flows of it."""
    generator = torch.Generator().manual_seed(0)

    def smooth(noise: Tensor) -> Tensor:
        return F.interpolate(noise, size=(96, 128), mode="bilinear")

    frames = smooth(torch.rand(4, 3, 12, 16, generator=generator))[None]
    flows = smooth(3 * torch.randn(3, 2, 3, 4, generator=generator))[None]
    evidence = evidence_of(frames, flows)
    with torch.no_grad():
        preds = [refiner.predict(evidence, p, k) for k, p in enumerate(carry(evidence, 8), start=1)]
    found = torch.stack([preds[k].mean((0, 2, 3)) for k in (0, 3, 7)])
    found = torch.cat([found, torch.stack([preds[k].std((0, 2, 3)) for k in (0, 3, 7)])])
    torch.testing.assert_close(found, torch.tensor(FITTED), atol=1e-4, rtol=0)
