"""Networks of one frame size, and protocols of another."""

import pytest
import torch

from vidpred.errors import PredictionError
from vidpred.evaluation import load_protocol
from vidpred.evaluation.scoring.methods import PredictorMethod
from vidpred.models import DCGANGenerator


def test_a_network_of_one_frame_size_refuses_a_protocol_of_another() -> None:
    network = DCGANGenerator.from_preset("cpu", image_size=64).eval()
    method = PredictorMethod(
        network, {"name": "mine", "kind": "model", "details": {}}, torch.device("cpu")
    )
    method.require(load_protocol("whole-frames-subset").protocol)
    method.require(load_protocol("quick").protocol)  # of the size that videos have
    with pytest.raises(PredictionError, match=r"64 x 64 alone, .* gives 240 x 320; .*height: 64"):
        method.require(load_protocol("clean-ucf101").protocol)
