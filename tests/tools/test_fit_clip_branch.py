"""The tool that fits the clip-level branch of a flow refiner by itself."""

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
from vidpred.flow import DISFlow
from vidpred.models import FlowRefiner, OpticalFlowExtrapolation
from vidpred.models.flow_refiner import BLENDED
from vidpred.storage import trained_predictor

TOOL = Path(__file__).parents[2] / "tools" / "fit_clip_branch.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fit_clip_branch", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def clip() -> Tensor:
    """A whole pixel of motion at half the size, filling the frame, as long as the tool reads."""
    frames = moving_texture((2.0, 2.0), num_frames=12, height=96, width=128)
    return frames.expand(-1, 3, -1, -1)


def test_an_error_of_a_blend_is_a_quadratic_form_of_the_products(tool: ModuleType) -> None:
    torch.manual_seed(0)
    errors = torch.randn(BLENDED, 3, 40)
    products = tool._mean_products(errors)
    weights = torch.rand(BLENDED).softmax(0)
    expected = torch.einsum("i,icp->cp", weights, errors).square().mean()
    found = tool.blend_errors(weights[None, None], products[None, None, None])
    torch.testing.assert_close(found[0, 0, 0], expected)


def test_products_of_a_clip_are_those_of_the_extrapolation(tool: ModuleType, clip: Tensor) -> None:
    statistics, products = tool.products_of_errors(clip, DISFlow())
    assert statistics.isfinite().all()
    assert products.shape == (len(tool.STEPS), 3, BLENDED, BLENDED)
    torch.testing.assert_close(products, products.transpose(-1, -2))
    # The first image is the last frame moved by the last flow, here at half the size, where
    # bilinear sampling loses a little more; copying the last frame is 60 times as wrong.
    pred = OpticalFlowExtrapolation()(clip[None, : tool.CONTEXT], 1)[0, 0]
    target = clip[tool.CONTEXT]
    expected = (tool.halved(pred[None]) - tool.halved(target[None])).square().mean()
    torch.testing.assert_close(products[0, 0, 0, 0], expected, rtol=0.5, atol=0)
    still = (tool.halved(clip[None, tool.CONTEXT - 1]) - tool.halved(target[None])).square().mean()
    torch.testing.assert_close(products[0, 0, BLENDED - 2, BLENDED - 2], still)
    assert still > 60 * expected


def test_a_branch_learns_which_clips_stop(
    tool: ModuleType, clip: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the clips go on, as image 0 does, half stop, as the last frame shows."""
    torch.manual_seed(0)
    statistics, _ = tool.products_of_errors(clip, DISFlow())
    stops = torch.arange(64) % 2 == 1
    seen = statistics + 0.05 * torch.randn(64, len(statistics))
    seen[:, 0] = torch.where(stops, 2.0, -2.0)
    worst = torch.full((BLENDED,), 1e-2)
    products = torch.empty(64, len(tool.STEPS), 3, BLENDED, BLENDED)
    for stop, best in ((False, 0), (True, BLENDED - 2)):
        errors = worst.clone()
        errors[best] = 1e-4
        products[stops == stop] = errors.diag()
    refiner = FlowRefiner()
    monkeypatch.setattr(tool, "EPOCHS", 150)
    tool.fit(refiner, seen, products, seed=0)
    ahead = torch.tensor([1.0, 1 / 8]).expand(64, 2)
    features = refiner.clip(torch.cat([seen, ahead], dim=1))
    chosen = (refiner.clip_logits(features) + refiner.prior).argmax(1)
    assert torch.equal(chosen, torch.where(stops, BLENDED - 2, 0))


@pytest.mark.slow
def test_the_tool_writes_a_refiner_whose_branch_alone_is_trained(tmp_path: Path) -> None:
    root = write_moving_shapes(
        tmp_path / "toy", num_groups=3, clips_per_group=1, num_frames=28, height=48, width=64
    )
    output = tmp_path / "branch.safetensors"
    subprocess.run(
        [sys.executable, TOOL, f"--root={root}", f"--output={output}", "--clips-per-video=2"],
        check=True,
    )
    fitted = trained_predictor(output)
    assert isinstance(fitted, FlowRefiner)
    state, fresh = fitted.state_dict(), FlowRefiner().state_dict()
    assert any(state["clip_logits.weight"].flatten() != 0)
    heads = [name for name in state if name.startswith(("flow_head", "pixel_head", "clip_speed"))]
    assert all(torch.equal(state[name], fresh[name]) for name in heads)
