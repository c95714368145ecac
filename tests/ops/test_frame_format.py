"""Luma and size of frames."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from vidpred.ops import to_unit, unit_to_uint8
from vidpred.ops.frame_format import reformat_uint8, resize_frames, to_gray


def test_gray_is_the_luma_of_rec_601() -> None:
    # Of pure red, green, blue and white: the weights themselves.
    pure = torch.cat((torch.eye(3), torch.ones(1, 3))).T.reshape(3, 1, 4)
    found = to_gray(pure[None])
    assert found.shape == (1, 1, 1, 4)
    torch.testing.assert_close(found.flatten(), torch.tensor([0.299, 0.587, 0.114, 1.0]))


def test_gray_of_8_bits_is_that_of_opencv() -> None:
    frames = torch.randint(0, 256, (2, 3, 33, 41), dtype=torch.uint8)
    found = reformat_uint8(frames, size=None, gray=True)
    for frame, gray in zip(frames, found, strict=True):
        # OpenCV works with whole numbers: it rounds by at most one level otherwise.
        expected = cv2.cvtColor(frame.permute(1, 2, 0).numpy(), cv2.COLOR_RGB2GRAY)
        assert np.abs(gray[0].numpy().astype(int) - expected.astype(int)).max() <= 1


def test_gray_frames_stay_as_they_are() -> None:
    gray = torch.rand(2, 1, 8, 8)
    assert to_gray(gray) is gray
    stored = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    assert reformat_uint8(stored, size=(8, 8), gray=True) is stored
    # R = G = B gives its own value back: the weights add up to 1.
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert torch.equal(reformat_uint8(levels.expand(1, 3, -1, -1), size=None, gray=True), levels)


def test_a_resized_mean_stays_and_fine_patterns_vanish() -> None:
    checkers = (torch.arange(64)[:, None] + torch.arange(64)) % 2
    frames = checkers.float().expand(2, 3, 64, 64)
    found = resize_frames(frames, (16, 16))
    assert found.shape == (2, 3, 16, 16)
    torch.testing.assert_close(found[..., 1:-1, 1:-1], torch.full((2, 3, 14, 14), 0.5))


@pytest.mark.parametrize("size", [(12, 16), (37, 80)])
def test_resizing_is_that_of_pillow(size: tuple[int, int]) -> None:
    # Whose bilinear filter is as wide as the step between two pixels of the result.
    frame = torch.rand(50, 70)
    height, width = size
    expected = Image.fromarray(frame.numpy()).resize((width, height), Image.Resampling.BILINEAR)
    found = resize_frames(frame.expand(3, 50, 70), size)
    assert np.abs(found[0].numpy() - np.asarray(expected)).max() < 1e-5


def test_8_bits_are_rounded_once() -> None:
    frames = torch.randint(0, 256, (4, 3, 50, 70), dtype=torch.uint8)
    expected = unit_to_uint8(to_gray(resize_frames(to_unit(frames), (24, 32))))
    found = reformat_uint8(frames, size=(24, 32), gray=True)
    assert found.dtype == torch.uint8
    assert torch.equal(found, expected)


def test_gradients_pass() -> None:
    frames = torch.rand(1, 3, 6, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: to_gray(resize_frames(x, (3, 3))), (frames,))


def test_other_channels_and_types_are_refused() -> None:
    with pytest.raises(ValueError, match="C 1 or 3"):
        to_gray(torch.rand(2, 4, 8, 8))
    with pytest.raises(TypeError, match="expected floating point"):
        to_gray(torch.zeros(3, 8, 8, dtype=torch.uint8))
