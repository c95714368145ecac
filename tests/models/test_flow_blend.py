"""How one frame is made of several motions."""

import torch

from vidpred.models import FlowRefiner
from vidpred.models.flow_blend import BLENDED, MOVED, Refinement, blend_motions
from vidpred.ops.regions import Region


def test_neighbors_that_choose_apart_tear_nothing() -> None:
    """Of a ramp a frame falls nowhere, however the choice between 0 and 6 pixels alternates."""
    ramp = torch.linspace(0.2, 0.8, 64).expand(1, 4, 3, 48, 64)
    evidence = FlowRefiner().observe(ramp)
    starts = torch.zeros(1, MOVED + 1, 2, 48, 64)
    starts[:, 0, 0] = 6.0
    weights = torch.zeros(1, BLENDED, 48, 64)
    first = (torch.arange(48)[:, None] + torch.arange(64)) % 2 == 0
    weights[:, 0, first], weights[:, 1, ~first] = 1, 1
    refined = Refinement(starts, weights, residual=torch.zeros(1), features=torch.zeros(1))
    frame = blend_motions(evidence, refined, weights, Region.of(evidence.last))
    rises = (frame[..., 1:] - frame[..., :-1])[..., :-8]
    assert rises.min() > 0.5 * rises.mean() > 0
