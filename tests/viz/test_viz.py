"""Strips and videos of clips: what is where, for any shape."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from vidpred.viz import side_by_side, strip
from vidpred.viz.canvas import (
    BACKGROUND,
    DIFFERENCE_NAME,
    PREDICTED,
    READABLE_SIDE,
    font,
    text_size,
)
from vidpred.viz.signed_difference import DIFFERENCE_GAIN, TOO_BRIGHT


def levels(*values: float, channels: int = 3, height: int = 120, width: int = 130) -> Tensor:
    """One flat frame a value."""
    return torch.stack([torch.full((channels, height, width), value) for value in values])


def contains(picture: Tensor, value: float, area: int) -> bool:
    """At least `area` pixels of the picture have this grey."""
    level = round(value * 255)
    return int((picture == level).all(dim=0).sum()) >= area


def gray(value: float) -> list[int]:
    """The color of a flat frame."""
    return [round(value * 255)] * 3


def where(picture: Tensor, color: list[int]) -> Tensor:
    """Rows and columns of the pixels of a color."""
    wanted = torch.tensor(color, dtype=torch.uint8).view(3, 1, 1)
    return (picture == wanted).all(dim=-3).nonzero()


DIFFERENT = [round(0.05 * DIFFERENCE_GAIN * part) for part in TOO_BRIGHT]
"""The color of what is too bright by 0.05."""


def test_a_strip_shows_every_frame_once_in_its_place() -> None:
    context, target, pred = levels(0.1, 0.2), levels(0.3, 0.4), levels(0.35, 0.45)
    picture = strip(context, target, pred)
    assert picture.dtype == torch.uint8
    assert picture.shape[0] == 3
    area = 120 * 130
    for value in (0.1, 0.3, 0.4, 0.35, 0.45):
        assert contains(picture, value, area)
    assert not contains(picture, 0.1, area + 1)
    # The last known frame is among the known ones, and twice at "copy last".
    assert contains(picture, 0.2, 3 * area)
    assert len(where(picture, DIFFERENT)) >= 2 * area
    # Rows of what follows run downwards: truth, prediction, copy, difference.
    rows = [where(picture, color)[:, 0].float().mean() for color in (gray(0.3), gray(0.35))]
    rows.append(where(picture, DIFFERENT)[:, 0].float().mean())
    assert rows == sorted(rows)
    # Time runs to the right, what is known first, which itself runs downwards.
    columns = [where(picture, gray(value))[:, 1].float().mean() for value in (0.1, 0.3, 0.4)]
    assert columns == sorted(columns)
    assert where(picture, gray(0.1))[:, 0].max() < where(picture, gray(0.2))[:, 0].max()


def test_a_strip_has_no_empty_part() -> None:
    """The known frames fill the height of the rows: no more than their labels is empty."""
    frames = levels(0.5, 0.6, 0.7, 0.8, height=240, width=320)
    picture = strip(frames, frames, frames + 0.1)
    empty = len(where(picture, list(BACKGROUND)))
    assert empty < 0.25 * picture.shape[1] * picture.shape[2]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("past", "horizon"), [(1, 1), (4, 2), (2, 7)])
@pytest.mark.parametrize(("height", "width"), [(32, 32), (11, 23), (144, 181)])
def test_any_clip_can_be_shown(
    channels: int, past: int, horizon: int, height: int, width: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    clip = torch.rand(past + 2 * horizon, channels, height, width, generator=generator)
    parts = clip.split([past, horizon, horizon])
    picture, video = strip(*parts), side_by_side(*parts)
    assert picture.dtype == video.dtype == torch.uint8
    assert len(video) == past + horizon
    assert video.shape[1] == 3
    assert video.shape[-1] % 2 == video.shape[-2] % 2 == 0
    assert picture.shape[-2] > 4 * READABLE_SIDE  # four rows of readable frames


def test_small_frames_are_enlarged_without_new_colors() -> None:
    board = torch.zeros(1, 1, 8, 8)
    board[..., ::2, ::2] = 1
    video = side_by_side(board, board, board)
    assert video.shape[-2] > READABLE_SIDE
    # The panel of the truth holds black and white alone: 64 blocks of 14 x 14 pixels.
    panel = video[0, :, 26 : 26 + 112, 10 : 10 + 112]
    assert panel.unique().tolist() == [0, 255]


def test_a_video_marks_where_the_prediction_begins() -> None:
    video = side_by_side(levels(0.1, 0.2), levels(0.3, 0.4), levels(0.35, 0.45))
    mark = torch.tensor(PREDICTED, dtype=torch.uint8).view(3, 1, 1)
    marked = (video == mark).all(dim=1).sum(dim=(1, 2))
    assert (marked[:2] == 0).all()
    assert (marked[2:] > 2 * (120 + 130)).all()
    area = 120 * 130
    assert contains(video[1], 0.2, 2 * area)  # known: shown in both panels
    assert contains(video[1], 0.0, area)  # and no difference
    for value in (0.3, 0.35):
        assert contains(video[2], value, area)
    assert len(where(video[2], DIFFERENT)) >= area


def test_the_label_of_the_difference_says_luma_and_fits_the_smallest_panel() -> None:
    assert DIFFERENCE_NAME == "luma difference x3"
    smallest = torch.zeros(3, READABLE_SIDE, READABLE_SIDE)
    assert font(text_size(smallest)).getlength(DIFFERENCE_NAME) <= READABLE_SIDE


def test_values_outside_the_range_and_half_precision_are_shown() -> None:
    frames = levels(0.5)
    shown = strip(frames.half(), frames.bfloat16(), (frames + 1).half())
    assert contains(shown, 1.0, 120 * 130)


@pytest.mark.parametrize("show", [strip, side_by_side])
def test_refuses_what_is_no_clip(show: object) -> None:
    assert callable(show)
    frames = levels(0.5)
    with pytest.raises(ValueError, match="expected equal shapes"):
        show(frames, frames, levels(0.5, 0.6))
    with pytest.raises(ValueError, match="expected one clip"):
        show(frames[None], frames[None], frames[None])
    with pytest.raises(ValueError, match="context has shape"):
        show(frames[:0], frames, frames)
    with pytest.raises(ValueError, match="expected equal frames"):
        show(levels(0.5, width=64), frames, frames)
    with pytest.raises(ValueError, match="C 1 or 3"):
        show(*[levels(0.5, channels=2)] * 3)


def test_viz_needs_no_other_part() -> None:
    script = (
        "import sys, vidpred.viz; "
        "print([m for m in sys.modules if m.startswith(('pytorch_lightning', 'lightning', "
        "'vidpred.models', 'vidpred.losses', 'vidpred.metrics'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
