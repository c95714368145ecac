"""What a row costs, measured in a process of its own."""

from pathlib import Path

import pytest
import torch

from vidpred.benchmark.cost import CostRequest, measure_cost
from vidpred.benchmark.cost_process import measured
from vidpred.benchmark.specification import CostSettings
from vidpred.data.moving_shapes import write_moving_shapes
from vidpred.evaluation import load_protocol
from vidpred.models import Predictor
from vidpred.storage.saved import load_predictor


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_moving_shapes(
        tmp_path_factory.mktemp("shapes") / "toy",
        num_groups=3,
        clips_per_group=1,
        num_frames=12,
        height=48,
        width=64,
    )


def request(root: Path, method: dict[str, str], **changed: object) -> CostRequest:
    return {  # type: ignore[typeddict-item]  # of the changes
        "method": method,
        "protocol": "quick",
        "root": str(root),
        "device": "cpu",
        "seconds": 0.01,
        "modules": [],
        "threads": 1,
        **changed,
    }


def by_hand(predictor: Predictor) -> int:
    """Sum kernel size x input channels over all output values of all convolutions, for one step."""
    counted = []

    def hook(layer: torch.nn.Conv2d, _: object, out: torch.Tensor) -> None:
        counted.append(out.numel() * layer.weight[0].numel())

    for layer in predictor.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(hook)  # type: ignore[arg-type]  # of a Conv2d alone
    with torch.inference_mode():
        predictor(torch.rand(1, 4, 3, 48, 64), 1)
    return sum(counted)


def test_copying_costs_nothing_but_time(root: Path) -> None:
    cost = measured(request(root, {"baseline": "copy_last"}))
    assert (cost["parameters"], cost["multiply_adds"]) == (0, 0)
    assert cost["frames_per_second"] > 100
    assert cost["turns"] >= 3
    on = cost["measured_on"]
    cut = load_protocol("quick").protocol.clips
    assert (on["height"], on["width"], on["threads"]) == (48, 64, 1)
    assert (on["context_frames"], on["horizon"]) == (cut.context_frames, cut.horizon)


def test_multiply_adds_are_those_of_the_convolutions(root: Path) -> None:
    cost = measured(request(root, {"saved": "small"}))
    assert cost["parameters"] == 223_644
    assert cost["multiply_adds"] == by_hand(load_predictor("small"))
    assert 0 <= cost["own_memory"] <= cost["peak_memory"]  # tests before this one leave room


@pytest.mark.slow
def test_a_process_of_its_own_answers_once(root: Path, tmp_path: Path) -> None:
    kept = tmp_path / "cost" / "linear.json"
    asked = request(root, {"baseline": "linear"})
    first = measure_cost(asked, CostSettings(), kept)
    assert first["cost"] is not None
    assert 0 < first["cost"]["own_memory"] < 2**25  # what counts operations is none of the row's
    assert measure_cost(asked, CostSettings(), kept) == first  # read, not measured again
    other = measure_cost(request(root, {"baseline": "linear"}, threads=2), CostSettings(), kept)
    assert other["cost"] is not None
    assert other["cost"]["measured_on"]["threads"] == 2


@pytest.mark.slow
def test_a_row_that_fails_says_why(root: Path, tmp_path: Path) -> None:
    asked = request(root, {"saved": str(tmp_path / "none.ckpt")})
    found = measure_cost(asked, CostSettings(), tmp_path / "none.json")
    assert found["cost"] is None
    assert "none.ckpt: no such checkpoint" in found["problem"]
    slow = measure_cost(
        request(root, {"baseline": "linear"}), CostSettings(longest=0.01), tmp_path / "slow.json"
    )
    assert slow["problem"] == "took more than 0.01 s"
