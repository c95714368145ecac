"""A flow refiner that gets a network starts at what it predicts without one."""

from pathlib import Path
from typing import Any

import pytest
import torch
from flow.patterns import moving_texture

from vidpred.errors import CheckpointError
from vidpred.models import FlowRefiner
from vidpred.storage import load_predictor, refiner_with_network
from vidpred.storage.description import describe_frames, describe_predictor
from vidpred.storage.saved import SavedPredictor, write_saved


def saved(path: Path, refiner: FlowRefiner) -> FlowRefiner:
    torch.manual_seed(0)
    for parameter in refiner.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    weights = {name: value.detach() for name, value in refiner.state_dict().items()}
    description, frames = describe_predictor(refiner), describe_frames(refiner)
    write_saved(path, SavedPredictor(path, description, weights, frames=frames))
    return refiner.eval()


def without_modes(refiner: FlowRefiner) -> dict[str, Any]:
    return {name: value for name, value in refiner.config().items() if name != "modes"}


def test_a_refiner_without_network_gets_one_that_starts_there(tmp_path: Path) -> None:
    path = tmp_path / "refiner.safetensors"
    before = saved(path, FlowRefiner(modes=3))
    context = moving_texture((1.5, 0.5), num_frames=4, height=48, width=64)[None]
    refiner = refiner_with_network(str(path), widths=(8, 12))
    assert refiner.training
    assert refiner.config() == {**without_modes(before), "widths": [8, 12]}
    with torch.no_grad():
        torch.testing.assert_close(refiner.eval()(context, 2), before(context, 2))
    refiner.train()(context, 1).mean().backward()
    assert refiner.network is not None
    assert refiner.network.flow_head.weight.grad is not None


def test_a_network_that_is_there_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "refiner.safetensors"
    before = saved(path, FlowRefiner(widths=(8,), modes=2))
    refiner = refiner_with_network(str(path))
    assert refiner.config() == before.config()
    state = refiner.state_dict()
    assert all(torch.equal(state[name], value) for name, value in before.state_dict().items())


def test_other_networks_are_refused() -> None:
    assert isinstance(load_predictor("flow_refiner"), FlowRefiner)
    with pytest.raises(CheckpointError, match="holds a CopyLastFrame; expected a FlowRefiner"):
        refiner_with_network("copy_last")
    with pytest.raises(ValueError, match="widths are empty"):
        refiner_with_network("flow_refiner", widths=())
