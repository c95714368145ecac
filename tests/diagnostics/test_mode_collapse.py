"""`TrainingHealth` warns of a generator whose draws are all alike."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD
from worlds import loader, moving_squares, trainer

from vidpred.diagnostics.health import TrainingHealth
from vidpred.diagnostics.signs import difference_of_draws
from vidpred.losses import MultiScaleLoss
from vidpred.models import DCGANDiscriminator, DCGANGenerator
from vidpred.tasks import AdversarialTask


def test_the_difference_of_draws_is_that_of_the_noise() -> None:
    torch.manual_seed(0)
    frames = torch.rand(6, 3, 1, 40, 40)
    change = (frames[:, 2] - frames[:, 1]).square().mean().sqrt()

    def draw(context: Tensor, horizon: int, count: int) -> Tensor:
        assert context.shape == (6, 2, 1, 40, 40)
        return 0.5 + 0.1 * torch.randn(count, 6, horizon, 1, 40, 40)

    found = difference_of_draws(draw, frames, context_frames=2, horizon=1)["draw_difference"]
    torch.testing.assert_close(found, 0.1 / change, rtol=0.03, atol=0)  # 9600 values

    def same(context: Tensor, horizon: int, count: int) -> Tensor:
        return context[None, :, -1:].expand(count, -1, horizon, -1, -1, -1)

    found = difference_of_draws(same, frames, context_frames=2, horizon=1)["draw_difference"]
    assert found == 0


@pytest.mark.filterwarnings("ignore:health")  # other symptoms may show as well
@pytest.mark.parametrize("collapsed", [True, False])
def test_a_latent_code_that_says_nothing_is_reported(collapsed: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    shape: dict[str, Any] = {"width": 4, "image_size": 32}
    generator = DCGANGenerator(code_size=4, latent_size=4, **shape)
    with torch.no_grad():
        # Rows of the code, then of the latent code.
        from_latents = generator.decoder.from_code[0].weight[4:]
        from_latents.fill_(0.0) if collapsed else nn.init.normal_(from_latents, 0, 1)
        nn.init.normal_(generator.decoder.to_frames.weight, 0, 0.3)
    task = AdversarialTask(
        generator,
        DCGANDiscriminator(**shape),
        loss=MultiScaleLoss(lp_weight=0.0),
        drawn_predictions=True,
        generator_optimizer=partial(SGD, lr=0.0),
        discriminator_optimizer=partial(SGD, lr=0.0),
    )
    health = TrainingHealth(every_n_batches=1, patience=1)
    engine = trainer(callbacks=[health], default_root_dir=tmp_path)
    engine.fit(task, loader(moving_squares(4 * 5), 4))
    path = tmp_path / "health.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    warned = [line["text"] for line in lines if line["symptom"] == "mode collapse"]
    assert len(warned) == collapsed
    if collapsed:
        assert "drawn from one past are alike (they differ by 0.0% of" in warned[0]
        assert "minibatch_kernels 32" in warned[0]
