"""The tool that switches parts of a flow refiner off."""

import runpy
from pathlib import Path

import torch
from flow.patterns import moving_texture
from torch import nn

from vidpred.models import FlowRefiner
from vidpred.models.flow_evidence import carry
from vidpred.ops.regions import Region

TOOL = Path(__file__).parents[2] / "tools" / "ablate_flow_refiner.py"


def test_rows_hold_the_parts_that_they_name() -> None:
    torch.manual_seed(0)
    refiner = FlowRefiner(widths=(8,), hidden=8).eval()
    assert refiner.network is not None
    for head in (
        refiner.network.flow_head,
        refiner.network.pixel_head,
        refiner.clip_logits,
        refiner.clip_speed,
    ):
        nn.init.normal_(head.weight, std=0.1)
    context = moving_texture((1.5, 0.5), num_frames=4, height=48, width=64)[None]
    rows_of = runpy.run_path(str(TOOL))["rows_of"]
    rows = {name: row.predictor for name, row in rows_of(refiner).items()}
    found = {}
    with torch.no_grad():
        expected = refiner(context, 2)
        assert torch.equal(rows["residual"](context, 2), expected)
        for name in ("clip_blend", "pixel_blend", "motion", "residual"):
            network = rows[name]
            evidence = network.observe(context)
            (paths,) = carry(evidence, 1)
            clip, whole = network.clip_features(evidence, 1), Region.of(evidence.last)
            refined = network.refine(evidence, paths, 1, clip, whole)
            found[name] = (
                refined.logits.var((2, 3)).max() > 1e-6,
                (refined.starts[:, 0] - paths[0]).abs().max() > 1e-3,
                refined.residual.abs().max() > 0,
            )
        mirrored = rows["mirrored"]
        assert mirrored(context, 2).shape == expected.shape
        assert mirrored.step(context).shape == (1, 1, 3, 48, 64)
        fed_back, window = rows["fed_back"](context, 2), context
        for t in range(2):
            window = torch.cat([window[:, -4:], refiner(window, 1)], dim=1)
            torch.testing.assert_close(fed_back[:, t], window[:, -1])
        assert not torch.allclose(fed_back[:, 1], expected[:, 1])
        assert not torch.allclose(rows["without_branch"](context, 2), expected)
        evidence = refiner.observe(context)
        (paths,) = carry(evidence, 1)
        clip, whole = refiner.clip_features(evidence, 1), Region.of(evidence.last)
        weights = rows["plain_blend"].refine(evidence, paths, 1, clip, whole).logits.softmax(1)
        assert (weights.amax((0, 2, 3)) > 0).nonzero().flatten().tolist() == [0, 1, 2, 8, 9, 10]
    without_network = rows_of(FlowRefiner())
    assert list(without_network)[:3] == ["plain_blend", "clip_blend", "mirrored"]
    assert without_network["mirrored"].compared == "clip_blend"
    assert found == {
        "clip_blend": (False, False, False),
        "pixel_blend": (True, False, False),
        "motion": (True, True, False),
        "residual": (True, True, True),
    }
