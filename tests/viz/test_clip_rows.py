import pytest
import torch

from vidpred.viz.canvas import BACKGROUND
from vidpred.viz.clip_rows import FrameRow, clip_rows


@pytest.mark.parametrize("horizon", [1, 8, 20, 40])
def test_names_keep_to_their_rows_however_far_ahead(horizon: int) -> None:
    frames = torch.zeros(horizon, 3, 192, 256, dtype=torch.uint8)
    rows = [
        FrameRow("truth", frames),
        FrameRow("luma difference x3\nred: bright\nblue: dark", frames),
    ]
    picture = clip_rows(torch.zeros(10, 3, 192, 256, dtype=torch.uint8), rows)
    below = picture[:, -10:].flatten(1)
    assert torch.equal(below, torch.tensor(BACKGROUND, dtype=torch.uint8)[:, None].expand_as(below))
