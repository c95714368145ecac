"""Training of the flow refiner."""

import pytest
import torch
from flow.patterns import moving_texture
from torch import Tensor
from worlds import trainer

from vidpred.batch import ClipBatch
from vidpred.flow import FrameDifferenceMask, OpticalFlowMask
from vidpred.losses import log_mse_loss
from vidpred.models import CopyLastFrame, FlowRefiner, OpticalFlowExtrapolation
from vidpred.ops import to_unit
from vidpred.tasks import FlowRefinementTask

WEIGHTS = (1.0, 0.0, 1.0)


def clips(count: int = 2) -> ClipBatch:
    """A texture that stops every second frame: optical flow is wrong about it half the time."""
    moving = moving_texture((2.0, 1.0), num_frames=4, height=64, width=64)
    frames = moving[[0, 0, 1, 1, 2, 2, 3]].expand(-1, 3, -1, -1)
    return {"frames": (frames * 255).round().to(torch.uint8)[None].repeat(count, 1, 1, 1, 1)}  # type: ignore[typeddict-item]


def refiner() -> FlowRefiner:
    torch.manual_seed(0)
    return FlowRefiner(widths=(8, 12), hidden=16)


def test_an_untrained_refiner_is_as_wrong_as_optical_flow() -> None:
    batch = clips()
    frames = to_unit(batch["frames"])
    task = FlowRefinementTask(refiner(), step_weights=(0.0, 0.0, 1.0))
    objective = task.objective(batch)
    expected: Tensor = OpticalFlowExtrapolation()(frames[:, :4], 3)[:, 2]
    torch.testing.assert_close(objective.pred[:, 0].detach(), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(
        objective.terms["log_mse_whole"].detach(),
        log_mse_loss(expected, frames[:, 6]),
        atol=1e-3,
        rtol=0,
    )
    assert torch.equal(objective.target, frames[:, 6:7])
    for name, mask in (("moving", FrameDifferenceMask()), ("fastest", OpticalFlowMask())):
        error = log_mse_loss(expected, frames[:, 6], mask(frames[:, :7], 1)[:, 0])
        found = objective.terms[f"log_mse_{name}"].detach()
        torch.testing.assert_close(found, error, atol=1e-3, rtol=0)


def test_steps_are_drawn_by_their_weights_and_clips_are_long_enough() -> None:
    task = FlowRefinementTask(refiner(), step_weights=WEIGHTS)
    assert task.training_horizon == len(WEIGHTS)
    frames = moving_texture((2.0, 1.0), num_frames=4 + len(WEIGHTS), height=64, width=64)
    frames = (frames.expand(-1, 3, -1, -1) * 255).round().to(torch.uint8)[None]
    true = to_unit(frames)[0, 4:]
    torch.manual_seed(0)
    drawn = [
        int((task.objective({"frames": frames}).target[0, 0] - true).abs().mean((1, 2, 3)).argmin())  # type: ignore[typeddict-item]
        for _ in range(16)
    ]
    # Frames differ, so each target is one of them: never the second, whose weight is 0.
    assert set(drawn) == {0, 2}


def test_the_clip_branch_is_kept_when_it_is_not_trained() -> None:
    predictor = refiner()
    task = FlowRefinementTask(predictor, step_weights=(1.0,), train_clip_branch=False)
    task.objective({"frames": clips(1)["frames"][:, :5]}).loss.backward()  # type: ignore[typeddict-item, no-untyped-call]
    branch = {*predictor.clip.parameters(), *predictor.clip_logits.parameters()}
    assert all(parameter.grad is None for parameter in branch)
    assert all(p.grad is not None for p in predictor.parameters() if p not in branch)


def test_another_network_is_refused() -> None:
    with pytest.raises(TypeError, match="predictor is a CopyLastFrame; expected a FlowRefiner"):
        FlowRefinementTask(CopyLastFrame())


def test_it_learns_what_optical_flow_gets_wrong() -> None:
    task = FlowRefinementTask(
        refiner(),
        step_weights=(1.0,),
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.01),
    )
    frames = clips(1)["frames"][:, :5]
    data = [{"frames": frames[0], "video_id": "a", "start": torch.tensor(0)}] * 60
    before = task.objective({"frames": frames}).terms["log_mse_whole"].item()  # type: ignore[typeddict-item]
    trainer(max_epochs=1).fit(task, torch.utils.data.DataLoader(data, batch_size=2))  # type: ignore[arg-type]
    after = task.objective({"frames": frames}).terms["log_mse_whole"].item()  # type: ignore[typeddict-item]
    assert task.batches_seen == 30
    assert after < before - 0.7  # 3 dB


def test_terms_without_weight_are_refused() -> None:
    with pytest.raises(ValueError, match="log_mse_weight, fastest_weight, l1_weight are 0"):
        FlowRefinementTask(refiner(), log_mse_weight=0, fastest_weight=0, l1_weight=0)
    with pytest.raises(ValueError, match="l1_weight is nan; expected a finite number"):
        FlowRefinementTask(refiner(), l1_weight=float("nan"))


@pytest.mark.parametrize("weights", [(), (0.0, 0.0), (1.0, -1.0)])
def test_weights_that_draw_nothing_are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="step_weights are"):
        FlowRefinementTask(refiner(), step_weights=weights)
