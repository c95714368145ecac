"""Values that a constructor refuses, apart from exceptions that are a bug of the program."""

import dis
from collections.abc import Iterator
from contextlib import contextmanager

from vidpred.errors import VidpredError


@contextmanager
def refusals(kind: type[VidpredError] = VidpredError, *others: type[Exception]) -> Iterator[None]:
    """Raise what is refused inside as a mistake that the user can correct.

    A `ValueError` that a `raise` statement raised is a refusal: somebody wrote its message for
    whoever gave the value. One that an operation raised (`zip(strict=True)`, unpacking, `int`) is
    a bug, and passes with its own traceback, out of whatever a library wrapped it in.

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
        cause = _first_cause(error)
        if isinstance(cause, VidpredError):
            raise cause from error
        if not _is_raised_by_statement(cause):
            raise cause from None
        # What a parser refuses by itself needs its own account of the place.
        said = error if _module_of(cause).partition(".")[0] == "jsonargparse" else cause
        raise kind(str(said).strip()) from error


def _first_cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _is_raised_by_statement(error: BaseException) -> bool:
    trace = error.__traceback__
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    operation = trace.tb_frame.f_code.co_code[trace.tb_lasti]
    return dis.opname[operation] in ("RAISE_VARARGS", "RERAISE")


def _module_of(error: BaseException) -> str:
    """Name the module whose code raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else str(trace.tb_frame.f_globals.get("__name__"))
