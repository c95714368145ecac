"""Options of `vidpred predict`, and how their values are read."""

import argparse
import re
from fractions import Fraction
from pathlib import Path

from vidpred.cli.test import add_module_option
from vidpred.errors import PredictionError


def add_predict_options(parser: argparse.ArgumentParser) -> None:
    """Add all inputs and options."""
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", type=Path, help="video, folder of frames, or -"
    )
    parser.add_argument(
        "--checkpoint",
        default="small",
        metavar="FILE|NAME",
        help="of `vidpred fit`, or the name of a predictor that comes along (default: small)",
    )
    parser.add_argument(
        "--horizon", type=_count, default=8, metavar="N", help="frames to predict (default: 8)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="OUT",
        help="file in .mp4, .webm, .gif (50 frames per second at most) or .npy (uint8, T x H x W x "
        "3), or a name without ending for a folder of PNG frames; for several inputs a folder "
        "(default: future.mp4, or futures)",
    )
    parser.add_argument(
        "--format",
        choices=("mp4", "webm", "gif", "png", "npy"),
        help="what goes into the folder of several inputs (default: mp4)",
    )
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--at",
        type=_place,
        metavar="PLACE",
        help="predict from this place instead of the end: a time such as 12.5s or 1:02.5 on a "
        "player's clock (0 is where the file begins, sound or picture), or the index of a frame, "
        "counted from 0; the last frame known is the one shown then",
    )
    place.add_argument(
        "--every",
        type=_count,
        nargs="?",
        const=1,
        metavar="N",
        help="predict from every position, or every Nth; a video shows the last N frames of each "
        "prediction, so that it runs on as the input does, PNG and .npy hold all",
    )
    parser.add_argument(
        "--compare",
        action="store_true",
        help="show truth, prediction and difference side by side, and print metrics; without --at "
        "and --every the last frames are held back and predicted",
    )
    parser.add_argument(
        "--with_context", "--with-context", action="store_true", help="show the known frames first"
    )
    parser.add_argument(
        "--size", type=_size, metavar="WxH", help="of raw pixels from the standard input"
    )
    parser.add_argument(
        "--pixel_format",
        "--pixel-format",
        default="rgb24",
        metavar="NAME",
        help="of raw pixels, as FFmpeg calls it (default: rgb24)",
    )
    parser.add_argument(
        "--fps",
        type=_rate,
        default=Fraction(25),
        help="frames per second of what does not tell it: raw pixels, a folder (default: 25)",
    )
    parser.add_argument(
        "--max_memory",
        "--max-memory",
        type=_memory,
        default="4GiB",
        metavar="AMOUNT",
        help="large frames are predicted in tiles, with the same result, to stay below this "
        "(default: 4GiB)",
    )
    parser.add_argument(
        "--batch_size",
        "--batch-size",
        type=_count,
        default=8,
        metavar="N",
        help="positions or inputs predicted at once, where memory allows (default: 8)",
    )
    add_module_option(parser)
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")


def require_sense(arguments: argparse.Namespace) -> None:
    """Refuse options that contradict each other.

    Raises:
        PredictionError: Saying which.
    """
    inputs = arguments.inputs
    pipes = sum(str(source) == "-" for source in inputs)
    if pipes > 1:
        raise PredictionError("- is given twice; there is one standard input")
    if arguments.with_context and arguments.every is not None:
        raise PredictionError("--with_context is for one position, and --every asks for all")
    if arguments.size is not None and not pipes:
        raise PredictionError("--size is for raw pixels from the standard input; give - as INPUT")


def _count(text: str) -> int:
    number = int(text) if re.fullmatch(r"\d{1,9}", text) else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; expected a whole number that is at least 1")
    return number


def _place(text: str) -> tuple[Fraction | None, int | None]:
    """Read a time, or the index of a frame."""
    if re.fullmatch(r"\d{1,12}", text):
        return None, int(text)
    found = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)s?", text)
    if found is None:
        raise argparse.ArgumentTypeError(
            f"{text!r}; expected a time such as 12.5s or 1:02.5, or the index of a frame"
        )
    hours, minutes, seconds = (Fraction(part or 0) for part in found.groups())
    return (hours * 60 + minutes) * 60 + seconds, None


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r}; expected width x height, such as 320x240")
    return int(found[1]), int(found[2])


def _rate(text: str) -> Fraction:
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise argparse.ArgumentTypeError(f"{text!r}; expected a rate such as 25 or 30000/1001")
    return rate


def _memory(text: str) -> int:
    """Read an amount of memory such as 4GiB; letters count 1024 whatever they are called."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    amount = 0 if found is None else int(float(found[1]) * 1024 ** " kmgt".index(found[2] or " "))
    if amount == 0:
        raise argparse.ArgumentTypeError(f"{text!r}; expected an amount such as 4GiB or 800MiB")
    return amount
