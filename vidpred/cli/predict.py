"""`vidpred predict`: the future of any video."""

import argparse
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from vidpred.cli.common import (
    add_device_option,
    add_module_option,
    at_least_one,
    device_of,
    frame_rate,
    frame_size,
    import_modules,
    memory_amount,
    say,
    time_or_index,
)
from vidpred.cli.progress import prediction_progress
from vidpred.errors import PredictionError, VidpredError

if TYPE_CHECKING:
    from vidpred.prediction.frame_scores import Scores
    from vidpred.prediction.naming import Format
    from vidpred.prediction.outputs import Output
    from vidpred.prediction.pipeline import Measure
    from vidpred.prediction.windows import Input, Place
    from vidpred.prediction.writing import Outcome, PredictionPictures

DESCRIPTION = """\
Predict the frames that follow. An input is a video in any format that FFmpeg reads, a GIF, a folder
of PNG or JPEG frames, or - for the standard input. Rate, size, colours and aspect of the input are
kept. Paths of what was written, and with --compare metrics, go to the standard output.
"""

EXAMPLES = """\
examples:
  vidpred predict my.mp4 --horizon 8 --output future.mp4       what comes after its end
  vidpred predict my.mp4 --at 12.5s --compare --output c.mp4   truth, prediction, difference
  vidpred predict my.mp4 --every --horizon 1 --output next.mp4 each frame from those before it
  vidpred predict *.avi --format png --output futures          a folder of frames for each
  ffmpeg -i my.mp4 -f matroska - | vidpred predict - --every --output next.webm
  ffmpeg -i my.mp4 -f rawvideo -pix_fmt rgb24 - | vidpred predict - --size 320x240 --fps 25
"""


def add_predict_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Add `predict`; parsing sets `run`, a function from arguments to exit status."""
    parser = subparsers.add_parser(
        "predict",
        help="predict the future of any video",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_options(parser)
    parser.set_defaults(run=run_predict)


def _add_options(parser: argparse.ArgumentParser) -> None:
    """Add inputs and options."""
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", type=Path, help="video, folder of frames, or -"
    )
    parser.add_argument(
        "--checkpoint",
        default="small",
        metavar="FILE|NAME",
        help="of `vidpred fit`, or the name of a bundled pretrained model (default: small)",
    )
    parser.add_argument(
        "--horizon",
        type=at_least_one,
        default=8,
        metavar="N",
        help="frames to predict (default: 8)",
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
        type=time_or_index,
        metavar="PLACE",
        help="predict from this place instead of the end: a time such as 12.5s or 1:02.5, or the "
        "index of a frame, counted from 0, which is the last one known",
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
    add_module_option(parser)
    add_device_option(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")


def _require_sense(arguments: argparse.Namespace) -> None:
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
    if arguments.size is not None and not pipes:
        raise PredictionError("--size is for raw pixels from the standard input; give - as INPUT")


def run_predict(arguments: argparse.Namespace) -> int:
    """Run `vidpred predict`: progress on stderr, paths and metrics on stdout.

    Returns:
        Exit status 0.

    Raises:
        VidpredError: When an input could not be predicted; all others have been by then.
    """
    # Here and not above: these bring torch, and `--help` has to answer at once.
    from vidpred.prediction.naming import output_paths, require_free

    inputs: list[Path] = arguments.inputs
    _require_sense(arguments)
    output = arguments.output or Path("futures" if len(inputs) > 1 else "future.mp4")
    paths, form = output_paths(inputs, output, arguments.format)
    problems: list[VidpredError] = []
    wanted: list[tuple[Path, Path]] = []
    for source, path in zip(inputs, paths, strict=True):
        try:
            require_free(path, form, overwrite=arguments.overwrite, inputs=inputs)
            wanted.append((source, path))
        except PredictionError as error:
            problems.append(error)
    if wanted:
        problems += _predict(arguments, wanted, form)
    if len(inputs) == 1 and problems:
        raise problems[0]
    if problems:
        for problem in problems:
            say(f"  {problem}")
        raise PredictionError(
            f"{len(problems)} of {len(inputs)} inputs could not be predicted to their end, see "
            "above; all others are done"
        )
    return 0


def _predict(
    arguments: argparse.Namespace, wanted: list[tuple[Path, Path]], form: "Format"
) -> list[VidpredError]:
    from vidpred.kernels import accelerate, enabled, keep_freed_memory
    from vidpred.prediction.pipeline import Predicted, predict_inputs
    from vidpred.prediction.rollout import Rollout
    from vidpred.prediction.windows import Input
    from vidpred.prediction.writing import write_outputs
    from vidpred.storage import load_predictor
    from vidpred.video.pipe import RawVideo

    if enabled(default=True):
        keep_freed_memory()
    device = device_of(arguments.device)
    predictor = load_predictor(arguments.checkpoint, modules=import_modules(arguments.module)).to(
        device
    )
    if device.type == "cpu":
        accelerate(predictor)
    rollout = Rollout(
        predictor,
        device=device,
        max_memory=arguments.max_memory,
        batch_size=arguments.batch_size,
    )
    raw = None
    if arguments.size is not None:
        width, height = arguments.size
        raw = RawVideo(height, width, arguments.pixel_format, arguments.fps)
    inputs = [Input(source, arguments.fps, raw) for source, _ in wanted]
    place = _place_of(arguments)
    several = arguments.every is not None
    scores, measure = _measuring(len(inputs)) if arguments.compare else (None, None)

    problems: list[VidpredError] = []
    with prediction_progress(None if several else len(inputs) * arguments.horizon) as progress:
        events = predict_inputs(inputs, place, rollout, arguments.horizon, measure=measure)
        known = predictor.context_frames if arguments.with_context else 0
        outputs = [_output(path, form, several, known + arguments.horizon) for _, path in wanted]
        for event in write_outputs(events, outputs, _pictures(arguments, form), scores=scores):
            if isinstance(event, Predicted):
                progress.advance()
            else:
                progress.pause()
                problems += _report(event, inputs[event.source])
    if scores is not None and len(scores) > 1:
        _report_all(scores)
    return problems


def _measuring(inputs: int) -> "tuple[list[Scores], Measure]":
    from vidpred.prediction.frame_scores import Scores, measure

    return [Scores() for _ in range(inputs)], measure


def _output(path: Path, form: "Format", several: bool, frames: int) -> "Output":
    from vidpred.prediction.outputs import ArrayOutput, FramesOutput, VideoOutput

    if form == "png":
        return FramesOutput(path, several=several)
    if form == "npy":
        return ArrayOutput(path, several=several, frames=frames)
    return VideoOutput(path)


def _pictures(arguments: argparse.Namespace, form: "Format") -> "PredictionPictures":
    """Say what is shown: of positions that overlap, a video shows each moment once."""
    from vidpred.prediction.writing import BesideTruth, PredictedAlone

    first = 1
    if arguments.every is not None and form not in ("png", "npy"):
        first = max(1, arguments.horizon - arguments.every + 1)
    if arguments.compare and form != "npy":
        return BesideTruth(first, with_context=arguments.every is None)
    return PredictedAlone(first, with_context=arguments.with_context)


def _place_of(arguments: argparse.Namespace) -> "Place":
    from vidpred.prediction.windows import At, Every, Last

    truth = arguments.horizon if arguments.compare else 0
    if arguments.every is not None:
        return Every(arguments.every, truth)
    if arguments.at is not None:
        seconds, index = arguments.at
        return At(seconds, index, truth)
    return Last(truth)


def _report(outcome: "Outcome", source: "Input") -> list[VidpredError]:
    """Print what came out of an input, and give what went wrong."""
    if outcome.path is not None:
        print(outcome.path, flush=True)
        if outcome.scores is not None:
            _print_scores(outcome.scores)
    problem = outcome.problem
    if problem is not None and outcome.path is not None:
        problem = PredictionError(f"{problem}; what was predicted before that is in {outcome.path}")
    if problem is None and outcome.left_out:
        problem = PredictionError(
            f"{source.path}: {outcome.left_out} positions are left out, their frames are damaged; "
            "all others are done"
        )
    return [] if problem is None else [problem]


def _report_all(scores: "list[Scores]") -> None:
    from vidpred.prediction.frame_scores import Scores

    everything = Scores()
    for each in scores:
        everything.merge(each)
    if everything.positions:
        print(f"all {len(scores)} inputs")
        _print_scores(everything)


def _print_scores(scores: "Scores") -> None:
    from vidpred.prediction.frame_scores import CONVENTION

    if not scores.positions:
        return
    positions = scores.positions
    mean = f"mean of {positions} positions; " if positions > 1 else ""
    print(f"{mean}{CONVENTION}")
    for line in scores.lines():
        print(line)
    sys.stdout.flush()
