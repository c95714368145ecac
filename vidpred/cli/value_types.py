"""Types of the values of options: text in, a value out, or an error that says what is expected."""

import argparse
import re
from fractions import Fraction
from pathlib import Path

from vidpred.frame_rates import FRAME_RATES


def at_least_one(text: str) -> int:
    """Read a whole number that is at least 1, such as a number of frames."""
    number = int(text) if re.fullmatch(r"\d{1,9}", text) else 0
    if number < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r}; expected a whole number that is at least 1 and at most 999999999"
        )
    return number


def at_least_zero(text: str) -> int:
    """Read a whole number that is at least 0, such as a number of workers."""
    if not re.fullmatch(r"\d{1,18}", text):
        raise argparse.ArgumentTypeError(
            f"{text!r}; expected a whole number that is at least 0 and has at most 18 digits"
        )
    return int(text)


def training_seed(text: str) -> int:
    """Read a seed of a training, which NumPy's generators take as well."""
    if not re.fullmatch(r"\d{1,10}", text) or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r}; expected a whole number from 0 to {2**32 - 1}")
    return int(text)


def given_path(text: str) -> Path:
    """Read a path; an empty one, which Python takes for the current folder, is a mistake."""
    return Path(not_empty(text))


def not_empty(text: str) -> str:
    """Read a name or path that an unset shell variable has not emptied."""
    if not text:
        raise argparse.ArgumentTypeError(
            "''; expected a path or a name; is a variable of the shell empty?"
        )
    return text


def above_zero(text: str) -> float:
    """Read a number above 0, such as a number of seconds."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}; expected a number above 0")
    return number


def frame_rate(text: str) -> Fraction:
    """Read frames per second."""
    # Not all that Fraction takes: 1e99999999 would be written out.
    known = re.fullmatch(r"\d{1,9}(\.\d{1,9})?(/\d{1,9})?", text)
    try:
        rate = Fraction(text if known else 0)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    slowest, fastest = FRAME_RATES
    if not slowest <= rate <= fastest:
        raise argparse.ArgumentTypeError(
            f"{text!r}; expected a rate such as 25 or 30000/1001, from {slowest} to {fastest}"
        )
    return rate


def frame_size(text: str) -> tuple[int, int]:
    """Read width x height, in pixels."""
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r}; expected width x height, such as 320x240")
    return int(found[1]), int(found[2])


def time_or_index(text: str) -> tuple[Fraction | None, int | None]:
    """Read a time in seconds, or the index of a frame; the other one is None."""
    if re.fullmatch(r"\d{1,12}", text):
        return None, int(text)
    found = re.fullmatch(r"(?:(?:(\d{1,9}):)?(\d{1,9}):)?(\d{1,9}(?:\.\d{1,9})?)s?", text)
    if found is None:
        raise argparse.ArgumentTypeError(
            f"{text!r}; expected a time such as 12.5s or 1:02.5, or the index of a frame, of at "
            "most 12 digits"
        )
    hours, minutes, seconds = (Fraction(part or 0) for part in found.groups())
    return (hours * 60 + minutes) * 60 + seconds, None


def memory_amount(text: str) -> int:
    """Read bytes from an amount such as 4GiB; each letter is a power of 1024 (4GB is 4GiB)."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    amount = 0 if found is None else int(float(found[1]) * 1024 ** " kmgt".index(found[2] or " "))
    if amount == 0:
        raise argparse.ArgumentTypeError(f"{text!r}; expected an amount such as 4GiB or 800MiB")
    return amount
