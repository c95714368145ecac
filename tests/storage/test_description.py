"""Networks of a user's own, which checkpoints have to build again."""

import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vidpred.errors import NetworkError
from vidpred.models import FlowRefiner, Predictor
from vidpred.storage.description import build_predictor, describe_predictor, require_rebuildable


class Scaled(Predictor):
    """Gives the last frame times a factor."""

    omitted = ""
    """Left out of what it says of itself."""

    def __init__(self, factor: float = 1.0, width: int = 2, note: object = None) -> None:
        super().__init__(context_frames=1)
        self.factor, self.width, self.note = factor, width, note
        self.layer = nn.Linear(width, width)

    def step(self, context: Tensor) -> Tensor:
        return self.factor * context

    def config(self) -> dict[str, Any]:
        said = {"factor": self.factor, "width": self.width, "note": self.note}
        return {name: value for name, value in said.items() if name != self.omitted}


def omitting(name: str, **arguments: Any) -> Scaled:
    network = Scaled(**arguments)
    network.omitted = name
    return network


def test_what_is_described_whole_is_accepted() -> None:
    networks = Scaled(0.5, 3), omitting("factor"), FlowRefiner()
    before = torch.random.get_rng_state()
    for network in networks:
        require_rebuildable(network)
    assert torch.equal(torch.random.get_rng_state(), before)  # trainings repeat


@pytest.mark.parametrize(
    ("network", "problem"),
    [
        (omitting("factor", factor=0.5), r"has factor 1\.0, not 0\.5"),
        (omitting("width", width=3), r"layer.weight is .*\(2, 2\), expected .*\(3, 3\)"),
        (Scaled(note=torch.zeros(1)), "cannot be built again .*TypeError"),
    ],
)
def test_what_a_checkpoint_would_lose_is_refused(network: Predictor, problem: str) -> None:
    with pytest.raises(NetworkError, match=rf"Scaled .*{problem}.*; expected Scaled\.config\(\)"):
        require_rebuildable(network)


def test_a_module_is_given_not_named() -> None:
    described = describe_predictor(Scaled())
    rebuilt = build_predictor(described, modules=[sys.modules[__name__]])
    assert isinstance(rebuilt, Scaled)
    for modules in ("my_networks", ["my_networks"]):
        with pytest.raises(TypeError, match=r"'my_networks'; .*import my_networks, then"):
            build_predictor(described, modules=modules)  # type: ignore[arg-type]
