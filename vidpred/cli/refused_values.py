"""Values that a constructor refuses, apart from exceptions that are a bug of the program."""

import dis
import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from vidpred.errors import VidpredError


@contextmanager
def refusals(kind: type[VidpredError] = VidpredError, *others: type[Exception]) -> Iterator[None]:
    """Raise what is refused inside as a mistake that the user can correct.

    A `ValueError` that a `raise` statement raised is a refusal: somebody wrote its message for
    whoever gave the value. One that an operation raised (`zip(strict=True)`, unpacking, `int`) is
    a bug, and passes with its own traceback. jsonargparse wraps both in a `ValueError` of its own,
    with an account of types and values; what it wrapped decides.

    Args:
        kind: What to raise.
        *others: Exceptions that are refusals as well.

    Example:
        >>> with refusals():
        ...     raise ValueError("width is 0; expected at least 1")
        Traceback (most recent call last):
        ...
        vidpred.errors.VidpredError: width is 0; expected at least 1
    """
    try:
        yield
    except VidpredError:
        raise
    except Exception as error:
        if not isinstance(error, (ValueError, *others)):
            raise
        cause: BaseException = error
        while _is_of_parser(cause) and cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, VidpredError) or not _is_raised_by_statement(cause):
            raise cause from cause.__cause__  # without the parser's exception around it
        # What the parser refuses by itself needs its account of the place.
        raise kind(str(error if _is_of_parser(cause) else cause).strip()) from error


def refusal_of_lightning(error: Exception) -> str | None:
    """Give what Lightning refuses, as it does some options with a ValueError; None for a bug.

    It says by a ModuleNotFoundError what an accelerator such as `tpu` needs, and its callbacks by a
    RuntimeError or an AttributeError what they do not find, such as the metric that is monitored,
    or that one is there twice.
    """
    # By name, as Lightning takes seconds to be imported.
    if type(error).__name__ == "MisconfigurationException":
        return str(error).strip()
    module = _module(error)
    if module.partition(".")[0] not in ("pytorch_lightning", "lightning_fabric"):
        return None
    if isinstance(error, RuntimeError) and "SLURM" in str(error):
        return (
            f"SLURM_NTASKS is {os.environ.get('SLURM_NTASKS')} in this shell, as an interactive "
            "job leaves it, and Lightning takes this process for one of them. For one process: "
            "unset SLURM_NTASKS. For several: start them with srun, one for each device "
            f"(--ntasks-per-node). Lightning said: {error}"
        )
    of_callback = module.startswith(_OF_CALLBACKS)
    if isinstance(error, (ValueError, ModuleNotFoundError)) or (
        of_callback
        and isinstance(error, (RuntimeError, AttributeError))
        and _is_raised_by_statement(error)
    ):
        return str(error).strip()
    return None


_OF_CALLBACKS = (
    *("pytorch_lightning.callbacks", "pytorch_lightning.tuner"),
    "pytorch_lightning.trainer.connectors.callback_connector",
)


def _is_of_parser(error: BaseException) -> bool:
    return _module(error).partition(".")[0] == "jsonargparse"


def _module(error: BaseException) -> str:
    """Name the module that raised an exception."""
    trace = _origin(error)
    return "" if trace is None else str(trace.tb_frame.f_globals.get("__name__"))


def _is_raised_by_statement(error: BaseException) -> bool:
    trace = _origin(error)
    if trace is None:
        return False
    return dis.opname[trace.tb_frame.f_code.co_code[trace.tb_lasti]] == "RAISE_VARARGS"


def _origin(error: BaseException) -> TracebackType | None:
    """Give the place where an exception was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace
