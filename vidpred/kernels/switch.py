"""One switch for everything here: the environment variable VIDPRED_KERNELS."""

import os

from vidpred.errors import VidpredError

VARIABLE = "VIDPRED_KERNELS"


def enabled(default: bool = False) -> bool:
    """Say whether fast kernels are used.

    Args:
        default: What holds where VIDPRED_KERNELS is not set: True in the commands that train and
            predict, False in a network that somebody builds in Python.

    Returns:
        False for VIDPRED_KERNELS=0, True for VIDPRED_KERNELS=1, otherwise `default`.

    Raises:
        VidpredError: For another value of the variable.
    """
    value = os.environ.get(VARIABLE, "").strip()
    if value not in ("", "0", "1"):
        raise VidpredError(
            f"{VARIABLE} is {value!r}; expected 0 (plain PyTorch everywhere) or 1 (fast kernels, "
            "also in networks that `vidpred.load` gives)"
        )
    return default if value == "" else value == "1"
