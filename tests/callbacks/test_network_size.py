"""Parameters and operations, against counts by hand and the paper's numbers."""

from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer
from torch import Tensor, nn

from vidpred.callbacks.network_size import NetworkSummary, network_size, summary_lines
from vidpred.data import UCF101DataModule
from vidpred.kernels import accelerate
from vidpred.models import MultiScaleGenerator, OpticalFlowExtrapolation, Predictor
from vidpred.tasks import ReconstructionTask


class OneConvolution(Predictor):
    """5 context frames of one channel, one convolution of 3 x 3."""

    def __init__(self) -> None:
        super().__init__(context_frames=5, output_frames=2, channels=1)
        self.layer = nn.Conv2d(5, 2, 3, padding=1)

    def step(self, context: Tensor) -> Tensor:
        return self.layer(context.flatten(1, 2)).unflatten(1, (2, 1)).sigmoid()

    def config(self) -> dict[str, object]:
        return {}


def test_a_convolution_counted_by_hand() -> None:
    """Each of 2 x 8 x 10 outputs is a sum of 5 x 3 x 3 products; two frames share the step."""
    size = network_size(OneConvolution(), 8, 10)
    assert size.parameters == 5 * 2 * 9 + 2
    assert size.flops == 2 * (2 * 8 * 10) * (5 * 9) // 2


def test_the_count_is_that_of_plain_layers_and_leaves_the_network_alone() -> None:
    network = MultiScaleGenerator.from_preset("small")
    plain = network_size(network, 32, 32)
    accelerate(network)
    assert network_size(network, 32, 32) == plain
    assert plain.parameters == 223_644  # of the published network
    assert plain.flops is not None
    assert plain.flops > 1e7
    assert next(network.parameters()).device == torch.device("cpu")


def test_what_cannot_be_counted_is_said_so() -> None:
    """Its flow is computed by OpenCV, which has no meta device."""
    size = network_size(OpticalFlowExtrapolation(), 32, 32)
    assert size.flops is None
    assert "cannot be counted" in size.words()


def test_lines_name_every_network() -> None:
    task = nn.Module()
    task.add_module("generator", OneConvolution())
    task.add_module("loss", nn.Identity())
    (line,) = summary_lines(task, (8, 10))
    assert line == (
        "generator: OneConvolution, 92 parameters, 7.2 kFLOPs a predicted frame of 8 x 10"
    )


def test_a_plain_network_of_a_task_is_no_generator() -> None:
    task = ReconstructionTask(OneConvolution())
    assert summary_lines(task, (8, 10))[0].startswith("predictor: OneConvolution, 92 parameters")


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"patch_size": 32, "resize": (64, 96)}, "32 x 32"),
        ({"patch_size": None, "resize": (64, 96)}, "64 x 96"),
        ({"patch_size": None}, "64 x 64"),
    ],
)
def test_operations_are_counted_for_frames_of_the_training(
    options: dict[str, Any], size: str, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = Trainer(accelerator="cpu", logger=False, barebones=True)
    trainer.datamodule = UCF101DataModule("anywhere", **options)  # type: ignore[attr-defined]
    with caplog.at_level("INFO"):
        NetworkSummary().on_fit_start(trainer, ReconstructionTask(OneConvolution()))
    assert f"a predicted frame of {size}" in caplog.text
