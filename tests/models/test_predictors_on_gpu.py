"""Every predictor on a GPU, in float32 and in half precision: nothing stays behind."""

from collections.abc import Callable

import pytest
import torch
from fake_gpu import Still, to_fake_gpu
from torch._subclasses.fake_tensor import FakeTensorMode

from vidpred import models
from vidpred.models import Likelihood, Predictor

PRESETS = (
    *("Autoencoder", "ConvLSTM", "DCGANGenerator", "DMVFN", "DeepVoxelFlow", "EDMPredictor"),
    *("PhyDNet", "PredRNN", "SimVP", "SimVPv2", "TAU"),
)
PREDICTORS: dict[str, Callable[[], Predictor]] = {
    **{name: (lambda name=name: getattr(models, name).from_preset("cpu")) for name in PRESETS},
    "CopyLastFrame": models.CopyLastFrame,
    "LinearExtrapolation": models.LinearExtrapolation,
    "OpticalFlowExtrapolation": lambda: models.OpticalFlowExtrapolation(Still()),
    "DuplicateAware": lambda: models.DuplicateAwareFlowExtrapolation(Still()),
    "FlowRefiner": lambda: models.FlowRefiner(estimator=Still(), widths=(8, 8), modes=3),
    "MultiScaleGenerator": lambda: models.MultiScaleGenerator.from_preset("small"),
    "MixtureGenerator": lambda: models.MixtureGenerator.from_preset("small"),
}
"""All but those that do what no fake tensor can: DYAN, SVG and `VideoPixelNetwork`."""


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("name", PREDICTORS)
def test_predictions_are_on_the_device_of_the_context(name: str, dtype: torch.dtype) -> None:
    predictor = PREDICTORS[name]().to(dtype)
    mode = FakeTensorMode()
    to_fake_gpu(predictor, mode)
    side, channels = predictor.image_size or 32, predictor.channels or 3
    generator = torch.Generator()  # on the CPU, as those of protocols
    with mode:
        clip = torch.rand(2, predictor.context_frames + 3, channels, side, side, device="cuda")
        clip = clip.to(dtype)
        context, condition = clip[:, :-3], {"true_frames": clip}
        found = [
            predictor(context, 3, condition=condition),
            predictor.sample(context, 3, generator=generator, condition=condition)[0],
            predictor.sample(context, 3, num_samples=2, condition=condition)[1],
        ]
        if isinstance(predictor, Likelihood):
            assert predictor.log_prob(context, clip[:, -3:]).is_cuda
    for future in found:
        assert future.shape == (2, 3, channels, side, side)
        assert future.is_cuda
        assert future.dtype == dtype
