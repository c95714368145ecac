import json
from pathlib import Path
from typing import Any

import pytest
import torch
from flow.patterns import moving_texture
from torch import Tensor

from vidpred.data import UCF101DataModule, render_moving_shapes
from vidpred.flow import DISFlow, FlowEstimator, FrameDifferenceMask, OpticalFlowMask
from vidpred.metrics import psnr
from vidpred.models import CopyLastFrame, LinearExtrapolation, OpticalFlowExtrapolation, Predictor
from vidpred.ops import to_unit
from vidpred.storage import build_predictor
from vidpred.storage.description import describe_predictor


class KnownFlow(FlowEstimator):
    """Knows the flow between two frames, whatever they show."""

    def __init__(self, flow: Tensor) -> None:
        self.flow = flow
        self.calls = 0

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        self.calls += 1
        return self.flow.expand(len(first), 2, *first.shape[-2:])

    def describe(self) -> dict[str, Any]:
        return {"name": "KnownFlow"}


def uniform(dx: float, dy: float) -> KnownFlow:
    return KnownFlow(torch.tensor([dx, dy])[None, :, None, None])


def test_linear_extrapolation_goes_on_and_is_clipped() -> None:
    context = torch.tensor([0.3, 0.5, 0.6]).view(1, 3, 1, 1, 1).expand(2, 3, 3, 4, 5)
    pred = LinearExtrapolation()(context, 6)
    assert pred.shape == (2, 6, 3, 4, 5)
    expected = torch.tensor([0.7, 0.8, 0.9, 1.0, 1.0, 1.0])  # x_t + k (x_t - x_{t-1})
    torch.testing.assert_close(pred[1, :, 2, 3, 4], expected)
    assert pred.max() <= 1


def test_content_keeps_its_direction() -> None:
    frames = torch.rand(1, 1, 20, 30)
    # Back to where things came from: left and down, so they move right and up.
    predictor = OpticalFlowExtrapolation(uniform(-2.0, 1.0))
    pred = predictor(frames[:, None].expand(1, 2, 1, 20, 30), 3)
    for k in range(1, 4):
        expected = torch.roll(frames, (-k, 2 * k), dims=(2, 3))[..., 3:-3, 6:]
        torch.testing.assert_close(pred[:, k - 1, :, 3:-3, 6:], expected, atol=1e-4, rtol=0)


def test_the_image_is_sampled_once() -> None:
    frames = torch.rand(1, 1, 12, 40)  # noise, which any repeated sampling blurs
    context = frames[:, None].expand(1, 2, 1, 12, 40)
    pred = OpticalFlowExtrapolation(uniform(-0.5, 0.0))(context, 8)
    for k in (2, 4, 8):  # whole pixels again
        expected = torch.roll(frames, k // 2, dims=3)[..., 4:]
        torch.testing.assert_close(pred[:, k - 1, ..., 4:], expected, atol=1e-3, rtol=0)


def test_the_field_moves_along_with_what_it_moves() -> None:
    # Everything leaves the left upper corner at a speed that grows with the distance: after k more
    # steps what was at p is at p (1 + k s), so pixel q shows what was at q / (1 + k s).
    s, height, width = 0.02, 60, 80
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    place = torch.stack([x, y]).float()
    estimator = KnownFlow(-s * place[None])
    frame = place[None] / 100  # shows its own coordinates, which bilinear sampling keeps
    grey = frame.transpose(0, 1)  # one clip each for x and y
    pred = OpticalFlowExtrapolation(estimator)(grey[:, None].expand(2, 2, 1, height, width), 3)
    assert estimator.calls == 1
    for k in range(1, 4):
        shown = pred[:, k - 1, 0] * 100
        # In pixels. A field that stayed behind would be 0.15 pixels off at the far corner.
        torch.testing.assert_close(shown, place / (1 + k * s), atol=0.02, rtol=0)


@pytest.mark.parametrize("velocity", [(1.6, -0.9), (-3.0, 2.0)])
def test_constant_velocity_is_predicted_several_steps_ahead(velocity: tuple[float, float]) -> None:
    frames = moving_texture(velocity, num_frames=7)[None]
    predictors = (OpticalFlowExtrapolation(), CopyLastFrame(), LinearExtrapolation())
    inside = (..., slice(24, -24), slice(24, -24))  # what comes in from outside nobody knows
    flow, copy, linear = (
        psnr(predictor(frames[:, :2], 5)[inside], frames[:, 2:][inside], data_range=1.0)[0]
        for predictor in predictors
    )
    assert (flow > 27).all()
    assert (flow > copy + 10).all()
    assert (flow > linear + 10).all()


@pytest.mark.parametrize("motion", ["Bounce", "Drift"])
def test_moving_shapes_are_carried_on(motion: Any) -> None:
    frames = to_unit(render_moving_shapes(motion, num_frames=6, seed=2)[0])[None]
    mask = FrameDifferenceMask()(frames, 4)
    flow, copy, linear = (
        psnr(predictor(frames[:, :2], 4), frames[:, 2:], data_range=1.0, mask=mask)[0]
        for predictor in (OpticalFlowExtrapolation(), CopyLastFrame(), LinearExtrapolation())
    )
    assert (flow > copy + 2).all()
    assert (flow > linear + 2).all()


@pytest.mark.parametrize("size", [(1, 1), (15, 64), (37, 51)])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_stands_still_stays(channels: int, size: tuple[int, int]) -> None:
    last = torch.rand(2, 1, channels, *size)
    for predictor in (LinearExtrapolation(), OpticalFlowExtrapolation()):
        pred = predictor(last.expand(-1, 3, -1, -1, -1), 4)
        torch.testing.assert_close(pred, last.expand(-1, 4, -1, -1, -1), atol=1e-4, rtol=0)
        assert pred.min() >= 0
        assert pred.max() <= 1


@pytest.mark.parametrize("predictor", [LinearExtrapolation(), OpticalFlowExtrapolation()])
def test_a_longer_horizon_adds_frames_and_changes_none(predictor: Predictor) -> None:
    frames = to_unit(render_moving_shapes("Spin", num_frames=2)[0])[None]
    longer = predictor(frames, 4)
    assert torch.equal(predictor(frames, 2), longer[:, :2])
    assert torch.equal(predictor.step(frames), longer[:, :1])


@pytest.mark.parametrize(
    "predictor",
    [
        CopyLastFrame(context_frames=3),
        LinearExtrapolation(context_frames=3),
        OpticalFlowExtrapolation(DISFlow("fast"), context_frames=3),
    ],
)
def test_baselines_are_built_again_from_their_configuration(predictor: Predictor) -> None:
    description = json.loads(json.dumps(describe_predictor(predictor)))
    again = build_predictor(description)
    assert type(again) is type(predictor)
    assert again.config() == predictor.config()
    assert not again.state_dict()


def test_what_shows_no_motion_is_refused() -> None:
    for cls in (LinearExtrapolation, OpticalFlowExtrapolation):
        with pytest.raises(ValueError, match="context_frames is 1; expected at least 2"):
            cls(context_frames=1)
    with pytest.raises(ValueError, match=r"KnownFlow, which a configuration cannot build"):
        OpticalFlowExtrapolation.from_config(OpticalFlowExtrapolation(uniform(0, 0)).config())
    with pytest.raises(ValueError, match="C = 1"):
        OpticalFlowExtrapolation()(torch.rand(1, 2, 4, 8, 8), 1)


@pytest.mark.slow
def test_real_clips_keep_their_order(real_data: Path) -> None:
    """97 clips of UCF101's first test list, the first frame, scored as Mathieu et al. 2016 do."""
    module = UCF101DataModule(real_data / "ucf101", num_workers=0)
    module.setup("test")
    mask = OpticalFlowMask()
    predictors = (CopyLastFrame(), LinearExtrapolation(), OpticalFlowExtrapolation())
    rows = []
    for batch in module.test_dataloader():
        frames = to_unit(batch["frames"])[:, :5]
        moving = mask(frames, 1)
        rows.append(
            torch.stack(
                [
                    psnr(
                        predictor(frames[:, :4], 1),
                        frames[:, 4:],
                        data_range=1.0,
                        variant="mathieu_code",
                        mask=moving,
                    ).flatten()
                    for predictor in predictors
                ]
            )
        )
    scores = torch.cat(rows, dim=1)
    left = scores < 50
    # Counted once with masks of the same recipe: 55 for copy-last. Releases of OpenCV differ a bit.
    assert abs(int(left[0].sum()) - 55) <= 3
    copy, linear, flow = scores[:, left.all(dim=0)].mean(dim=1)
    assert flow > copy + 2  # the paper's table: 31.6 against 28.5
    assert copy > linear
