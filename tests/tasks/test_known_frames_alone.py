"""No task shows a network the frame that it is to predict, but where the frame's latents say so."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from worlds import small_networks

from vidpred.losses import GeneratorObjective, PredictionObjective
from vidpred.models import (
    DMVFN,
    DYAN,
    SVG,
    ConvLSTM,
    DeepVoxelFlow,
    GeneratorScale,
    Likelihood,
    MixtureGenerator,
    PhyDNet,
    PredRNN,
    SimVP,
    VideoPixelNetwork,
)
from vidpred.tasks import (
    AdversarialTask,
    DeepSupervisionTask,
    PredictionTask,
    ReconstructionTask,
    RecurrentTask,
    TeacherForcing,
)

FORCED: dict[str, Any] = {"horizon": 3, "sampling": TeacherForcing()}

TASKS: dict[str, Callable[[], PredictionTask]] = {
    "simvp": lambda: ReconstructionTask(
        SimVP(4, 8, translator_depth=2, kernels=(3,), groups=1, context_frames=2)
    ),
    "convlstm": lambda: ReconstructionTask(
        ConvLSTM((4,), input_kernel=3, state_kernel=3, context_frames=2), horizon=3
    ),
    "predrnn": lambda: RecurrentTask(PredRNN(4, layers=2, kernel=3, context_frames=2), **FORCED),
    "phydnet": lambda: RecurrentTask(
        PhyDNet(32, lstm_hidden=(), kernel=3, context_frames=2), **FORCED
    ),
    "dvf": lambda: ReconstructionTask(DeepVoxelFlow.from_preset("cpu"), horizon=2),
    "dmvfn": lambda: DeepSupervisionTask(DMVFN((8, 4), (2, 1))),
    "dyan": lambda: ReconstructionTask(DYAN.from_preset("cpu"), horizon=2),
    "multiscale": lambda: ReconstructionTask(small_networks()[0]),
    "unrolled": lambda: ReconstructionTask(small_networks()[0], unrolled_steps=2),
    "adversarial": lambda: AdversarialTask(*small_networks()),
}


def with_another_end(frames: Tensor) -> Tensor:
    """Give the same clips but for their last frame."""
    return torch.cat([frames[:, :-1], frames[:, -1:].flip(-1)], dim=1)


@pytest.mark.parametrize("name", TASKS)
def test_predictions_of_a_training_do_not_depend_on_the_last_frame(name: str) -> None:
    task = TASKS[name]()
    length = task.predictor.context_frames + task.training_horizon
    frames = torch.randint(256, (2, length, 3, 32, 32), dtype=torch.uint8)
    found: list[list[Tensor]] = []
    for clips in (frames, with_another_end(frames)):
        torch.manual_seed(0)  # of what is drawn
        objective = task.objective({"frames": clips})  # type: ignore[typeddict-item]
        assert isinstance(objective, PredictionObjective | GeneratorObjective)
        one = isinstance(objective, PredictionObjective)
        found.append([objective.pred] if one else list(objective.preds))
    for pred, other in zip(*found, strict=True):
        assert torch.equal(pred, other)


@pytest.mark.parametrize(
    "make",
    [
        lambda: VideoPixelNetwork(context_frames=2, width=4, hidden=4),
        lambda: MixtureGenerator((GeneratorScale((4,), (3, 3)),), context_frames=2),
    ],
)
def test_the_likelihood_of_a_frame_does_not_depend_on_later_ones(
    make: Callable[[], Likelihood],
) -> None:
    network = make()
    assert isinstance(network, nn.Module)
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.2)
    frames = torch.rand(2, 5, 3, 8, 8)
    one, other = (
        network.log_prob(clips[:, :2], clips[:, 2:]) for clips in (frames, with_another_end(frames))
    )
    assert torch.equal(one[:, :-1], other[:, :-1])
    assert not torch.allclose(one[:, -1], other[:, -1])


def test_latents_of_a_frame_do_not_reach_earlier_ones() -> None:
    sizes = {"width": 2, "code_size": 4, "hidden_size": 4, "latent_size": 3, "image_size": 16}
    network = SVG("learned", **sizes, context_frames=2).eval()  # batch norm sees all frames
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.3)
    frames, found = torch.rand(2, 5, 3, 16, 16), []
    for clips in (frames, with_another_end(frames)):
        torch.manual_seed(0)
        found.append(network.posterior(clips[:, :2], clips[:, 2:]))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one[:, :-1], other[:, :-1])
        assert not torch.equal(one[:, -1], other[:, -1])
