"""A bound in a table: scoring shows a predictor the true frames that it is conditioned on."""

from typing import Literal

import pytest
import torch

from vidpred.evaluation.clips import EvaluationClip
from vidpred.evaluation.protocol import ClipCut
from vidpred.evaluation.results.result import Method
from vidpred.evaluation.scoring.methods import PredictorMethod
from vidpred.models import Autoencoder

DESCRIPTION: Method = {"name": "autoencoder", "kind": "checkpoint", "details": {}}


@pytest.mark.parametrize("rollout", ["recursive", "one_step"])
def test_an_autoencoder_is_scored_by_its_reconstruction(
    rollout: Literal["recursive", "one_step"],
) -> None:
    torch.manual_seed(0)
    model = Autoencoder(width=2, code_size=4, image_size=16, context_frames=2).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    frames = torch.rand(5, 3, 16, 16)
    clip = EvaluationClip("one", "one", 0, frames[:3], frames[3:], None)
    method = PredictorMethod(model, DESCRIPTION, torch.device("cpu"))
    cut = ClipCut([0], context_frames=3, horizon=2, rollout=rollout)
    found = method.predict([clip, clip], cut)
    assert found.shape == (2, 2, 3, 16, 16)
    # By step, the known frame before is the true one; from the context, its last.
    second = frames[None, 2:4] if rollout == "one_step" else frames[None, 1:3]
    with torch.no_grad():
        expected = [
            model(frames[None, 1:3], 1, condition={"true_frames": frames[None, 1:4]}),
            model(second, 1, condition={"true_frames": torch.cat([second, frames[None, 4:]], 1)}),
        ]
    torch.testing.assert_close(found[:1], torch.cat(expected, dim=1))
