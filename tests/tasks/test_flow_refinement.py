"""Training of the flow refiner."""

import pytest
import torch
from flow.patterns import moving_texture
from torch import Tensor
from worlds import trainer

from vidpred.batch import ClipBatch
from vidpred.losses import log_mse_loss
from vidpred.models import FlowRefiner, OpticalFlowExtrapolation
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


def test_steps_are_drawn_by_their_weights_and_clips_are_long_enough() -> None:
    task = FlowRefinementTask(refiner(), step_weights=WEIGHTS)
    assert task.training_horizon == 3
    batch = clips(1)
    frames = to_unit(batch["frames"])
    torch.manual_seed(0)
    drawn = {
        int((task.objective(batch).target[0, 0] - frames[0, 4:]).abs().flatten(1).sum(1).argmin())
        for _ in range(12)
    }
    # Frames 5 and 6 are alike here, so that step 2, which is never drawn, is told by its absence.
    assert drawn <= {0, 2} or drawn <= {0, 1}
    assert 0 in drawn


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


@pytest.mark.parametrize("weights", [(), (0.0, 0.0), (1.0, -1.0)])
def test_weights_that_draw_nothing_are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="step_weights are"):
        FlowRefinementTask(refiner(), step_weights=weights)
