"""The presets that published networks share: as published, and narrow enough for a CPU."""

from collections.abc import Mapping
from typing import Literal, TypeVar, get_args

Preset = Literal["faithful", "cpu"]
"""`faithful` has the widths of the published network; `cpu` trains in minutes on one core."""

Settings = TypeVar("Settings")


def settings_of(presets: Mapping[Preset, Settings], name: Preset) -> Settings:
    """Give the settings of a preset.

    Raises:
        ValueError: When no preset has this name.

    Example:
        >>> settings_of({"faithful": 64, "cpu": 16}, "cpu")
        16
    """
    if name not in presets:
        raise ValueError(f"unknown preset {name!r}; expected one of {', '.join(get_args(Preset))}")
    return presets[name]
