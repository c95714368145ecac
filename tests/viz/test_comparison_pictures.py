"""Pictures of several methods: what is where, for any number of them."""

import pytest
import torch
from torch import Tensor

from vidpred.viz import comparison_strip, comparison_video
from vidpred.viz.canvas import PREDICTED

AREA = 120 * 130


def levels(*values: float, channels: int = 3, height: int = 120, width: int = 130) -> Tensor:
    """One flat frame a value."""
    return torch.stack([torch.full((channels, height, width), value) for value in values])


def places(picture: Tensor, value: float) -> tuple[int, float, float]:
    """How many pixels have this grey, and where they are on the mean: row, column."""
    found = (picture == round(value * 255)).all(dim=0).nonzero().float()
    return len(found), *(found.mean(dim=0).tolist() if len(found) else (0.0, 0.0))


def test_a_strip_has_a_row_for_the_truth_and_one_for_each_method() -> None:
    context, target = levels(0.1, 0.2), levels(0.3, 0.4)
    preds = {"one": levels(0.35, 0.45), "two": levels(0.55, 0.65)}
    picture = comparison_strip(context, target, preds)
    assert picture.dtype == torch.uint8
    assert picture.shape[0] == 3
    for value in (0.1, 0.2, 0.3, 0.4, 0.35, 0.45, 0.55, 0.65):
        assert AREA <= places(picture, value)[0] < 1.05 * AREA  # letters may have some pixels of it
    rows = [places(picture, value)[1] for value in (0.3, 0.35, 0.55)]
    assert rows == sorted(rows)
    # The known frames are on the left, one below the other.
    known = [places(picture, value)[1:] for value in (0.1, 0.2)]
    assert known[0][0] == pytest.approx(rows[0], abs=2)
    assert known[1][0] == pytest.approx(rows[1], abs=2)
    columns = [known[0][1], *(places(picture, value)[2] for value in (0.35, 0.45))]
    assert columns == sorted(columns)
    assert known[0][1] == pytest.approx(known[1][1], abs=2)
    assert places(picture, 0.35)[2] == pytest.approx(places(picture, 0.3)[2], abs=2)


def test_predictions_are_marked_and_nothing_else() -> None:
    context, target = levels(0.1, 0.2), levels(0.3, 0.4)
    mark = torch.tensor(PREDICTED, dtype=torch.uint8).view(3, 1, 1)
    picture = comparison_strip(context, target, {"one": levels(0.35, 0.45)})
    marked = (picture == mark).all(dim=0)
    top = int(places(picture, 0.3)[1])  # the middle of the row of the truth
    assert not marked[top - 40 : top + 40].any()
    assert marked.sum() > 2 * 2 * (120 + 130) * 2  # two borders of two pixels
    video = comparison_video(context, target, {"one": levels(0.35, 0.45)})
    by_frame = (video == mark).all(dim=1).sum(dim=(1, 2))
    assert (by_frame[:2] == 0).all()
    assert (by_frame[2:] > 2 * (120 + 130) * 3).all()


def test_a_video_plays_what_is_known_and_then_the_predictions() -> None:
    context, target = levels(0.1, 0.2), levels(0.3, 0.4)
    video = comparison_video(
        context, target, {"one": levels(0.35, 0.45), "two": levels(0.55, 0.65)}
    )
    assert video.shape[0] == 4
    assert places(video[1], 0.2)[0] >= 3 * AREA
    for value in (0.3, 0.35, 0.55):
        assert AREA <= places(video[2], value)[0] < 1.05 * AREA
        assert places(video[3], value)[0] < 0.05 * AREA


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
@pytest.mark.parametrize(("channels", "height", "width"), [(3, 120, 160), (1, 11, 23)])
def test_any_number_of_methods_can_be_shown(
    count: int, channels: int, height: int, width: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    context = torch.rand(4, channels, height, width, generator=generator)
    target = torch.rand(2, channels, height, width, generator=generator)
    preds = {f"method {k}": torch.rand(target.shape, generator=generator) for k in range(count)}
    picture, video = (show(context, target, preds) for show in (comparison_strip, comparison_video))
    assert picture.dtype == video.dtype == torch.uint8
    assert len(video) == 6
    assert video.shape[-1] % 2 == video.shape[-2] % 2 == 0
    # Panels stand in a grid about as wide as a screen: never more than twice that, nor upright.
    assert 0.6 < video.shape[-1] / video.shape[-2] < 2 * 16 / 9 + 1


def test_the_past_may_be_unknown() -> None:
    target, preds = levels(0.3, 0.4), {"one": levels(0.35, 0.45)}
    picture, video = comparison_strip(None, target, preds), comparison_video(None, target, preds)
    assert len(video) == 2
    assert AREA <= places(picture, 0.3)[0] < 1.05 * AREA  # the stand-in is not shown
    assert places(video[0], 0.35)[0] >= AREA


def test_a_long_name_is_cut_and_may_be_that_of_the_truth() -> None:
    target = levels(0.3)
    short = comparison_strip(target, target, {"x" * 30: target})
    assert comparison_strip(target, target, {"x" * 3000: target}).shape == short.shape
    assert comparison_video(target, target, {"truth": target, "x" * 3000: target}).shape[0] == 2


@pytest.mark.parametrize("show", [comparison_strip, comparison_video])
def test_refuses_what_is_no_clip(show: object) -> None:
    assert callable(show)
    frames = levels(0.5)
    with pytest.raises(ValueError, match="preds is empty; expected"):
        show(frames, frames, {})
    with pytest.raises(ValueError, match="expected equal shapes"):
        show(frames, frames, {"one": frames, "two": levels(0.5, 0.6)})
    with pytest.raises(ValueError, match="expected equal frames"):
        show(levels(0.5, width=64), frames, {"one": frames})
