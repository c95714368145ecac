import pytest
import torch

from vidpred.ops import (
    downsample,
    frame_difference_mask,
    known_frames,
    pyramid,
    signed_to_unit,
    spatial_gradients,
    to_unit,
    unit_to_signed,
    unit_to_uint8,
)


def test_downsampling_averages_windows() -> None:
    frame = torch.tensor([[0.0, 4.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]])[None, None]
    torch.testing.assert_close(downsample(frame, 2), torch.tensor([[[[1.0, 1.0]]]]))


def test_downsampling_eight_times_equals_halving_three_times() -> None:
    frames = torch.rand(2, 4, 3, 32, 48)
    thrice = downsample(downsample(downsample(frames, 2), 2), 2)
    torch.testing.assert_close(downsample(frames, 8), thrice)


def test_pyramid_is_coarsest_first() -> None:
    frames = torch.rand(2, 4, 3, 32, 48)
    levels = pyramid(frames, 4)
    assert [tuple(level.shape[-2:]) for level in levels] == [(4, 6), (8, 12), (16, 24), (32, 48)]
    assert levels[-1] is frames


def test_downsampling_refuses_sizes_that_do_not_divide() -> None:
    with pytest.raises(ValueError, match="33 x 32 pixels cannot be reduced 8 times"):
        downsample(torch.rand(1, 1, 33, 32), 8)


def test_a_pixel_moves_when_it_changes_by_ten_levels() -> None:
    frames = torch.zeros(1, 3, 3, 1, 2)
    frames[:, 1, 1, 0] = torch.tensor([10.0, 11.0]) / 255  # more than 0.04 of full scale
    assert frame_difference_mask(frames, horizon=1).flatten().tolist() == [False, True]


def test_gradients_have_no_border() -> None:
    along_w, along_h = spatial_gradients(torch.ones(3, 5, 7))
    assert along_w.shape == (3, 5, 6)
    assert along_h.shape == (3, 4, 7)
    assert not along_w.any()
    assert not along_h.any()


def test_ranges_meet_the_paper() -> None:
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8)
    # Mathieu et al. 2016: pixel * 2 / 255 - 1.
    torch.testing.assert_close(unit_to_signed(to_unit(pixels)), torch.tensor([-1.0, -0.6, 1.0]))
    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(unit_to_uint8(signed_to_unit(unit_to_signed(to_unit(every)))), every)


def test_frames_of_unknown_range_are_refused() -> None:
    with pytest.raises(TypeError, match="int64"):
        to_unit(torch.zeros(3, dtype=torch.int64))


def test_motion_mask_marks_the_last_known_motion() -> None:
    frames = torch.zeros(1, 6, 3, 4, 4)
    frames[:, 3, 1, 0, 0] = 1  # appears at the last context frame, in one channel
    frames[:, 4, :, 2, 2] = 1  # appears at the first target and goes again
    mask = frame_difference_mask(frames, horizon=2)
    assert mask.shape == (1, 2, 1, 4, 4)
    first, second = mask[0, :, 0]
    # The first target is judged by what moved before it, not by itself.
    assert first.nonzero().tolist() == [[0, 0]]
    assert second.nonzero().tolist() == [[0, 0], [2, 2]]


def test_motion_mask_needs_two_known_frames() -> None:
    with pytest.raises(ValueError, match="at least 2 context frames"):
        frame_difference_mask(torch.zeros(1, 2, 3, 4, 4), horizon=1)


def test_known_frames_end_before_the_last_target() -> None:
    frames = torch.arange(7.0).view(1, 7, 1, 1, 1)
    assert known_frames(frames, horizon=3).flatten().tolist() == [2, 3, 4, 5]


def test_motion_of_8_bit_frames_is_refused_because_differences_wrap() -> None:
    with pytest.raises(TypeError, match=r"uint8; expected floating point.*to_unit"):
        frame_difference_mask(torch.zeros(1, 4, 3, 4, 4, dtype=torch.uint8), horizon=1)
