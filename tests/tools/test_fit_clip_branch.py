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
from vidpred.models import FlowRefiner, OpticalFlowExtrapolation
from vidpred.models.flow_blend import BLENDED
from vidpred.storage import trained_predictor

TOOL = Path(__file__).parents[2] / "tools" / "fit_clip_branch.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fit_clip_branch", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fit_clip_branch"] = module  # its dataclass asks for it
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def clip() -> Tensor:
    """A whole pixel of motion that fills the frame, as long as the tool reads."""
    return moving((2.0, 1.0))


def moving(velocity: tuple[float, float]) -> Tensor:
    return moving_texture(velocity, num_frames=12, height=96, width=128).expand(-1, 3, -1, -1)


def test_an_error_of_a_blend_is_a_quadratic_form_of_the_products(tool: ModuleType) -> None:
    torch.manual_seed(0)
    errors = torch.randn(BLENDED, 3, 40)
    products = tool._mean_products(errors)
    weights = torch.rand(BLENDED).softmax(0)
    expected = torch.einsum("i,icp->cp", weights, errors).square().mean()
    found = tool.blend_errors(weights[None, None, None], products[None, None, None])
    torch.testing.assert_close(found[0, 0, 0], expected)


@pytest.mark.parametrize("context", [3, 4])
def test_products_of_an_untrained_refiner_are_those_of_the_extrapolation(
    tool: ModuleType, clip: Tensor, context: int
) -> None:
    clip = clip[4 - context :]
    found = tool.described(FlowRefiner(context_frames=context), clip)
    assert found.statistics.isfinite().all()
    products = found.products[0]
    assert products.shape == (len(tool.STEPS), 3, BLENDED, BLENDED)
    torch.testing.assert_close(products, products.transpose(-1, -2))
    pred = OpticalFlowExtrapolation()(clip[None, :context], 8)[0]
    for step, product in zip(tool.STEPS, products, strict=True):
        target = clip[context + step - 1]
        expected = (pred[step - 1] - target).square().mean()
        torch.testing.assert_close(product[0, 0, 0], expected, rtol=1e-3, atol=1e-6)
        still = (clip[context - 1] - target).square().mean()
        torch.testing.assert_close(product[0, BLENDED - 2, BLENDED - 2], still)


def test_errors_of_a_trained_refiner_are_those_of_its_prediction(tool: ModuleType) -> None:
    refiner, frames = trained_predictor("flow_refiner"), moving((1.0, 0.5))
    assert isinstance(refiner, FlowRefiner)
    found = tool.described(refiner, frames)
    steps = torch.tensor(tool.STEPS, dtype=torch.float32)
    ahead = torch.stack([1 / steps, steps / 8], dim=1)
    with torch.no_grad():
        seen = torch.cat([found.statistics.expand(len(steps), -1), ahead], dim=1)
        logits = refiner.clip_logits(refiner.clip(seen))[None, :, None] + found.logits
        errors = tool.blend_errors(logits.softmax(-1) + refiner.rest, found.products)[0, :, 0]
        pred = refiner(frames[None, :4], max(tool.STEPS))[0]
    for error, step in zip(errors, tool.STEPS, strict=True):
        expected = (pred[step - 1] - frames[3 + step]).square().mean()
        # Its decisions by pixel enter as their mean.
        assert error == pytest.approx(float(expected), rel=0.2)


def test_a_branch_learns_which_clips_stop(
    tool: ModuleType, clip: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the clips go on, as image 0 does, half stop, as the last frame shows."""
    torch.manual_seed(0)
    refiner = FlowRefiner()
    one = tool.described(refiner, clip)
    stops = torch.arange(64) % 2 == 1
    seen = one.statistics + 0.05 * torch.randn(64, one.statistics.shape[1])
    seen[:, 0] = torch.where(stops, 2.0, -2.0)
    worst = torch.full((BLENDED,), 1e-2)
    products = torch.empty(64, len(tool.STEPS), 3, BLENDED, BLENDED)
    for stop, best in ((False, 0), (True, BLENDED - 2)):
        errors = worst.clone()
        errors[best] = 1e-4
        products[stops == stop] = errors.diag()
    logits = refiner.prior.expand(64, len(tool.STEPS), 3, BLENDED)
    monkeypatch.setattr(tool, "EPOCHS", 150)
    tool.fit(refiner, tool.Described(seen, products, logits), seed=0)
    ahead = torch.tensor([1.0, 1 / 8]).expand(64, 2)
    features = refiner.clip(torch.cat([seen, ahead], dim=1))
    chosen = (refiner.clip_logits(features) + refiner.prior).argmax(1)
    assert torch.equal(chosen, torch.where(stops, BLENDED - 2, 0))


def test_fits_are_averaged_with_what_was_before(
    tool: ModuleType, clip: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    refiner = FlowRefiner()
    before = {name: value.clone() for name, value in refiner.state_dict().items()}

    def fit(fitted: FlowRefiner, clips: object, seed: int) -> None:
        with torch.no_grad():
            fitted.clip_logits.bias += 1.0 + seed

    monkeypatch.setattr(tool, "fit", fit)
    tool.refit(refiner, tool.described(refiner, clip), [0, 2])
    after = refiner.state_dict()
    changed = {name for name in after if not torch.allclose(after[name], before[name])}
    assert changed == {"clip_logits.bias"}
    expected = before["clip_logits.bias"] + tool.SHARE * (1.0 + 3.0) / 2
    torch.testing.assert_close(after["clip_logits.bias"], expected)


@pytest.mark.slow
def test_the_tool_writes_a_refiner_whose_branch_alone_is_trained(tmp_path: Path) -> None:
    root = write_moving_shapes(
        tmp_path / "toy", num_groups=3, clips_per_group=1, num_frames=28, height=96, width=128
    )
    output = tmp_path / "branch.safetensors"
    common = [sys.executable, TOOL, f"--root={root}", "--clips-per-video=2"]
    subprocess.run([*common, f"--output={output}"], check=True)
    again = tmp_path / "again.safetensors"
    subprocess.run([*common, f"--weights={output}", f"--output={again}", "--seeds=1"], check=True)
    assert isinstance(trained_predictor(again), FlowRefiner)
    longer = tmp_path / "longer.safetensors"
    subprocess.run([*common, f"--output={longer}", "--context-frames=6"], check=True)
    assert trained_predictor(longer).context_frames == 6
    fitted = trained_predictor(output)
    assert isinstance(fitted, FlowRefiner)
    state, fresh = fitted.state_dict(), FlowRefiner().state_dict()
    assert any(state["clip_logits.weight"].flatten() != 0)
    heads = [name for name in state if name.startswith(("flow_head", "pixel_head", "clip_speed"))]
    assert all(torch.equal(state[name], fresh[name]) for name in heads)
