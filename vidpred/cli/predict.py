"""`vidpred predict`: the future of any video."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vidpred.cli.common import (
    cleaned_up_after_sigterm,
    device_of,
    import_modules,
    require_checkpoint_there,
    say,
)
from vidpred.cli.predict_options import add_predict_options, require_sense
from vidpred.cli.progress import prediction_progress
from vidpred.errors import PredictionError, VideoError, VidpredError, missing_video
from vidpred.files import PIPE
from vidpred.prediction.naming import (
    Format,
    future_paths,
    later_futures,
    output_paths,
    require_free,
)

if TYPE_CHECKING:
    import torch

    from vidpred.models import Predictor
    from vidpred.prediction.frame_scores import Scores
    from vidpred.prediction.outputs import Output
    from vidpred.prediction.pipeline import Measure, Predicted
    from vidpred.prediction.rollout import Rollout
    from vidpred.prediction.step_pictures import PredictionPictures
    from vidpred.prediction.windows import Input, Place
    from vidpred.prediction.writing import Outcome
    from vidpred.video.conditions import Rows

DESCRIPTION = """\
Predict the frames that follow. An input is a video in any format that FFmpeg reads, a GIF, a folder
of PNG or JPEG frames, or - for the standard input. Rate, size, colors and aspect of the input are
kept. Paths of what was written, and with --compare metrics, go to the standard output.
"""

EXAMPLES = """\
examples:
  vidpred predict my.mp4 --horizon 8 --output future.mp4       what comes after its end
  vidpred predict my.mp4 --at 12.5s --compare --output c.mp4   truth, prediction, difference
  vidpred predict my.mp4 --every --horizon 1 --output next.mp4 each frame from those before it
  vidpred predict my.mp4 --model FILE --samples 4 --seed 1     four futures side by side
  vidpred predict my.mp4 --model optical_flow --compare        a baseline instead of a network
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
    add_predict_options(parser)
    parser.set_defaults(run=run_predict)


def run_predict(arguments: argparse.Namespace) -> int:
    """Run `vidpred predict`: progress on stderr, paths and metrics on stdout.

    Returns:
        Exit status 0.

    Raises:
        VidpredError: When an input could not be predicted; all others have been by then.
    """
    inputs: list[Path] = arguments.inputs
    require_sense(arguments)
    require_checkpoint_there(arguments.model)
    output = arguments.output or Path("futures" if len(inputs) > 1 else "future.mp4")
    paths, form = output_paths(inputs, output, arguments.format)
    problems: list[VidpredError] = []
    wanted: list[tuple[Path, Path]] = []
    for source, path in zip(inputs, paths, strict=True):
        try:
            _require_there(source)
            futures = arguments.samples if form == "npy" else None
            later = later_futures(path, futures, kept=paths)
            for file in (*future_paths(path, futures or 1), *later):
                require_free(file, form, overwrite=arguments.overwrite, inputs=inputs)
            wanted.append((source, path))
        except (PredictionError, VideoError) as error:
            problems.append(error)
    if wanted:
        problems += _predict(arguments, wanted, form, kept=paths)
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


def _require_there(source: Path) -> None:
    """Refuse an input that is not there, before torch is imported; the rest is found in reading."""
    if source == PIPE and sys.stdin is None:
        raise VideoError(source, "the standard input is closed; expected a video in it")
    try:
        there = source == PIPE or source.exists()
    except OSError:
        return  # the reader says what the system does
    if not there:
        raise missing_video(source)


def _predict(
    arguments: argparse.Namespace,
    wanted: list[tuple[Path, Path]],
    form: Format,
    *,
    kept: Sequence[Path],
) -> list[VidpredError]:
    # Here and not above: these bring torch, and a refusal has to come at once.
    from vidpred.kernels import accelerate, enabled, keep_freed_memory
    from vidpred.prediction.pipeline import Predicted, predict_inputs
    from vidpred.prediction.window_conditions import conditions_of
    from vidpred.prediction.windows import Input
    from vidpred.prediction.writing import write_outputs
    from vidpred.storage import load_predictor
    from vidpred.video.pipe import RawVideo

    device = device_of(arguments.device)
    predictor = load_predictor(arguments.model, modules=import_modules(arguments.module)).to(device)
    # The heap would fall to pieces by what those hold of a large frame that cut it by themselves.
    if enabled(default=True) and predictor.largest_region is None:
        keep_freed_memory()
    if device.type == "cpu":
        accelerate(predictor)
    rollout = _rollout(predictor, arguments, device)
    raw = None
    if arguments.size is not None:
        width, height = arguments.size
        raw = RawVideo(height, width, arguments.pixel_format, arguments.fps)
    given = _given_conditions(arguments, predictor)
    inputs = [
        Input(
            source,
            arguments.fps,
            raw,
            conditions_of(source, predictor.conditions, given),
        )
        for source, _ in wanted
    ]
    place = _place_of(arguments)
    several = arguments.every is not None
    scores, measure = _measuring(len(inputs)) if arguments.compare else (None, None)

    problems: list[VidpredError] = []
    with (
        cleaned_up_after_sigterm(),
        _said_when_interrupted(problems),
        prediction_progress(None if several else len(inputs) * arguments.horizon) as progress,
    ):
        events = predict_inputs(inputs, place, rollout, arguments.horizon, measure=measure)
        known = predictor.context_frames if arguments.with_context else 0
        frames = known + arguments.horizon
        futures = arguments.samples
        outputs = [_output(path, form, several, frames, futures, kept) for _, path in wanted]
        for event in write_outputs(events, outputs, _pictures(arguments, form), scores=scores):
            if isinstance(event, Predicted):
                if arguments.compare and event.step == 1:
                    _say_uncompared(event, inputs[event.source], arguments.horizon)
                progress.advance()
            else:
                progress.pause()
                problems += _report(event, inputs[event.source])
    if scores is not None and len(scores) > 1:
        _report_all(scores)
    return problems


def _say_uncompared(first: "Predicted", source: "Input", horizon: int) -> None:
    """Say where a video ends before the horizon does."""
    true = len(first.window.truth)
    if true < horizon:
        say(
            f"{source.path} ends {true} frames after --at: of {horizon} predicted frames, "
            f"{true} are compared; expected at most --horizon {true}"
        )


@contextmanager
def _said_when_interrupted(problems: list[VidpredError]) -> Iterator[None]:
    """Say at Ctrl-C what is reported at the end otherwise."""
    try:
        yield
    except KeyboardInterrupt:
        for problem in problems:
            say(f"  {problem}")
        raise


def _given_conditions(arguments: argparse.Namespace, predictor: "Predictor") -> "Rows":
    """Read the arrays of `--condition`.

    Raises:
        PredictionError: When one cannot be read, or the predictor does not ask for it.
    """
    from vidpred.prediction.window_conditions import read_condition_option

    rows: Rows = {}
    for name, path in arguments.condition:
        if name not in predictor.conditions:
            needed = ", ".join(predictor.conditions) or "frames alone"
            raise PredictionError(
                f"--condition {name}: the predictor is conditioned on {needed}; leave it out"
            )
        rows |= read_condition_option(name, path)
    return rows


def _rollout(
    predictor: "Predictor", arguments: argparse.Namespace, device: "torch.device"
) -> "Rollout":
    from vidpred.prediction.drawn_futures import DrawnFutures
    from vidpred.prediction.rollout import Rollout

    sharp = arguments.sharp is not False
    if arguments.samples is None and not (arguments.sharp and predictor.sharp is None):
        return Rollout(
            predictor,
            device=device,
            max_memory=arguments.max_memory,
            batch_size=arguments.batch_size,
            sharp=sharp,
        )
    return DrawnFutures(
        predictor,
        device=device,
        max_memory=arguments.max_memory,
        num_samples=arguments.samples or 1,
        seed=arguments.seed,
        sharp=sharp,
    )


def _measuring(inputs: int) -> "tuple[list[Scores], Measure]":
    from vidpred.prediction.frame_scores import Scores, measure

    return [Scores() for _ in range(inputs)], measure


def _output(
    path: Path,
    form: Format,
    several: bool,
    frames: int,
    futures: int | None,
    kept: Sequence[Path],
) -> "Output":
    from vidpred.prediction.outputs import ArrayOutput, FramesOutput, FutureOutputs, VideoOutput

    if form == "png":
        return FramesOutput(path, several=several, futures=futures or 1)
    if form == "npy":
        arrays = [
            ArrayOutput(path, several=several, frames=frames)
            for path in future_paths(path, futures or 1)
        ]
        if futures is None:
            return arrays[0]
        return FutureOutputs(arrays, replaced=later_futures(path, futures, kept=kept))
    return VideoOutput(path)


def _pictures(arguments: argparse.Namespace, form: Format) -> "PredictionPictures":
    """Say what is shown: of positions that overlap, a video shows each moment once."""
    from vidpred.prediction.step_pictures import BesideTruth, EachFuture, FuturesSideBySide

    first = 1
    if arguments.every is not None and form not in ("png", "npy"):
        first = max(1, arguments.horizon - arguments.every + 1)
    if arguments.compare and form != "npy":
        return BesideTruth(first, with_context=arguments.every is None)
    if (arguments.samples or 1) > 1 and form not in ("png", "npy"):
        return FuturesSideBySide(first, with_context=arguments.with_context)
    return EachFuture(first, with_context=arguments.with_context)


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
        for path in outcome.paths:
            print(path, flush=True)
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
    print("\n".join(scores.lines()), flush=True)
