"""Named sizes of networks: what `from_preset` gives the constructor."""

from collections.abc import Mapping
from typing import Any

from vidpred.ops.checks import require_preset


def preset_arguments(
    presets: Mapping[Any, Mapping[str, Any]], name: str, **given: Any
) -> dict[str, Any]:
    """Give the arguments of a preset, with those that are given in place of its own.

    Args:
        presets: Arguments of each preset, by its name.
        name: Of one of them.
        given: Further arguments of the constructor; what is None is left to the preset.

    Raises:
        ValueError: When no preset has this name.

    Example:
        >>> preset_arguments({"cpu": {"width": 16, "context_frames": 4}}, "cpu", context_frames=2)
        {'width': 16, 'context_frames': 2}
    """
    require_preset(name, tuple(presets))
    return {**presets[name], **{key: value for key, value in given.items() if value is not None}}
