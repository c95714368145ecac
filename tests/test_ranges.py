"""Values that a dataclass's annotations do not allow are refused, by name."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest
from jsonargparse.typing import (
    ClosedUnitInterval,
    NonNegativeInt,
    OpenUnitInterval,
    PositiveFloat,
    PositiveInt,
)

from vidpred.ranges import require_annotated_ranges


@dataclass
class Options:
    """One field of each kind."""

    count: PositiveInt = 1
    seed: NonNegativeInt | None = None
    share: ClosedUnitInterval = 0.0
    part: OpenUnitInterval = 0.5
    rate: PositiveFloat = 1.0
    split: Literal[1, 2, 3] = 1
    color: Literal["rgb", "gray"] = "rgb"
    size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = 32
    name: str = "unchecked"


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("count", 0, "count is 0; expected a whole number that is at least 1"),
        ("count", 1.5, "count is 1.5; expected a whole number"),
        ("count", True, "count is True; expected a whole number"),
        ("count", None, "count is None; expected a whole number"),
        ("seed", -1, "seed is -1; expected a whole number that is at least 0 or None"),
        ("share", 1.01, r"share is 1.01; expected a number in \[0, 1\]"),
        ("share", float("nan"), "share is nan; expected"),
        ("part", 1.0, r"part is 1.0; expected a number in \(0, 1\)"),
        ("rate", 0.0, "rate is 0.0; expected a number above 0"),
        ("split", 4, "split is 4; expected 1, 2 or 3"),
        ("color", "grey", "color is grey; expected rgb or gray"),
        ("size", 0, "size is 0; expected a whole number that is at least 1 or"),
        ("size", (3, 0), r"size is \(3, 0\); expected"),
        ("size", (3, 4, 5), r"size is \(3, 4, 5\); expected"),
    ],
)
def test_what_is_out_of_range_is_refused(field: str, value: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        require_annotated_ranges(Options(**{field: value}))


def test_what_is_allowed_passes() -> None:
    require_annotated_ranges(Options())
    require_annotated_ranges(
        Options(
            count=np.int64(3),
            seed=0,
            share=1,
            part=np.float32(0.1),
            split=3,
            color="gray",
            size=(16, 24),
        )
    )
    require_annotated_ranges(Options(size=[16, 24]))
    require_annotated_ranges(Options(size=None))
