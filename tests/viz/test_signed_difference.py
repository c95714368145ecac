import pytest
import torch

from vidpred.viz.signed_difference import TOO_BRIGHT, TOO_DARK, signed_difference


def test_brighter_is_red_and_darker_is_blue() -> None:
    target = torch.full((3, 1, 3), 0.5)
    pred = target.clone()
    pred[:, 0, 0], pred[:, 0, 1] = 0.6, 0.3
    shown = signed_difference(pred, target, gain=2)
    assert shown.shape == (4, 1, 3)
    assert shown.dtype == torch.uint8
    assert shown[:, 0, 0].tolist() == [*TOO_BRIGHT, round(0.1 * 2 * 255)]
    assert shown[:, 0, 1].tolist() == [*TOO_DARK, round(0.2 * 2 * 255)]
    assert shown[3, 0, 2] == 0  # equal frames are transparent


def test_brightness_is_luma_and_large_differences_saturate() -> None:
    # ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B.
    target = torch.zeros(2, 3, 1, 1)
    pred = torch.tensor([[0.1, 0, 0], [1, 1, 1]])[..., None, None]
    shown = signed_difference(pred, target, gain=3)
    assert shown[:, 3].flatten().tolist() == [round(0.0299 * 3 * 255), 255]


def test_grey_frames_are_their_own_brightness() -> None:
    grey = signed_difference(torch.full((1, 2, 2), 0.2), torch.zeros(1, 2, 2))
    color = signed_difference(torch.full((3, 2, 2), 0.2), torch.zeros(3, 2, 2))
    assert torch.equal(grey, color)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        signed_difference(torch.zeros(3, 2, 2), torch.zeros(3, 2, 3))
