"""The tool that fits the modes of a flow refiner."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from flow.patterns import moving_texture
from torch import Tensor

from vidpred.data.moving_shapes import write_moving_shapes
from vidpred.models import FlowRefiner
from vidpred.storage import trained_predictor
from vidpred.storage.saved import find_saved, read_saved

TOOL = Path(__file__).parents[2] / "tools" / "fit_modes.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fit_modes", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fit_modes"] = module  # its dataclass asks for it
    spec.loader.exec_module(module)
    return module


def texture(step: int, future_step: int) -> Tensor:
    """Frames (6, 3, 64, 96) of a texture that moves, from the fifth on at another speed."""
    frames = moving_texture((0.5, 0.25), num_frames=64, height=64, width=96)
    shown = [0, step, 2 * step, 3 * step]
    return frames[[*shown, shown[-1] + future_step, shown[-1] + 2 * future_step]]


def test_errors_of_modes_are_those_of_the_draws(tool: ModuleType) -> None:
    """Of all points that were looked at, and of the whole chain of a prediction."""
    torch.manual_seed(0)
    refiner = tool.with_modes(trained_predictor("flow_refiner"), 3)
    with torch.no_grad():
        for parameter in refiner.modes.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter) / parameter.shape[-1] ** 0.5)
    frames = texture(2, 2)
    points = tool.looked_at(refiner, frames, 2)
    x, y = points.places[0].long()
    with torch.no_grad():
        found = tool.mode_errors(refiner, points.of(torch.tensor([0]), torch.arange(tool.POINTS)))
        drawn = refiner.sample(frames[None, :4], 2, num_samples=3)[:, 0, 1]
    expected = (drawn[:, :, y, x] - points.target[0]).square().mean((1, 2))
    # Draws are in random order; known frames and features are kept with fewer bits.
    torch.testing.assert_close(found[0].sort().values, expected.sort().values, rtol=0.02, atol=1e-5)


def test_modes_share_out_what_may_happen(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the same past half of the clips go on twice as fast, half slow: two modes cover both."""
    monkeypatch.setattr(tool, "BATCH", 8)
    refiner = tool.with_modes(FlowRefiner(widths=(8,), hidden=8), 2)
    torch.manual_seed(0)
    one = [tool.looked_at(refiner, texture(4, step), 2) for step in (8, 8, 1, 1)]
    clips = tool.Points(
        *(torch.cat(column) for column in zip(*(vars(p).values() for p in one * 8), strict=True))
    )
    tool.fit(refiner, clips, epochs=40, seed=0)
    with torch.no_grad():
        errors = tool.mode_errors(refiner, clips.of(torch.arange(4), torch.arange(tool.POINTS)))
    best = errors.argmin(1)
    assert best[0] == best[1] != best[2] == best[3]
    assert (errors.min(1).values < 0.2 * errors.max(1).values).all()


def test_a_clip_that_stays_says_nothing(tool: ModuleType) -> None:
    assert tool.looked_at(tool.with_modes(FlowRefiner(), 2), texture(0, 0), 2) is None


@pytest.mark.slow
def test_the_tool_keeps_the_mean_prediction_and_fits_modes(tmp_path: Path) -> None:
    root = write_moving_shapes(
        tmp_path / "toy", num_groups=3, clips_per_group=1, num_frames=28, height=96, width=128
    )
    output = tmp_path / "modes.safetensors"
    common = [sys.executable, TOOL, f"--root={root}", "--clips-per-video=4", "--epochs=2"]
    subprocess.run(
        [*common, "--weights=flow_refiner", f"--output={output}", "--modes=4"], check=True
    )
    saved = read_saved(output)
    assert "Its 4 modes were fitted" in saved.notes
    assert saved.training == read_saved(find_saved("flow_refiner")).training
    fitted, before = trained_predictor(output), trained_predictor("flow_refiner")
    assert isinstance(fitted, FlowRefiner)
    assert fitted.modes is not None
    assert fitted.modes.count == 4
    frames = texture(2, 2)[None, :4]
    with torch.no_grad():
        assert torch.equal(fitted(frames, 2), before(frames, 2))
        drawn = fitted.sample(frames, 2, num_samples=4)
    assert all((drawn[k] - drawn[j]).abs().max() > 1e-3 for k in range(4) for j in range(k))
