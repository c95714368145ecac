"""Every task on a GPU: what it compares and weighs is on the device of the clips."""

from collections.abc import Callable

import pytest
import torch
from any_predictor import AnyNetwork
from fake_gpu import to_fake_gpu
from torch._subclasses.fake_tensor import FakeTensorMode
from worlds import small_networks

from vidpred import losses, models, tasks
from vidpred.batch import ClipBatch
from vidpred.tasks import PredictionTask


def multiscale() -> models.MultiScaleGenerator:
    return small_networks()[0]


TASKS: dict[str, Callable[[], PredictionTask]] = {
    "scales": lambda: tasks.ReconstructionTask(
        multiscale(), loss=losses.MultiScaleLoss(gradient_difference_weight=1.0)
    ),
    "frames": lambda: tasks.ReconstructionTask(
        AnyNetwork(),
        horizon=2,
        loss=losses.CombinedLoss(
            [losses.LpLoss(), losses.GradientDifferenceLoss(), losses.LaplacianPyramidLoss()]
        ),
    ),
    "adversarial": lambda: tasks.AdversarialTask(
        *small_networks(), mismatched_pairs=True, instance_noise=0.1
    ),
    "dcgan": lambda: tasks.AdversarialTask(
        models.DCGANGenerator.from_preset("cpu", image_size=32),
        models.DCGANDiscriminator.from_preset("cpu", image_size=32),
        drawn_predictions=True,
    ),
    "recurrent": lambda: tasks.RecurrentTask(
        models.PredRNN.from_preset("cpu", decoupling=True),
        sampling=tasks.ReverseScheduledSampling(),
    ),
    "moments": lambda: tasks.RecurrentTask(
        models.PhyDNet.from_preset("cpu"), penalty_weights={"moment": 1.0}
    ),
    "temporal": lambda: tasks.ReconstructionTask(
        models.TAU.from_preset("cpu"), loss=losses.DifferentialDivergenceLoss()
    ),
    "deep": lambda: tasks.DeepSupervisionTask(models.DMVFN.from_preset("cpu")),
    "diffusion": lambda: tasks.DiffusionTask(models.EDMPredictor.from_preset("cpu")),
    "likelihood": lambda: tasks.LikelihoodTask(models.MixtureGenerator.from_preset("small")),
    "pixels": lambda: tasks.LikelihoodTask(models.VideoPixelNetwork.from_preset("cpu")),
}
"""All but those that read values: `FlowRefinementTask` and `VariationalTask`."""


@pytest.mark.parametrize("name", TASKS)
def test_objectives_are_on_the_device_of_the_clips(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Autocast turns itself off where there is no GPU.
    monkeypatch.setattr("torch.cuda.amp.common.amp_definitely_not_available", lambda: False)
    task = TASKS[name]()
    mode = FakeTensorMode()
    to_fake_gpu(task, mode)
    predictor = task.predictor
    shape = (4, predictor.context_frames + task.training_horizon, predictor.channels or 3, 32, 32)
    with mode, torch.autocast("cuda", torch.float16):
        frames = torch.zeros(shape, dtype=torch.uint8, device="cuda")
        start = torch.zeros(4, dtype=torch.int64)
        batch = ClipBatch(frames=frames, video_id=["v"] * 4, start=start, accepted=start == 0)
        one = torch.ones(1, 1, device="cuda")
        assert one.mm(one).dtype == torch.float16
        found = [task.objective(batch)]
        if isinstance(task, tasks.AdversarialTask):
            found.append(task.discriminator_objective(frames))
        for objective in found:
            assert objective.loss.is_cuda
            assert objective.loss.dtype == torch.float32
            assert all(term.is_cuda for term in objective.terms.values())
