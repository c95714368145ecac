"""What `vidpred.load` gives, as a notebook uses it."""

import copy
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import vidpred
from vidpred.cli.main import main
from vidpred.errors import VideoError
from vidpred.models import (
    Condition,
    CopyLastFrame,
    DCGANGenerator,
    FlowRefiner,
    GeneratorScale,
    Likelihood,
    LinearExtrapolation,
    MixtureGenerator,
    MultiScaleGenerator,
)
from vidpred.prediction.video_predictor import VideoPredictor
from vidpred.storage import SavedPredictor
from vidpred.storage.description import describe_frames, describe_predictor
from vidpred.storage.saved import write_saved
from vidpred.video import probe, read_clip, write_video


def network() -> MultiScaleGenerator:
    scales = (GeneratorScale((4,), (3, 3)), GeneratorScale((4,), (3, 3)))
    return MultiScaleGenerator(scales, context_frames=2).eval()


@pytest.fixture
def predictor(tmp_path: Path) -> VideoPredictor:
    ours = network()
    path = tmp_path / "tiny.safetensors"
    frames = describe_frames(ours)
    saved = SavedPredictor(path, describe_predictor(ours), ours.state_dict(), frames=frames)
    write_saved(path, saved)
    return vidpred.load(path)


def test_arrays_are_what_tensors_are(predictor: VideoPredictor) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, 13, 18, 3), np.uint8)
    context = torch.from_numpy(frames).permute(0, 3, 1, 2)[None] / 255
    with torch.inference_mode():
        expected = predictor(context, 3)
        assert torch.equal(expected, predictor.network(context, 3))
    whole = predictor(frames, 3)
    assert (whole.shape, whole.dtype) == ((3, 13, 18, 3), np.uint8)
    rounded = (expected[0].permute(0, 2, 3, 1) * 255).round().numpy()
    np.testing.assert_array_equal(whole, rounded.astype(np.uint8))
    for dtype, tolerance in ((np.float32, 1e-6), (np.float64, 1e-6), (np.float16, 2e-3)):
        floats = predictor(context.numpy().astype(dtype), 3)
        assert (floats.shape, floats.dtype) == ((1, 3, 3, 13, 18), dtype)
        np.testing.assert_allclose(floats, expected.numpy(), atol=tolerance)


def test_a_path_is_its_last_frames(
    predictor: VideoPredictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = torch.randint(0, 256, (6, 3, 24, 32), dtype=torch.uint8)
    path = tmp_path / "clip.avi"
    write_video(path, frames)
    future = predictor(path, 4)
    assert (future.shape, future.dtype) == ((4, 24, 32, 3), np.uint8)
    # To the byte what the command gives, border and all.
    asked = [
        "predict",
        str(path),
        "--horizon",
        "4",
        "--model",
        str(tmp_path / "tiny.safetensors"),
    ]
    assert main([*asked, "--output", str(tmp_path / "future.npy")]) == 0
    np.testing.assert_array_equal(future, np.load(tmp_path / "future.npy"))
    # Away from the border it is what the frames as an array give.
    stored = read_clip(path, 4, 2).permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(future[:1, 8:-8, 8:-8], predictor(stored, 1)[:, 8:-8, 8:-8])
    shown = predictor.show(path, 4).pred.permute(0, 2, 3, 1) * 255
    np.testing.assert_array_equal(shown.round().byte().numpy(), future)
    doubled = predictor.double()(path, 4).astype(int)
    assert abs(doubled - future).max() <= 1
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(predictor("clip.avi", 4), future)
    write_video(tmp_path / "short.avi", frames[:1])
    with pytest.raises(VideoError, match=r"short\.avi"):
        predictor("short.avi", 1)
    with pytest.raises(VideoError, match=r"none\.avi"):
        predictor("none.avi", 1)


@pytest.mark.parametrize(
    ("context", "reason"),
    [
        (np.zeros((4, 3, 20, 20), np.uint8), "T, H, W, C"),
        (np.zeros((1, 4, 20, 20, 3), np.uint8), "B, T, C, H, W"),
        (np.zeros((20, 20, 3), np.uint8), "T, H, W, C"),
        (np.zeros((4, 0, 20, 3), np.uint8), "T, H, W, C"),
        (np.zeros((4, 20, 20, 3), np.int64), "expected uint8"),
        (np.full((4, 20, 20, 3), 255.0), "from 255 to 255"),
        (np.full((4, 20, 20, 3), -0.1), "from -0.1"),
        (np.full((4, 20, 20, 3), np.nan), "from nan"),
        (np.zeros((1, 20, 20, 3), np.uint8), "at least 2"),
        ([[0.0]], "is a list"),
        (torch.zeros(1, 4, 3, 20, 20, dtype=torch.uint8), "to_unit"),
    ],
)
def test_what_could_be_meant_in_two_ways_is_refused(
    predictor: VideoPredictor, context: object, reason: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=reason):
        predictor(context, 1)  # type: ignore[call-overload]  # wrong on purpose


def test_what_is_no_frames_is_refused_by_its_type(predictor: VideoPredictor) -> None:
    with pytest.raises(TypeError, match="context is a list; expected a tensor, a NumPy array"):
        predictor.show([[0.0]], 1)  # type: ignore[arg-type]  # wrong on purpose
    for context in ("my.mp4", np.zeros((4, 20, 20, 3), np.uint8)):
        with pytest.raises(TypeError, match=r"context of type \w+; expected a torch.Tensor"):
            predictor.sample(context, 1)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(TypeError, match="horizon is '2', a str; expected a whole number"):
        predictor(torch.rand(1, 2, 3, 16, 16), "2")  # type: ignore[call-overload]  # the same


def test_read_only_arrays_are_taken(predictor: VideoPredictor) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    read_only = np.frombuffer(frames.tobytes(), np.uint8).reshape(frames.shape)
    np.testing.assert_array_equal(predictor(read_only, 1), predictor(frames, 1))


def test_to_tensors_it_is_a_module(predictor: VideoPredictor) -> None:
    context = torch.rand(1, 2, 3, 16, 16, requires_grad=True)
    predictor(context, 2).sum().backward()
    assert context.grad is not None
    assert not predictor.training
    assert predictor.double()(context.detach().double(), 1).dtype == torch.float64
    assert predictor(np.zeros((2, 16, 16, 3), np.uint8), 1).dtype == np.uint8
    meta = predictor.to("meta")
    assert meta(torch.empty(1, 2, 3, 16, 16, device="meta", dtype=torch.float64), 1).is_meta


@pytest.mark.slow  # compiles
def test_it_compiles(predictor: VideoPredictor) -> None:
    context = torch.rand(1, 2, 3, 16, 16)
    compiled = torch.compile(predictor, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(context, 2), predictor(context, 2))


def test_other_predictors_keep_their_rollout() -> None:
    linear = LinearExtrapolation()
    context = torch.rand(1, 2, 3, 8, 8)
    assert torch.equal(VideoPredictor(linear)(context, 4), linear(context, 4))
    assert torch.equal(VideoPredictor(linear).rollout(context, 4), linear.rollout(context, 4))


def test_to_tensors_it_is_as_its_network() -> None:
    refiner = FlowRefiner().eval()
    predictor = VideoPredictor(refiner)
    context = torch.rand(1, 4, 3, 32, 32)
    with torch.inference_mode():
        mean = predictor(context, 1)
        predictor.sharp = True
        assert refiner.sharp
        assert predictor.sharp
        assert not torch.equal(predictor(context, 1), mean)
        frames = predictor.stream(context, 2)
        assert torch.equal(next(frames), predictor(context, 1)[:, 0])
    assert predictor.largest_region == refiner.largest_region


def test_frames_are_given_as_soon_as_the_network_gives_them() -> None:
    class Endless(CopyLastFrame):
        def rollout_frames(
            self, window: Tensor, horizon: int, *, condition: Condition | None = None
        ) -> Iterator[Tensor]:
            yield window[:, -1]
            raise AssertionError("no further frame was asked for")

    context = torch.rand(1, 1, 3, 8, 8)
    assert torch.equal(next(VideoPredictor(Endless()).stream(context, 5)), context[:, -1])


def test_it_knows_how_likely_a_future_is_where_its_network_does() -> None:
    network = MixtureGenerator.from_preset("small").eval()
    predictor = VideoPredictor(network)
    assert isinstance(predictor, Likelihood)
    clip = torch.randint(256, (1, 5, 3, 16, 16)) / 255
    with torch.inference_mode():
        expected = network.log_prob(clip[:, :4], clip[:, 4:])
        assert torch.equal(predictor.log_prob(clip[:, :4], clip[:, 4:]), expected)
        again = copy.deepcopy(predictor)
        nn.init.zeros_(next(again.network.parameters()))
        assert torch.equal(predictor.log_prob(clip[:, :4], clip[:, 4:]), expected)
        assert not torch.equal(again.log_prob(clip[:, :4], clip[:, 4:]), expected)
    assert not isinstance(VideoPredictor(LinearExtrapolation()), Likelihood)
    square = DCGANGenerator.from_preset("cpu", image_size=16)
    assert VideoPredictor(square).image_size == 16


def test_a_notebook_shows_it(predictor: VideoPredictor, tmp_path: Path) -> None:
    clip = np.random.default_rng(0).integers(0, 256, (4, 24, 32, 3), np.uint8)
    shown = predictor.show(clip, 3)
    assert shown.context.shape == (2, 3, 24, 32)
    assert shown.pred.shape == (3, 3, 24, 32)
    assert "video/mp4" in shown._repr_html_()
    picture = Image.open(io.BytesIO(shown._repr_png_()))
    # Frames of 24 x 32 are shown five times as large; five of them stand side by side.
    assert picture.width > 5 * 5 * 32
    shown.save(tmp_path / "future.mp4")
    assert probe(tmp_path / "future.mp4").num_frames == 5
    shown.save(tmp_path / "future.png")
    assert (tmp_path / "future.png").read_bytes() == shown._repr_png_()
    with pytest.raises(ValueError, match=r"'future\.gif'; expected a name in \.png"):
        shown.save(tmp_path / "future.gif")
    with pytest.raises(ValueError, match="one clip"):
        predictor.show(torch.rand(2, 2, 3, 16, 16), 1)
