import json
import sys
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import torch
from flow.patterns import moving_texture

from vidpred.data import render_moving_shapes
from vidpred.errors import VidpredError
from vidpred.flow import DISFlow
from vidpred.flow.dis import MIN_SIDE, DISPreset
from vidpred.ops import to_unit

PRESETS: tuple[DISPreset, ...] = ("ultrafast", "fast", "medium", "fine_fast", "fine")


@pytest.fixture
def _two_threads() -> Iterator[None]:
    """Of OpenCV for a pair, of torch for several pairs at the same time."""
    before = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(2)
    torch.set_num_threads(2)
    yield
    cv2.setNumThreads(before[0])
    torch.set_num_threads(before[1])


@pytest.mark.parametrize("preset", PRESETS)
def test_a_translated_texture_has_its_velocity_everywhere(preset: DISPreset) -> None:
    first, second = moving_texture((3.0, -2.0), num_frames=2)
    flow = DISFlow(preset)(first[None], second[None])
    assert flow.shape == (1, 2, 96, 128)
    assert flow.dtype == torch.float32
    inside = flow[0, :, 12:-12, 12:-12]
    # first(p) is found at p + flow(p) in second: to the right and up.
    truth = torch.tensor([3.0, -2.0])[:, None, None].expand_as(inside)
    assert (inside - truth).norm(dim=0).median() < 0.2


def test_shapes_over_ground_move_as_they_were_drawn() -> None:
    frames, truth = render_moving_shapes("Drift", num_frames=2, height=120, width=160)
    frames = to_unit(frames)
    for shown in (frames, frames.mean(dim=1, keepdim=True)):  # RGB, grey
        error = (DISFlow()(shown[:1], shown[1:])[0] - truth[0]).norm(dim=0)
        assert error.median() < 0.2  # pixels; the median speed is about 0.6


# Those from 15 x 64 on crash OpenCV 5.0 itself.
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (32, 32), (15, 64), (9, 128), (31, 200)])
@pytest.mark.parametrize("preset", PRESETS)
def test_frames_of_any_size_are_taken(preset: DISPreset, size: tuple[int, int]) -> None:
    first, second = torch.rand(2, 1, 1, *size)
    assert DISFlow(preset)(first, second).isfinite().all()
    assert DISFlow(preset)(first, first).abs().max() == 0
    assert DISFlow(preset)(first, second).shape == (1, 2, *size)


def test_fine_presets_follow_what_is_thin() -> None:
    """A bar of 2 pixels that moves by 2: half the size has one pixel of it left."""
    frames = torch.full((2, 1, 1, 64, 96), 0.2)
    frames[..., ::8, :] = 0.3  # something to see elsewhere
    for t in range(2):
        frames[t, ..., 40 + 2 * t : 42 + 2 * t] = 0.9
    errors = {}
    for preset in PRESETS:
        flow = DISFlow(preset)(frames[0], frames[1])[0]
        errors[preset] = float((flow[0, :, 40:42] - 2).abs().mean())
    assert errors["fine"] < 0.5 * errors["medium"]
    assert errors["fine_fast"] < 0.5 * errors["medium"]


def test_motion_of_training_patches_is_seen() -> None:
    first, second = moving_texture((1.5, -1.0), num_frames=2, height=32, width=32)
    flow = DISFlow()(first[None], second[None])[0, :, 6:-6, 6:-6]
    torch.testing.assert_close(flow.mean(dim=(1, 2)), torch.tensor([1.5, -1.0]), atol=0.2, rtol=0)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("width_factor", [1, 8])
def test_opencv_keeps_its_preset_on_the_smallest_frames(
    preset: DISPreset, width_factor: int
) -> None:
    """On smaller frames it changes its own object, which the getters tell."""
    side = MIN_SIDE[preset]
    name = "MEDIUM" if preset.startswith("fine") else preset.upper()
    number = getattr(cv2, f"DISOPTICAL_FLOW_PRESET_{name}")
    untouched, used = cv2.DISOpticalFlow_create(number), cv2.DISOpticalFlow_create(number)
    for search in (untouched, used):
        if preset.startswith("fine"):
            search.setFinestScale(0)
        if preset == "fine_fast":
            search.setPatchStride(4)
    frames = np.random.default_rng(0).integers(0, 256, (2, side, width_factor * side), np.uint8)
    used.calc(frames[0], frames[1], None)  # type: ignore[call-overload]  # stubs forget None
    for getter in ("getFinestScale", "getPatchSize", "getPatchStride"):
        assert getattr(used, getter)() == getattr(untouched, getter)()


@pytest.mark.usefixtures("_two_threads")
def test_flow_depends_on_the_frames_alone() -> None:
    first, second = (
        to_unit(render_moving_shapes("Bounce", num_frames=3)[0]).unfold(0, 2, 1).unbind(-1)
    )
    estimator = DISFlow()
    flow = estimator(first, second)
    assert cv2.getNumThreads() == 2  # as it was
    estimator(torch.rand(1, 3, 200, 300), torch.rand(1, 3, 200, 300))
    cv2.setNumThreads(1)
    for i in range(2):
        assert torch.equal(estimator(first[i : i + 1], second[i : i + 1])[0], flow[i])


def test_what_is_not_a_pair_of_frames_is_refused() -> None:
    frames = torch.rand(1, 3, 16, 16)
    estimator = DISFlow()
    with pytest.raises(ValueError, match=r"expected \(N, C, H, W\)"):
        estimator(frames[0], frames[0])
    with pytest.raises(ValueError, match=r"C = 1 \(gray\) or C = 3"):
        estimator(frames[:, :2], frames[:, :2])
    with pytest.raises(ValueError, match="expected equal shapes"):
        estimator(frames, frames[..., :8])
    with pytest.raises(TypeError, match=r"second is torch\.uint8.*to_unit"):
        estimator(frames, frames.byte())
    with pytest.raises(ValueError, match=r"second has values .* expected \[0, 1\]"):
        estimator(frames, frames * 255)
    with pytest.raises(ValueError, match="first has values from nan"):
        estimator(frames * torch.nan, frames)
    with pytest.raises(
        ValueError,
        match="preset is 'slow'; expected one of ultrafast, fast, medium, fine_fast, fine",
    ):
        DISFlow("slow")  # type: ignore[arg-type]  # the mistake under test


def test_missing_opencv_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)  # Python's own way of a module that is not there
    with pytest.raises(VidpredError, match="pip install opencv-python-headless"):
        DISFlow()


def test_its_description_is_plain() -> None:
    described = DISFlow("fast").describe()
    assert json.loads(json.dumps(described)) == described
    assert described == {"name": "DISFlow", "preset": "fast", "opencv": cv2.__version__}
