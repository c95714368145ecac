from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from vidpred.errors import PredictionError
from vidpred.models import (
    SVG,
    CopyLastFrame,
    DCGANGenerator,
    FlowRefiner,
    GeneratorScale,
    LinearExtrapolation,
    MultiScaleGenerator,
    Predictor,
)
from vidpred.prediction.rollout import Rollout
from vidpred.prediction.windows import Window
from vidpred.video.playing import Look


def window(*frames: np.ndarray) -> Window:
    height, width, _ = frames[0].shape
    return Window(Look(height, width, Fraction(25)), None, frames, ())


def rollout(predictor: Predictor, max_memory: int = 4 << 30) -> Rollout:
    cpu = torch.device("cpu")
    return Rollout(predictor.eval(), device=cpu, max_memory=max_memory, batch_size=4)


def noise(count: int, height: int = 21, width: int = 30) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8))


def averaging() -> MultiScaleGenerator:
    """A network that blurs the last frame: with zeros around it, a rim would creep in."""
    network = MultiScaleGenerator([GeneratorScale((), (3,))], context_frames=1)
    (layer,) = (m for m in network.modules() if isinstance(m, torch.nn.Conv2d))
    with torch.no_grad():
        layer.bias.zero_()
        layer.weight.zero_()
        for color in range(3):
            layer.weight[color, color] = 1 / 9
    return network


def test_no_rim_shows_after_eight_frames() -> None:
    network = averaging()
    light = np.full((23, 31, 3), 250, np.uint8)
    *_, last = rollout(network)([window(light)], 8)
    assert last.shape == (1, 3, 23, 31)
    assert last.max() - last.min() < 1e-5
    with torch.inference_mode():
        rimmed = network(torch.full((1, 1, 3, 24, 32), 250 / 255), 8)[0, -1]
    assert rimmed.max() - rimmed.min() > 0.1  # so it takes a border


def test_far_from_the_rim_it_is_the_predictor() -> None:
    torch.manual_seed(0)
    network = MultiScaleGenerator(
        [GeneratorScale((4,), (3, 3)), GeneratorScale((4,), (3, 3))],
        context_frames=2,
        output_frames=2,
    )
    frames = noise(3, 120, 122)
    predicted = torch.stack(
        list(rollout(network)([window(*frames[:2]), window(*frames[1:])], 5)), 1
    )
    assert predicted.shape == (2, 5, 3, 120, 122)
    context = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float()[None] / 255
    with torch.inference_mode():
        expected = torch.cat([network(context[:, k : k + 2], 5) for k in (0, 1)])
    far = 3 * network.receptive_radius
    inside = (..., slice(far, -far), slice(far, -far))
    assert predicted[inside].numel() > 0
    torch.testing.assert_close(predicted[inside], expected[inside], rtol=0, atol=1e-5)


def test_extrapolation_gives_all_frames_at_once() -> None:
    frames = noise(2)
    following = list(rollout(LinearExtrapolation())([window(*frames)], 3))
    first, last = (frame.astype(float) for frame in frames)
    for k, frame in enumerate(following, start=1):
        expected = np.clip(last + k * (last - first), 0, 255) / 255
        np.testing.assert_allclose(frame[0].permute(1, 2, 0), expected, atol=1e-6)


def test_a_network_of_one_channel_predicts_color_by_color() -> None:
    torch.manual_seed(0)
    network = MultiScaleGenerator([GeneratorScale((4,), (3, 3))], context_frames=2, channels=1)
    frames = noise(2)
    (frame,) = rollout(network)([window(*frames)], 1)
    assert frame.shape == (1, 3, 21, 30)
    red = [np.repeat(frame[..., :1], 3, axis=-1) for frame in frames]
    (from_red,) = rollout(network)([window(*red)], 1)
    torch.testing.assert_close(from_red[:, 0], frame[:, 0], rtol=0, atol=1e-6)
    torch.testing.assert_close(from_red[:, 2], frame[:, 0], rtol=0, atol=1e-6)


def test_what_cannot_be_predicted_is_told() -> None:
    two = MultiScaleGenerator([GeneratorScale((2,), (3, 3))], context_frames=1, channels=2)
    with pytest.raises(PredictionError, match="takes frames of 2 channels; expected 1 or 3"):
        rollout(two)
    broken = averaging()
    with torch.no_grad():
        next(broken.parameters()).fill_(torch.nan)
    with pytest.raises(PredictionError, match="not finite"):
        list(rollout(broken)([window(noise(1)[0])], 1))
    refiner = FlowRefiner(sharp=True)
    with torch.no_grad():
        refiner.clip_speed.bias.fill_(torch.nan)
    with pytest.raises(PredictionError, match="not finite"):
        list(rollout(refiner.eval())([window(*noise(4, 32, 48))], 1))
    with pytest.raises(PredictionError, match="gives all 9999 frames at once"):
        list(rollout(LinearExtrapolation(), 1 << 30)([window(*noise(2, 90, 90))], 9999))


def test_the_batch_fits_into_the_memory() -> None:
    copies = rollout(CopyLastFrame(context_frames=4))
    assert copies.windows_at_once(64, 64, horizon=8) == 4
    assert copies.windows_at_once(1080, 1920, horizon=64) == 3
    assert copies.windows_at_once(8192, 8192, horizon=8) == 1


def test_a_predictor_that_cuts_frames_itself_is_expected_to_fit_a_4k_frame_into_4_gib() -> None:
    """Measured: the process takes 3.65 GiB; the frame is refused where less is allowed."""
    frames = np.broadcast_to(np.uint8(100), (4, 2160, 3840, 3))
    refiner = FlowRefiner()
    with pytest.raises(PredictionError, match=r"looks at whole frames, which takes 3\.8 GiB"):
        next(rollout(refiner, 3 << 30)([window(*frames)], 1))


@pytest.mark.parametrize("make", [DCGANGenerator.from_preset, SVG.from_preset])
def test_a_network_of_one_frame_size_has_no_border(make: Any) -> None:
    predictor = make("cpu", image_size=16)
    frames = list(rollout(predictor)([window(*noise(predictor.context_frames, 16, 16))], 3))
    assert [frame.shape for frame in frames] == [(1, 3, 16, 16)] * 3


def test_the_callers_predictor_stays_as_it_is() -> None:
    refiner = FlowRefiner()
    assert rollout(refiner).predictor.sharp
    assert refiner.sharp is False
