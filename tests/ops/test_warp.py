import math

import pytest
import torch
from torch import Tensor

from vidpred.ops import warp


def constant(dx: float, dy: float, like: Tensor) -> Tensor:
    n, _, h, w = like.shape
    return torch.tensor([dx, dy]).float()[None, :, None, None].expand(n, 2, h, w)


@pytest.mark.parametrize(("dx", "dy"), [(3, 0), (0, -2), (-1, 4)])
def test_whole_pixels_are_looked_up(dx: int, dy: int) -> None:
    frames = torch.rand(2, 3, 23, 31)
    warped = warp(frames, constant(dx, dy, frames))
    # warped(p) = frames(p + flow), so content moves by -flow.
    expected = torch.roll(frames, (-dy, -dx), dims=(2, 3))
    inside = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(warped[inside], expected[inside], atol=1e-4, rtol=0)


def test_parts_of_pixels_are_bilinear() -> None:
    frames = torch.rand(1, 1, 5, 6)
    warped = warp(frames, constant(0.25, 0.5, frames))
    f = frames[0, 0]
    across = 0.75 * f[:, :-1] + 0.25 * f[:, 1:]
    expected = (across[:-1] + across[1:]) / 2
    torch.testing.assert_close(warped[0, 0, :-1, :-1], expected, atol=1e-5, rtol=0)


def test_each_pixel_has_its_own_flow() -> None:
    frames = torch.arange(20.0).view(1, 1, 4, 5)
    flow = torch.zeros(1, 2, 4, 5)
    flow[0, :, 1, 2] = torch.tensor([2.0, -1.0])
    expected = frames.clone()
    expected[0, 0, 1, 2] = frames[0, 0, 0, 4]
    torch.testing.assert_close(warp(frames, flow), expected, atol=1e-4, rtol=0)


def test_beyond_the_border_is_the_border() -> None:
    frames = torch.rand(1, 2, 4, 5)
    corner = warp(frames, constant(100, 100, frames))
    torch.testing.assert_close(corner, frames[..., -1:, -1:].expand_as(frames))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_flow_that_is_not_finite_is_seen_in_the_result(value: float) -> None:
    frames = torch.rand(1, 2, 4, 5)
    flow = constant(0, 0, frames).clone()
    flow[:, 1, 2, 3] = value
    lost = warp(frames, flow).isnan()
    assert lost[:, :, 2, 3].all()
    assert lost.sum() == 2


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (240, 320)])
def test_no_flow_changes_nothing(size: tuple[int, int]) -> None:
    frames = torch.rand(1, 3, *size)
    torch.testing.assert_close(warp(frames, constant(0, 0, frames)), frames, atol=1e-4, rtol=0)


def test_gradients_reach_frames_and_flow() -> None:
    frames = torch.rand(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    # Off the pixel grid, where bilinear sampling has a kink.
    flow = (torch.rand(1, 2, 4, 5, dtype=torch.float64) * 0.4 + 0.3).requires_grad_()
    assert torch.autograd.gradcheck(warp, (frames, flow))


def test_half_precision_counts_pixels_exactly() -> None:
    frames = torch.rand(1, 1, 2, 320).half()
    warped = warp(frames, constant(1, 0, frames).half())
    assert warped.dtype == torch.float16
    torch.testing.assert_close(warped[..., :-1], frames[..., 1:], atol=1e-3, rtol=0)


def test_what_does_not_fit_is_refused() -> None:
    frames = torch.rand(2, 3, 4, 5)
    for flow in (torch.zeros(2, 2, 4, 6), torch.zeros(1, 2, 4, 5), torch.zeros(2, 4, 5, 2)):
        with pytest.raises(ValueError, match=r"expected \(N, C, H, W\) and \(N, 2, H, W\)"):
            warp(frames, flow)
    with pytest.raises(TypeError, match="expected floating point"):
        warp(frames.byte(), torch.zeros(2, 2, 4, 5))


def test_training_that_has_diverged_is_no_crash() -> None:
    """PyTorch's own gradient of a sample at NaN ends the process."""
    frames = torch.rand(1, 3, 16, 16, requires_grad=True)
    flow = torch.full((1, 2, 16, 16), math.nan, requires_grad=True)
    warped = warp(frames, flow)
    warped.sum().backward()  # type: ignore[no-untyped-call]
    assert warped.isnan().all()
    assert flow.grad is not None
    assert flow.grad.shape == flow.shape
