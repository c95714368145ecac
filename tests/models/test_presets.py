import pytest

from vidpred.models.presets import preset_arguments

PRESETS = {"faithful": {"width": 64, "context_frames": 10}, "cpu": {"width": 8}}


def test_what_is_given_takes_the_place_of_the_presets_own_and_none_leaves_it() -> None:
    assert preset_arguments(PRESETS, "faithful", context_frames=None, channels=1) == {
        "width": 64,
        "context_frames": 10,
        "channels": 1,
    }
    assert preset_arguments(PRESETS, "faithful", context_frames=2)["context_frames"] == 2
    assert PRESETS["faithful"]["context_frames"] == 10


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown preset 'huge'; expected one of faithful, cpu"):
        preset_arguments(PRESETS, "huge")
