"""Options of `vidpred predict`."""

import argparse
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidpred.cli.common import add_device_option, add_module_option, say
from vidpred.cli.value_types import (
    at_least_one,
    at_least_zero,
    frame_rate,
    frame_size,
    given_path,
    memory_amount,
    not_empty,
    time_or_index,
)
from vidpred.errors import PredictionError


def add_predict_options(parser: argparse.ArgumentParser) -> None:
    """Add inputs and options."""
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", type=given_path, help="video, folder of frames, or -"
    )
    parser.add_argument(
        "--model",
        type=not_empty,
        default="flow_refiner",
        metavar="NAME|FILE",
        help="bundled pretrained model (flow_refiner, small), baseline (copy_last, linear, "
        "optical_flow, optical_flow_dup), checkpoint of `vidpred fit` or file of `vidpred export` "
        "(default: flow_refiner)",
    )
    parser.add_argument("--checkpoint", action=_DeprecatedModel, help=argparse.SUPPRESS)
    parser.add_argument(
        "--horizon",
        type=at_least_one,
        default=8,
        metavar="N",
        help="frames to predict (default: 8)",
    )
    parser.add_argument(
        "--samples",
        type=at_least_one,
        metavar="K",
        help="draw K futures of a stochastic model: side by side in a video, a folder each in a "
        "folder of PNG frames, a file each as .npy (OUT_future_1.npy ...)",
    )
    parser.add_argument(
        "--sharp",
        action=argparse.BooleanOptionalAction,
        help="predict one sharp future instead of the mean of all, which is blurred where they "
        "differ; a stochastic model draws it (default: where the model needs no draw for it, as "
        "flow_refiner)",
    )
    parser.add_argument(
        "--seed",
        type=at_least_zero,
        default=0,
        metavar="S",
        help="of --samples and --sharp: another seed draws other futures (default: 0)",
    )
    parser.add_argument(
        "--output",
        type=given_path,
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
        type=time_or_index,
        metavar="PLACE",
        help="predict from this place instead of the end: a time such as 12.5s or 1:02.5 on a "
        "player's clock (0 is where the file begins, sound or picture), or the index of a frame, "
        "counted from 0; the last frame known is the one shown then",
    )
    place.add_argument(
        "--every",
        type=at_least_one,
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
    parser.add_argument("--with-context", action="store_true", help="show the known frames first")
    parser.add_argument(
        "--size", type=frame_size, metavar="WxH", help="of raw pixels from the standard input"
    )
    parser.add_argument(
        "--pixel-format",
        default="rgb24",
        metavar="NAME",
        help="of raw pixels, as FFmpeg calls it (default: rgb24)",
    )
    parser.add_argument(
        "--fps",
        type=frame_rate,
        default=Fraction(25),
        help="frames per second of inputs without a rate: raw pixels, a folder (default: 25)",
    )
    parser.add_argument(
        "--max-memory",
        type=memory_amount,
        default="4GiB",
        metavar="AMOUNT",
        help="large frames are predicted in tiles, with the same result, to stay below this "
        "(default: 4GiB)",
    )
    parser.add_argument(
        "--batch-size",
        type=at_least_one,
        default=8,
        metavar="N",
        help="positions or inputs predicted at once, where memory allows (default: 8)",
    )
    parser.add_argument(
        "--condition",
        action="append",
        type=_condition,
        default=[],
        metavar="NAME=FILE.npy",
        help="what a conditioned network needs besides frames: an array whose row t belongs to "
        "frame t, those to predict included, such as actions=plan.npy; may be repeated (default: "
        "the arrays in INPUT.conditions.npz)",
    )
    add_module_option(parser)
    add_device_option(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")


class _DeprecatedModel(argparse.Action):
    """Takes the value of `--checkpoint`, the name of `--model` until 0.3."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, "model", default=argparse.SUPPRESS, help=help)

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Store the value, and say how the option is called now."""
        say("--checkpoint is deprecated and goes in 0.3; use --model")
        namespace.model = values


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
        raise PredictionError("--with-context is for one position, and --every asks for all")
    if arguments.compare and (arguments.samples or 1) > 1:
        raise PredictionError(
            "--compare is for one prediction, and --samples asks for several; expected --sharp, or "
            "`vidpred test` by a protocol with samples, which scores the best and the mean of K"
        )
    if arguments.size is not None and not pipes:
        raise PredictionError("--size is for raw pixels from the standard input; give - as INPUT")


def _condition(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    if not name.isidentifier() or not path:
        raise argparse.ArgumentTypeError(
            f"{text!r}; expected the name of a condition and a file, such as actions=plan.npy"
        )
    return name, Path(path)
