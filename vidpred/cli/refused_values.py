"""Values that a constructor refuses, apart from exceptions that are a bug of the program."""

import dis
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


def _is_of_parser(error: BaseException) -> bool:
    trace = _origin(error)
    module = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__"))
    return module.partition(".")[0] == "jsonargparse"


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
