"""Near-duplicate frames, against the definition computed by NumPy."""

import numpy as np
import pytest
import torch

from vidpred.ops import to_unit
from vidpred.ops.duplicates import luma_differences, near_duplicates

REC_601 = np.array([0.299, 0.587, 0.114])


def test_differences_are_those_of_rec_601_luma() -> None:
    frames = torch.rand(2, 4, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    luma = np.einsum("btchw,c->bthw", frames.double().numpy(), REC_601)
    expected = np.abs(np.diff(luma, axis=1)).mean(axis=(2, 3))
    found = luma_differences(frames)
    assert found.shape == (2, 3)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_gray_frames_are_their_own_luma() -> None:
    levels = torch.tensor([0.2, 0.5, 0.4]).view(1, 3, 1, 1, 1).expand(1, 3, 1, 2, 2)
    torch.testing.assert_close(luma_differences(levels), torch.tensor([[0.3, 0.1]]))


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        # Gray levels of 255; differences 10, 0, 10, 10: the second is 0.
        ((0, 10, 10, 20, 30), (False, True, False, False)),
        # 10, 1, 10: below and above 15 % of the median 10.
        ((0, 10, 11, 21), (False, True, False)),
        ((0, 10, 12, 22), (False, False, False)),
        # 10, 0.5, 10, 0.5: the median is 5.25, of which 15 % are 0.79.
        ((0, 10, 10.5, 20.5, 21), (False, True, False, True)),
        # 2, 2, 90: the mean, 31, would mark what moves before a cut.
        ((0, 2, 4, 94), (False, False, False)),
        # Everything below 0.05 gray levels.
        ((100.0, 100.04, 100.08), (True, True)),
        ((100.0, 100.06, 100.12), (False, False)),
        # A pattern of rate conversion: frames 0, 2, 5, 7, 10 repeat.
        ((0, 0, 5, 5, 10, 15, 15, 20), (True, False, True, False, False, True, False)),
    ],
)
def test_pairs_are_marked_by_the_definition(
    levels: tuple[float, ...], expected: tuple[bool, ...]
) -> None:
    frames = torch.tensor(levels).div(255).view(1, -1, 1, 1, 1).expand(1, -1, 3, 4, 4)
    assert near_duplicates(frames)[0].tolist() == list(expected)


def test_clips_of_a_batch_do_not_see_each_other() -> None:
    generator = torch.Generator().manual_seed(1)
    still = torch.rand(1, 1, 3, 6, 6, generator=generator).expand(1, 5, 3, 6, 6)
    moving = torch.rand(1, 5, 3, 6, 6, generator=generator)
    both = near_duplicates(torch.cat((still, moving)))
    assert both[0].all()
    assert not both[1].any()


def test_what_is_no_clip_is_refused() -> None:
    with pytest.raises(TypeError, match=r"uint8; expected floating point in \[0, 1\]"):
        luma_differences(torch.zeros(1, 2, 3, 4, 4, dtype=torch.uint8))
    with pytest.raises(ValueError, match="2 channels; expected 3"):
        luma_differences(torch.zeros(1, 2, 2, 4, 4))
    with pytest.raises(ValueError, match="a clip of 1 frame; expected at least 2"):
        near_duplicates(to_unit(torch.zeros(1, 1, 3, 4, 4, dtype=torch.uint8)))
