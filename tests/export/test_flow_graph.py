"""The flow refiner as a program that takes flows."""

import json
from pathlib import Path

import onnxruntime
import pytest
import torch

from vidpred.export import export
from vidpred.export.flow_graph import FlowsAsInput, flows_of
from vidpred.models import FlowRefiner
from vidpred.storage import SavedPredictor, load_predictor
from vidpred.storage.description import describe_frames, describe_predictor
from vidpred.storage.saved import write_saved


def refiner() -> FlowRefiner:
    """Give one whose heads are not at zero."""
    torch.manual_seed(0)
    network = FlowRefiner(widths=(4, 4), hidden=4).eval()
    for head in (
        network.network.flow_head,
        network.network.pixel_head,
        network.clip_logits,
        network.clip_speed,
    ):
        torch.nn.init.normal_(head.weight, std=0.05)
    return network


def test_with_the_estimators_flows_it_is_the_predictor() -> None:
    network, context = refiner(), torch.rand(2, 4, 3, 24, 32)
    with torch.no_grad():
        frames = FlowsAsInput(network, 3)(context, flows_of(network, context))
        torch.testing.assert_close(frames, network(context, 3), atol=1e-5, rtol=0)


def test_signs_and_units_of_the_flows() -> None:
    # A ramp moves 2 pixels to the right a frame: what is at p came from p - 2. It has to move 2
    # more.
    column = torch.arange(48.0)
    known = torch.stack([(column - 2 * t) / 100 + 0.3 for t in range(4)])
    context = known.view(1, 4, 1, 1, 48).expand(1, 4, 3, 32, 48)
    flows = torch.zeros(1, 3, 2, 32, 48)
    flows[:, :, 0] = -2
    with torch.no_grad():
        (frame,) = FlowsAsInput(FlowRefiner(widths=(4, 4)).eval(), 1)(context, flows)[:, 0]
    expected = ((column - 8) / 100 + 0.3).expand(3, 32, 48)
    torch.testing.assert_close(frame[..., 8:-8], expected[..., 8:-8], atol=1e-4, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["onnx", "pt2"])
def test_a_program_takes_flows_and_its_card_says_which(tmp_path: Path, ending: str) -> None:
    network = refiner()
    saved = SavedPredictor(
        path=tmp_path / "a.safetensors",
        description=describe_predictor(network),
        weights=network.state_dict(),
        frames=describe_frames(network),
    )
    write_saved(saved.path, saved)
    written = export(saved.path, tmp_path / f"b.{ending}")
    card = written.card.read_text()
    assert "leads from known frame t + 1 back to frame t" in card
    assert "dx to the right" in card
    context = torch.rand(1, 4, 3, 32, 48)
    with torch.no_grad():
        flows, expected = flows_of(network, context), network(context, 1)
        if ending == "onnx":
            session = onnxruntime.InferenceSession(written.file)
            given = {"context": context.numpy(), "flows": flows.numpy()}
            frames = torch.from_numpy(session.run(["frames"], given)[0])
            header = json.loads(session.get_modelmeta().custom_metadata_map["vidpred"])
        else:
            extra = {"vidpred.json": ""}
            program = torch.export.load(written.file, extra_files=extra).module()
            frames, header = program(context, flows), json.loads(extra["vidpred.json"])
    torch.testing.assert_close(frames, expected, atol=1e-4, rtol=0)
    assert header["graph"]["input"]["flows"] == ["batch", 3, 2, "height", "width"]


@pytest.mark.slow
def test_the_bundled_weights_are_a_program_of_torch_too(tmp_path: Path) -> None:
    written = export("flow_refiner", tmp_path / "refiner.pt2")
    program = torch.export.load(written.file).module()
    network = load_predictor("flow_refiner")
    for size in ((48, 64), (64, 64), (240, 320)):
        context = torch.rand(1, 4, 3, *size)
        with torch.no_grad():
            frames = program(context, flows_of(network, context))
            torch.testing.assert_close(frames, network(context, 1), atol=1e-4, rtol=0)
