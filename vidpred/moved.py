"""Names of 0.1 that live in another package now: they keep working, with a warning, until 0.3."""

import importlib
import warnings
from collections.abc import Callable
from typing import Any

_STORAGE = (
    *("SavedPredictor", "build_predictor", "load_predictor"),
    *("packaged_weights", "read_saved", "trained_generator"),
)
MOVED = {
    "vidpred.models": {name: f"vidpred.storage.{name}" for name in _STORAGE},
    "vidpred.ops": {"winograd_conv2d": "vidpred.kernels.winograd_conv2d"},
    "vidpred.ops.winograd": {
        name: f"vidpred.kernels.{name}" for name in ("has_native_kernels", "winograd_conv2d")
    },
}
"""By package: where the names are that are no longer in it."""


def moved_names(package: str) -> Callable[[str], Any]:
    """Give the `__getattr__` of a package, which finds what moved out of it.

    Args:
        package: One of `MOVED`; nothing is imported before a name is asked for.
    """

    def look_up(name: str) -> Any:
        new = MOVED[package].get(name)
        if new is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, attribute = new.rpartition(".")
        warnings.warn(
            f"{package}.{name} is {new} now; the old name goes with vidpred 0.3",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(importlib.import_module(module), attribute)

    return look_up
