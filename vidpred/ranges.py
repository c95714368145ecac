"""Range checks that follow from a dataclass's annotations, for objects built in Python.

The command line checks values against the annotated types itself; these are the same types.
"""

from dataclasses import fields
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from jsonargparse.typing import (
    ClosedUnitInterval,
    NonNegativeFloat,
    NonNegativeInt,
    OpenUnitInterval,
    PositiveFloat,
    PositiveInt,
)

EXPECTED: dict[Any, str] = {
    PositiveInt: "a whole number that is at least 1",
    NonNegativeInt: "a whole number that is at least 0",
    PositiveFloat: "a number above 0",
    NonNegativeFloat: "a number that is at least 0",
    ClosedUnitInterval: "a number in [0, 1]",
    OpenUnitInterval: "a number in (0, 1)",
}
"""The restricted types that are checked, and what each allows."""


def require_annotated_ranges(options: Any) -> None:
    """Refuse the first field of a dataclass whose value is outside what its annotation allows.

    Checked are the types of `EXPECTED`, literals, tuples of fixed length and unions of these;
    annotations of other types are left to the type checker. A number of numpy or a plain Python
    number is as good as one that the command line has checked.

    Args:
        options: An instance of a dataclass without postponed annotations.

    Raises:
        ValueError: Naming the field, its value and what was expected.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass
        ... class Options:
        ...     count: PositiveInt = 1
        >>> require_annotated_ranges(Options(count=0))
        Traceback (most recent call last):
        ValueError: count is 0; expected a whole number that is at least 1
    """
    for field in fields(options):
        value = getattr(options, field.name)
        arms = _arms(field.type)
        if all(_is_known(arm) for arm in arms) and not any(_fits(value, arm) for arm in arms):
            expected = " or ".join(dict.fromkeys(_expected(arm) for arm in arms))
            raise ValueError(f"{field.name} is {value}; expected {expected}")


def _arms(annotation: Any) -> tuple[Any, ...]:
    """Give the members of a union, or the annotation alone."""
    origin = get_origin(annotation)
    if origin is None or origin in (Literal, tuple) or annotation in EXPECTED:
        return (annotation,)
    return get_args(annotation)


def _is_known(arm: Any) -> bool:
    if get_origin(arm) is tuple:
        return Ellipsis not in get_args(arm) and all(map(_is_known, get_args(arm)))
    return arm is NoneType or arm in EXPECTED or get_origin(arm) is Literal


def _fits(value: Any, arm: Any) -> bool:
    if arm is NoneType:
        return value is None
    if get_origin(arm) is Literal:
        return value in get_args(arm)
    if get_origin(arm) is tuple:
        parts = get_args(arm)
        return (
            isinstance(value, list | tuple)
            and len(value) == len(parts)
            and all(map(_fits, value, parts))
        )
    try:
        arm(value)
    except (TypeError, ValueError):
        return False
    return True


def _expected(arm: Any) -> str:
    if arm is NoneType:
        return "None"
    if get_origin(arm) is Literal:
        *first, last = map(str, get_args(arm))
        return f"{', '.join(first)} or {last}" if first else last
    if get_origin(arm) is tuple:
        return f"({', '.join(_expected(part) for part in get_args(arm))})"
    return EXPECTED[arm]
