"""Plain values taken apart, to say where two of them differ."""

from collections.abc import Iterator, Mapping
from typing import Any


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Take nested plain values apart: ("clips.horizon", 2), ("measures.0.metric", "psnr"), ...

    Args:
        value: Mappings and lists of plain values; lists of single values stay whole.
        path: What stands before each name.
    """
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}.{index}")
    else:
        yield path, value
