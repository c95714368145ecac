"""The tool that fits the clip-level branch of a trained flow refiner again, to pans."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from flow.patterns import moving_texture
from torch import Tensor

from vidpred.models import FlowRefiner
from vidpred.storage import trained_predictor

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    spec = importlib.util.spec_from_file_location(
        "refit_clip_branch", TOOLS / "refit_clip_branch.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "refit_clip_branch", module)  # its dataclass asks for it
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def refiner() -> FlowRefiner:
    trained = trained_predictor("flow_refiner")
    assert isinstance(trained, FlowRefiner)
    return trained


def clip(velocity: tuple[float, float]) -> Tensor:
    return moving_texture(velocity, num_frames=12, height=96, width=128).expand(-1, 3, -1, -1)


def test_errors_are_those_of_the_prediction(tool: ModuleType, refiner: FlowRefiner) -> None:
    frames, tool.PIXELS = clip((1.0, 0.5)), 100_000  # many times all there are
    found = tool.described(refiner, frames, is_panned=False)
    steps = torch.tensor(tool.STEPS, dtype=torch.float32)
    ahead = torch.stack([1 / steps, steps / 8], dim=1)
    with torch.no_grad():
        seen = torch.cat([found.statistics.expand(len(steps), -1), ahead], dim=1)
        logits = refiner.clip_logits(refiner.clip(seen))[None]
        whole = tool.squared_errors(refiner, logits, found)[0, :, 0]
        pred = refiner(frames[None, : tool.CONTEXT], max(tool.STEPS))[0]
    for error, step in zip(whole, tool.STEPS, strict=True):
        expected = (pred[step - 1] - frames[tool.CONTEXT + step - 1]).square().mean()
        assert error == pytest.approx(float(expected), rel=0.1)


def test_a_window_moves_evenly_and_stays_in_the_frame(tool: ModuleType) -> None:
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")
    still = torch.stack([rows, columns, rows])[None].expand(12, -1, -1, -1)
    for _ in range(20):
        seen = tool.panned(still)
        assert seen.shape == (12, 3, 48, 48)
        moves = (seen[1:, :2] - seen[:-1, :2]).flatten(2)
        assert (moves == moves[:1, :, :1]).all()
        assert moves.abs().amax(dim=(0, 2)).tolist() <= list(tool.FASTEST)


@pytest.mark.slow
def test_pans_are_learned_and_the_rest_is_kept(tool: ModuleType) -> None:
    torch.manual_seed(0)
    refiner = FlowRefiner()
    with torch.no_grad():
        refiner.clip_logits.bias[4] = 12.0  # it copies, wherever the motion is
    pans = [tool.described(refiner, clip((2.0, 1.0)), is_panned=True) for _ in range(3)]
    still = [tool.described(refiner, clip((0.0, 0.0)), is_panned=False) for _ in range(3)]
    parts = [vars(each).values() for each in (*pans, *still) * 8]
    clips = tool.Described(*(torch.cat(column) for column in zip(*parts, strict=True)))
    tool.EPOCHS, tool.RATE = 60, 0.01
    tool.fit(refiner, clips, seed=0)
    ahead = torch.tensor([1.0, 1 / 8])
    with torch.no_grad():
        panned, kept = (
            refiner.clip_logits(refiner.clip(torch.cat([each.statistics[0], ahead])))
            for each in (pans[0], still[0])
        )
    assert (panned + refiner.prior).argmax() in (0, 1, 2)
    assert (kept + refiner.prior).argmax() == 4
