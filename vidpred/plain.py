"""Plain values: nested ones taken apart and compared, numbers as Python has and words them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

MISSING = "unset"
"""Given for a value that is null or absent, which means the same in a configuration."""

_SHOWN = 3
"""Names in a message."""


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Take nested plain values apart: ("clips.horizon", 2), ("measures.0.metric", "psnr"), ...

    Args:
        value: Mappings and lists of plain values; lists of single values stay whole.
        path: What comes before each name.

    Example:
        >>> list(leaves({"clips": {"horizon": 2}, "sizes": [1, 2]}))
        [('clips.horizon', 2), ('sizes', [1, 2])]
    """
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}.{index}")
    else:
        yield path, value


def differences(there: Any, here: Any) -> dict[str, tuple[Any, Any]]:
    """Compare nested plain values.

    Args:
        there: Mappings and lists of plain values.
        here: Likewise; its order is that of the answer.

    Returns:
        By path, the two values that differ; `MISSING` for one that is null or not on a side, which
        are alike.

    Example:
        >>> differences({"clips": {"horizon": 2}}, {"clips": {"horizon": 8}, "seed": 1})
        {'clips.horizon': (2, 8), 'seed': ('unset', 1)}
    """
    one, other = (
        {path: value for path, value in leaves(side) if value is not None} for side in (there, here)
    )
    pairs = {
        path: (one.get(path, MISSING), other.get(path, MISSING))
        for path in dict.fromkeys([*other, *one])
    }
    return {path: pair for path, pair in pairs.items() if pair[0] != pair[1]}


def python_number(value: Any) -> Any:
    """Give a number as Python's own: the command line has classes for what it has checked.

    Those in a list or tuple too, which then is a list.
    """
    if isinstance(value, list | tuple):
        return [python_number(item) for item in value]
    for kind in (bool, int, float):
        if isinstance(value, kind):
            return kind(value)
    return value


def counted(count: int, noun: str, plural: str = "") -> str:
    """Write a number and what it counts; the plural is the noun with s when it is not given.

    Example:
        >>> counted(1, "channel"), counted(3, "channel"), counted(2, "class", "classes")
        ('1 channel', '3 channels', '2 classes')
    """
    return f"{count} {noun if count == 1 else plural or f'{noun}s'}"


def scale_name(scale: int, num_scales: int) -> str:
    """Name a scale as the logs do, coarsest first.

    Example:
        >>> [scale_name(k, 4) for k in range(4)]  # of an eighth of the full size, and so on
        ['scale_8', 'scale_4', 'scale_2', 'scale_1']
    """
    return f"scale_{2 ** (num_scales - 1 - scale)}"


def some(names: Sequence[str]) -> str:
    """Quote the first few names for a message.

    Example:
        >>> some(["a.png", "b.png"]), some(["a", "b", "c", "d"])
        ("'a.png', 'b.png'", "'a', 'b', 'c', ...")
    """
    return ", ".join(repr(name) for name in names[:_SHOWN]) + ", ..." * (len(names) > _SHOWN)


def with_prefix(count: int, unit: str = "") -> str:
    """Write a large number with the prefix of its unit.

    Example:
        >>> with_prefix(1_234_000_000, "FLOPs"), with_prefix(56_000), with_prefix(7, "FLOPs")
        ('1.23 GFLOPs', '56 k', '7 FLOPs')
    """
    for size, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g} {prefix}{unit}"
    return f"{count} {unit}".rstrip()


def without_nan(value: float) -> float | None:
    """Give None for NaN, which JSON does not have."""
    return None if math.isnan(value) else value


def refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and infinities, which Python's JSON reads: give it as `parse_constant`.

    Raises:
        ValueError: Naming the constant.
    """
    raise ValueError(f"it holds {name}")
