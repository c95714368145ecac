"""Deep supervision: which stages count how much, and that it learns."""

import pytest
import torch
from worlds import loader, moving_squares, trainer

from vidpred.errors import SettingError
from vidpred.losses import LpLoss
from vidpred.models import DMVFN, CopyLastFrame
from vidpred.tasks import DeepSupervisionTask


def test_later_stages_count_more() -> None:
    task = DeepSupervisionTask(DMVFN((8, 4, 4), (1, 1, 1)), loss=LpLoss(p=1, weight=2.0))
    frames = torch.randint(0, 256, (2, 3, 3, 16, 16), dtype=torch.uint8)
    torch.manual_seed(3)
    objective = task.objective({"frames": frames})  # type: ignore[typeddict-item]
    torch.manual_seed(3)  # the same route
    unit = frames.float() / 255
    stages = [(stage - unit[:, 2:]).abs().mean() for stage in task.predictor.stages(unit[:, :2])]
    expected = 0.64 * stages[0] + 0.8 * stages[1] + stages[2]  # 0.8 ** (3 - i)
    torch.testing.assert_close(objective.terms["lp_loss"], expected)
    torch.testing.assert_close(objective.loss, 2 * expected)


def test_it_trains_every_weight() -> None:
    network = DMVFN((16, 16), (2, 1))
    before = {name: value.clone() for name, value in network.named_parameters()}
    clips = moving_squares(8, frames=3, size=20)
    trainer(max_epochs=2).fit(DeepSupervisionTask(network), loader(clips, 4))
    for name, value in network.named_parameters():
        assert not torch.equal(value, before[name]), name


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(SettingError, match="CopyLastFrame has no method stages"):
        DeepSupervisionTask(CopyLastFrame())
    with pytest.raises(ValueError, match="decay is 2"):
        DeepSupervisionTask(DMVFN((4,), (1,)), decay=2.0)
    with pytest.raises(ValueError, match="every weight of the loss is 0"):
        DeepSupervisionTask(DMVFN((4,), (1,)), loss=LpLoss(weight=0.0))
