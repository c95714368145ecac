"""Random changes of whole training clips."""

from typing import Any

import pytest
import torch
from torch import Tensor

from vidpred.data import ClipAugmentation
from vidpred.errors import SettingError


def numbered(count: int = 2, frames: int = 12, size: int = 6) -> Tensor:
    """Clips of which every pixel of every frame is different, as far as 8 bits reach."""
    generator = torch.Generator().manual_seed(0)
    shape = (count, frames, 3, size, size)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def augmented(clips: Tensor, frames: int = 12, **options: Any) -> Tensor:
    torch.manual_seed(0)
    return ClipAugmentation(**options)(clips, frames, 4)


def test_without_options_nothing_changes() -> None:
    clips = numbered()
    assert torch.equal(augmented(clips), clips)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("reverse", lambda clips: clips.flip(1)),
        ("mirror", lambda clips: clips.flip(-1, -2)),
        ("transpose", lambda clips: clips.transpose(-1, -2)),
    ],
)
def test_every_frame_of_a_clip_is_changed_alike(option: str, expected: Any) -> None:
    clips = numbered()
    assert torch.equal(augmented(clips, **{option: 1.0}), expected(clips))


def test_half_the_clips_are_changed_when_asked() -> None:
    clips = numbered(count=200, frames=2, size=2)
    changed = (augmented(clips, frames=2, reverse=0.5) != clips).flatten(1).any(1)
    assert 70 < changed.sum() < 130  # four standard deviations of a fair coin


def test_colors_change_places_and_none_is_lost() -> None:
    clips = numbered()
    changed = augmented(clips, permute_colors=1.0)
    assert torch.equal(changed.sort(2).values, clips.sort(2).values)


def test_gain_and_offset_keep_frames_of_a_clip_together() -> None:
    clips = torch.full((64, 12, 3, 2, 2), 100, dtype=torch.uint8)
    changed = augmented(clips, gain=0.2, offset=0.1)
    assert changed.dtype == torch.uint8
    assert (changed == changed[:, :1, :1, :1, :1]).all()
    values = changed[:, 0, 0, 0, 0].int()
    assert values.min() >= 100 * 0.8 - 255 * 0.1 - 1
    assert values.max() <= 100 * 1.2 + 255 * 0.1 + 1
    assert 16 <= (values == 100).sum() <= 48


@pytest.mark.parametrize(("option", "reach"), [({"gain": 0.2}, 20.0), ({"offset": 0.1}, 25.5)])
def test_gain_and_offset_make_clips_darker_and_brighter(
    option: dict[str, float], reach: float
) -> None:
    clips = torch.full((200, 1, 3, 2, 2), 100, dtype=torch.uint8)
    change = augmented(clips, frames=1, **option)[:, 0, 0, 0, 0].float() - 100
    assert -reach - 0.5 <= change.min() < -0.8 * reach
    assert 0.8 * reach < change.max() <= reach + 0.5


def test_brighter_than_white_is_white_and_darker_than_black_is_black() -> None:
    clips = torch.tensor([0, 255], dtype=torch.uint8).repeat(32).view(64, 1, 1, 1, 1)
    clips = clips.expand(64, 1, 3, 2, 2)
    changed = augmented(clips, frames=1, gain=0.2, offset=0.1).int()
    assert (changed - clips.int()).abs().max() <= 255 * 0.3 + 1


def test_every_first_frame_that_leaves_enough_is_drawn() -> None:
    augmentation = ClipAugmentation(frame_steps=(1, 2))
    clips = torch.arange(9, dtype=torch.uint8)[None, :, None, None, None].expand(1, 9, 3, 2, 2)
    torch.manual_seed(0)
    drawn = [augmentation(clips, 5, 4)[0, :, 0, 0, 0].tolist() for _ in range(60)]
    assert {first for first, second, *_ in drawn if second - first == 1} == {0, 1, 2, 3, 4}


def test_frame_steps_are_drawn_and_clips_loaded_long_enough() -> None:
    augmentation = ClipAugmentation(frame_steps=(1, 2))
    assert augmentation.frames_needed(5) == 9
    clips = torch.arange(9, dtype=torch.uint8)[None, :, None, None, None].expand(1, 9, 3, 2, 2)
    torch.manual_seed(0)
    steps = set()
    for _ in range(40):
        kept = augmentation(clips, 5, 4)[0, :, 0, 0, 0].int()
        assert len(set(kept.diff().tolist())) == 1
        steps.add(int(kept[1] - kept[0]))
    assert steps == {1, 2}


def test_a_cut_puts_another_clip_before_it_and_never_touches_the_last_known_frame() -> None:
    clips, places = numbered(count=3), set()
    torch.manual_seed(0)
    for _ in range(20):
        changed = ClipAugmentation(cut=1.0)(clips, 12, 4)
        assert torch.equal(changed[:, 3:], clips[:, 3:])
        for clip, before, other in zip(changed, clips, clips.roll(1, 0), strict=True):
            replaced = [bool((clip[t] != before[t]).any()) for t in range(4)]
            cut = sum(replaced)
            places.add(cut)
            assert replaced == [True] * cut + [False] * (4 - cut)
            assert torch.equal(clip[:cut], other[:cut])
    assert places == {1, 2, 3}


def test_what_cannot_be_done_is_refused() -> None:
    with pytest.raises(ValueError, match="mirror is 2"):
        ClipAugmentation(mirror=2)
    with pytest.raises(ValueError, match="frame_steps"):
        ClipAugmentation(frame_steps=())
    with pytest.raises(SettingError, match="expected square ones"):
        augmented(numbered()[..., :4], transpose=0.5)
    for option in ("cut", "patch"):
        with pytest.raises(SettingError, match="batch_size of at least 2"):
            augmented(numbered(count=1), **{option: 1.0})
    with pytest.raises(ValueError, match="clips have 4 frames; expected 12"):
        augmented(numbered(frames=4))


def test_a_panned_clip_moves_evenly_by_whole_pixels_or_not_at_all() -> None:
    picture = torch.arange(96 * 112).view(96, 112) % 251  # every shift looks different
    clips = picture.to(torch.uint8).expand(64, 6, 3, 96, 112)
    torch.manual_seed(0)
    panned = ClipAugmentation(pan=3)(clips, 6, 4)
    assert panned.shape == (64, 6, 3, 80, 96)  # 5 steps of 3 pixels, rounded up to 16
    shifts = set()
    for clip in panned[:, :, 0].int():
        found = [
            (dy, dx)
            for dy in range(-3, 4)
            for dx in range(-3, 4)
            if all(
                torch.equal(clip[t + 1, 3:-3, 3:-3], clip[t, 3 + dy : 77 + dy, 3 + dx : 93 + dx])
                for t in range(5)
            )
        ]
        assert len(found) == 1
        shifts.add(found[0])
    assert (0, 0) in shifts
    assert len(shifts) > 10


def test_frames_too_small_to_pan_are_refused() -> None:
    with pytest.raises(SettingError, match=r"expected at least 64 rows .* pan by 4"):
        augmented(numbered(size=32), pan=4)


def test_a_patch_of_the_other_clip_flies_through_and_uncovers_what_was_behind() -> None:
    clips = torch.zeros(2, 12, 3, 64, 64, dtype=torch.uint8)
    clips[1] = 200
    seen = 0
    for seed in range(8):
        torch.manual_seed(seed)
        changed = ClipAugmentation(patch=1.0)(clips, 12, 4)
        assert set(changed[0].unique().tolist()) <= {0, 200}
        covered = (changed[0, :, 0] == 200).flatten(1).sum(1)
        assert 0 < covered.max() <= torch.pi / 4 * 16**2 + 16  # an ellipse of a quarter at most
        # Covered pixels differ between frames unless the patch is still.
        moved = (changed[0, 1:, 0] != changed[0, :-1, 0]).any()
        seen += int(moved)
    assert seen >= 6
    assert torch.equal(clips[0], torch.zeros_like(clips[0]))  # what was given is left alone
