"""A result file records the kernels that computed it, not those that were asked for."""

from pathlib import Path

import pytest
import torch

from vidpred.evaluation import evaluate, read_result
from vidpred.evaluation.protocol import build_protocol, load_protocol
from vidpred.evaluation.scoring.methods import PredictorMethod
from vidpred.evaluation.sources.video_clips import VideoClips
from vidpred.kernels import accelerate
from vidpred.models import GeneratorScale, MultiScaleGenerator


@pytest.mark.parametrize(("width", "expected"), [(32, "winograd-native"), (4, "torch")])
def test_the_kernels_are_those_that_computed(
    toy_root: Path, tmp_path: Path, width: int, expected: str
) -> None:
    """Four channels are too few for Winograd's transforms to pay, whatever was asked for."""
    network = MultiScaleGenerator([GeneratorScale((width, width), (5, 5, 5))], context_frames=2)
    accelerate(network)
    cut = {"starts": [0], "context_frames": 2, "horizon": 1}
    protocol = build_protocol({**load_protocol("quick").values, "clips": cut})
    method = PredictorMethod(
        network, {"name": "net", "kind": "model", "details": {}}, torch.device("cpu")
    )
    clips = VideoClips(protocol.protocol, toy_root)
    evaluate(protocol, clips, [method], tmp_path, device=torch.device("cpu"))
    assert read_result(tmp_path / "net.json")["provenance"]["kernels"] == expected
