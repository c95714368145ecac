import math

import pytest

from vidpred.plain import MISSING, differences, leaves, python_number, without_nan


def test_leaves_are_named_by_their_path() -> None:
    value = {"a": {"b": 1, "c": []}, "d": [1, 2], "e": [{"f": None}, [3]], "g": {}}
    assert dict(leaves(value)) == {
        **{"a.b": 1, "a.c": [], "d": [1, 2]},
        **{"e.0.f": None, "e.1": [3], "g": {}},
    }


def test_only_what_differs_is_given_in_the_order_of_here() -> None:
    there = {"same": 1, "gone": 2, "scales": [{"kernels": [3]}]}
    here = {"new": 0, "same": 1, "scales": [{"kernels": [5]}]}
    assert list(differences(there, here).items()) == [
        ("new", (MISSING, 0)),
        ("scales.0.kernels", ([3], [5])),
        ("gone", (2, MISSING)),
    ]
    assert differences(here, here) == {}


def test_what_is_null_is_as_good_as_absent() -> None:
    there = {"seed": None, "logger": None, "trainer": {"limit": 5}}
    here = {"seed": 3, "trainer": {"limit": None}, "new": None}
    assert differences(there, here) == {"seed": (MISSING, 3), "trainer.limit": (5, MISSING)}


class Checked(int):
    """A number class of a command line."""


@pytest.mark.parametrize(
    ("value", "kind"), [(Checked(3), int), (True, bool), (0.5, float), ("text", str)]
)
def test_numbers_are_pythons_own(value: object, kind: type) -> None:
    assert type(python_number(value)) is kind
    assert python_number(value) == value


def test_nan_is_none() -> None:
    assert without_nan(math.nan) is None
    assert without_nan(0.0) == 0.0
